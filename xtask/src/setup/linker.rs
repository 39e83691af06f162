//! bpf-linker, which turns the compiler's LLVM bitcode into a BPF object.
//!
//! It must understand the bitcode of the very compiler that is used, so it is built against that compiler's own
//! libLLVM. No LLVM package is needed for this: linking takes nothing but the library's names.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::BPF_TARGET;
use crate::{
    bpf_compiler::{BpfCompiler, Core},
    workspace::{Workspace, find_program, run, shown},
};

/// The version to install, and the LLVM releases that it can be built for.
const VERSION: &str = "0.13.0";
const LLVM_MAJORS: [u32; 3] = [21, 22, 23];

/// The least program that a linker must be able to link.
const TRIAL: &str = "#![no_std]\n#![no_main]\n\
    #[panic_handler]\nfn panic(_: &core::panic::PanicInfo) -> ! { loop {} }\n\
    #[unsafe(no_mangle)]\n#[unsafe(link_section = \"classifier\")]\n\
    pub extern \"C\" fn trial() -> i32 { -1 }\n";

/// The bpf-linker to use: the project's own, else the one on `PATH`, else a new one.
pub fn ensure(workspace: &Workspace, compiler: &BpfCompiler) -> Result<PathBuf> {
    let tools = workspace.tools();
    fs::create_dir_all(&tools).with_context(|| format!("make {}", tools.display()))?;
    let source = tools.join("trial.rs");
    fs::write(&source, TRIAL).with_context(|| format!("write {}", source.display()))?;

    let own = tools.join("bin/bpf-linker");
    if own.is_file() {
        match works(&tools, compiler, &own).and_then(|()| built_for(&tools, compiler)) {
            Ok(()) => return Ok(own),
            Err(why) => {
                println!("setup: removing {}: {why:#}", own.display());
                // The build puts the project's tools first, so it must not find this one.
                fs::remove_file(&own).with_context(|| format!("remove {}", own.display()))?;
            }
        }
    }
    if let Some(linker) = find_program("bpf-linker") {
        match works(&tools, compiler, &linker) {
            Ok(()) => return Ok(linker),
            Err(why) => println!("setup: {} is of no use: {why:#}", linker.display()),
        }
    }
    install(&tools, compiler)?;
    works(&tools, compiler, &own).context("the bpf-linker just built does not work")?;
    Ok(own)
}

/// Whether the project's own linker was built for an LLVM as new as the compiler's.
fn built_for(tools: &Path, compiler: &BpfCompiler) -> Result<()> {
    let wanted = llvm_major(&compiler.rustc)?;
    let link = tools.join("llvm/lib/libLLVM.so");
    let library = fs::read_link(&link).with_context(|| format!("read {}", link.display()))?;
    let name = library.file_name().unwrap_or_default().to_string_lossy();
    let major = name.trim_start_matches(|c: char| !c.is_ascii_digit()).split(['.', '-']).next();
    match major.and_then(|major| major.parse::<u32>().ok()) {
        Some(major) if major >= wanted => Ok(()),
        Some(_) | None => bail!("it was built for {name}, and the compiler has LLVM {wanted}"),
    }
}

/// Links the least program with it; where there is no compiled core to do that with, sees at least that it starts.
fn works(tools: &Path, compiler: &BpfCompiler, linker: &Path) -> Result<()> {
    match compiler.core {
        Core::Precompiled => link_trial(tools, compiler, linker),
        Core::FromSource => succeeds(Command::new(linker).arg("--version")),
    }
}

fn link_trial(tools: &Path, compiler: &BpfCompiler, linker: &Path) -> Result<()> {
    succeeds(
        Command::new(&compiler.rustc)
            // With LTO the linker is handed what is used of core, not all of it: a tenth of the time.
            .args([
                "--crate-type=bin",
                "--edition=2024",
                "-Clto=fat",
                "-Cpanic=abort",
                "--target",
                BPF_TARGET,
            ])
            .arg(format!("-Clinker={}", linker.display()))
            .arg("-o")
            .arg(tools.join("trial.o"))
            .arg(tools.join("trial.rs")),
    )
}

/// Runs a command without showing what it prints, unless it fails.
fn succeeds(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("run {}", shown(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}", said.lines().next().unwrap_or("it fails and says nothing"));
    }
    Ok(())
}

fn install(tools: &Path, compiler: &BpfCompiler) -> Result<()> {
    let major = llvm_major(&compiler.rustc)?;
    if !LLVM_MAJORS.contains(&major) {
        bail!(
            "bpf-linker {VERSION} cannot be built for LLVM {major} of {compiler}. Put a bpf-linker for that LLVM on \
             PATH, or choose another compiler by {}",
            crate::bpf_compiler::TOOLCHAIN_VARIABLE
        );
    }
    let library = llvm_library(&compiler.sysroot, major).with_context(|| {
        format!(
            "no shared libLLVM {major} of {compiler}: install bpf-linker by hand \
             (`cargo install bpf-linker`, see its README for LLVM) so that it is on PATH"
        )
    })?;
    let prefix = llvm_prefix(&tools.join("llvm"), &library)?;
    println!(
        "setup: building bpf-linker {VERSION} against {} into {} (1 to 2 minutes): it links the kernel side",
        library.display(),
        tools.display()
    );
    let build = tools.join("build");
    run(Command::new("cargo")
        .args(["install", "bpf-linker", "--version", VERSION, "--locked", "--force", "--no-default-features"])
        .args(["--quiet", "--no-track"])
        .arg(format!("--features=llvm-{major}"))
        .arg("--root")
        .arg(tools)
        .arg("--target-dir")
        .arg(&build)
        .env("LLVM_PREFIX", prefix)
        // Its work is done inside libLLVM: optimizing the rest doubles the time to build it and gains nothing.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .env_remove("CARGO_BUILD_TARGET"))?;
    fs::remove_dir_all(&build).with_context(|| format!("remove {}", build.display()))
}

/// The major version of the LLVM in a compiler.
fn llvm_major(rustc: &Path) -> Result<u32> {
    let output =
        Command::new(rustc).arg("-vV").output().with_context(|| format!("run {}", rustc.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))
        .and_then(|version| version.split('.').next())
        .and_then(|major| major.parse().ok())
        .with_context(|| format!("{} -vV names no LLVM version", rustc.display()))
}

/// The shared library of LLVM that a compiler uses: in its own `lib/`, or in the system's directory for the machine
/// (`lib/x86_64-linux-gnu/` on Debian, `lib64/` on Fedora).
fn llvm_library(sysroot: &Path, major: u32) -> Result<PathBuf> {
    let lib = sysroot.join("lib");
    let mut directories = vec![lib.clone(), sysroot.join("lib64"), lib.join(format!("llvm-{major}/lib"))];
    let entries = fs::read_dir(&lib).with_context(|| format!("read {}", lib.display()))?;
    directories.extend(
        entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().ends_with("-linux-gnu"))
            .map(|entry| entry.path()),
    );
    let libraries: Vec<PathBuf> = directories
        .iter()
        .filter_map(|directory| fs::read_dir(directory).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .collect();
    // The first is the name that is loaded; the second may be a linker script that leads to it.
    let library = [format!("libLLVM.so.{major}"), format!("libLLVM-{major}")].iter().find_map(|wanted| {
        libraries.iter().find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(wanted.as_str()))
        })
    });
    library.cloned().with_context(|| format!("no libLLVM.so.{major} in {}", lib.display()))
}

/// Makes what bpf-linker's build takes for an installation of LLVM: a `lib/` with the library under the name that one
/// links with and under the one that is loaded.
fn llvm_prefix(prefix: &Path, library: &Path) -> Result<PathBuf> {
    let lib = prefix.join("lib");
    if lib.exists() {
        fs::remove_dir_all(&lib).with_context(|| format!("remove {}", lib.display()))?;
    }
    fs::create_dir_all(&lib).with_context(|| format!("make {}", lib.display()))?;
    let name = library.file_name().context("libLLVM without a name")?;
    for link in [lib.join("libLLVM.so"), lib.join(name)] {
        symlink(library, &link).with_context(|| format!("link {}", link.display()))?;
    }
    Ok(prefix.to_owned())
}
