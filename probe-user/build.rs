//! Builds the kernel side, package `probe-ebpf`, and puts its object as `probe-ebpf` into `OUT_DIR`.
//!
//! `aya_build::build_ebpf` keeps its target directory inside `OUT_DIR`, so every profile, every test build and every
//! edit of a build script compiles the whole kernel side anew. Here it has one directory of its own.

#[path = "../xtask/src/bpf_compiler.rs"]
mod bpf_compiler;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use bpf_compiler::{BpfCompiler, Core, TOOLCHAIN_VARIABLE};

/// A ready-made object to be included instead of building one.
const OBJECT_VARIABLE: &str = "PROBE_EBPF_OBJECT";
/// `1` builds without a kernel side, for lint runs on machines that have no BPF compiler. The binary then
/// refuses to observe (`cfg(probe_ebpf_skipped)`).
const SKIP_VARIABLE: &str = "PROBE_EBPF_SKIP";
/// The sources that the object depends on, relative to the workspace.
const SOURCES: [&str; 6] = [
    "Cargo.lock",
    "Cargo.toml",
    "probe-common/Cargo.toml",
    "probe-common/src",
    "probe-ebpf/Cargo.toml",
    "probe-ebpf/src",
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // The form of an error that cargo shows without `build script failed, must exit now`.
            for line in why.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    println!("cargo::rustc-check-cfg=cfg(probe_ebpf_skipped)");
    for variable in [OBJECT_VARIABLE, SKIP_VARIABLE, TOOLCHAIN_VARIABLE] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    let object = out_dir.join("probe-ebpf");

    if env::var(SKIP_VARIABLE).is_ok_and(|value| value == "1") {
        println!("cargo::rustc-cfg=probe_ebpf_skipped");
        println!("cargo::warning={SKIP_VARIABLE}=1: this build cannot observe anything");
        return fs::write(&object, []).map_err(|error| format!("write {}: {error}", object.display()));
    }
    if let Some(given) = env::var_os(OBJECT_VARIABLE).filter(|given| !given.is_empty()) {
        let given = PathBuf::from(given);
        println!("cargo::rerun-if-changed={}", given.display());
        return copy(&given, &object).map_err(|why| format!("{OBJECT_VARIABLE}: {why}"));
    }

    let workspace = workspace()?;
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    copy(&build(&workspace, &target_directory(&out_dir)?)?, &object)
}

/// Builds the object in `target_directory` and returns its path.
fn build(workspace: &Path, target_directory: &Path) -> Result<PathBuf, String> {
    let target = match variable("CARGO_CFG_TARGET_ENDIAN")?.as_str() {
        "big" => "bpfeb-unknown-none",
        _ => "bpfel-unknown-none",
    };
    let compiler = BpfCompiler::choose(target)?;
    println!("cargo::rerun-if-changed={}", compiler.rustc.display());
    let path = path_with_tools(workspace, target_directory)?;

    // Never the directory of the outer cargo: it holds the lock on it while it waits for this script.
    let debug_log = env::var_os("CARGO_FEATURE_DEBUG_LOG").is_some();
    let own_directory = target_directory.join(if debug_log { "ebpf-debug-log" } else { "ebpf" });

    let mut cargo = Command::new(cargo(&compiler));
    cargo
        .current_dir(workspace)
        .args(["build", "--quiet", "--color=never", "--release", "--package=probe-ebpf", "--bins"])
        .arg(format!("--target={target}"))
        .arg("--target-dir")
        .arg(&own_directory)
        .env("PATH", path)
        .env("RUSTC", &compiler.rustc)
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags()?);
    if debug_log {
        cargo.arg("--features=debug-log");
    }
    match compiler.core {
        // aya-ebpf needs one unstable feature, inline assembly for BPF, and nobody else may have any.
        Core::Precompiled => cargo.env("RUSTC_BOOTSTRAP", "aya_ebpf"),
        Core::FromSource => cargo.arg("-Zbuild-std=core"),
    };
    // What the outer cargo, clippy or the user set is meant for the host's compiler.
    for inherited in ["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(inherited);
    }

    let output = cargo.output().map_err(|error| format!("cannot run {cargo:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("building the kernel side with {compiler} failed:\n{said}"));
    }
    for line in said.lines() {
        println!("cargo::warning={line}");
    }
    Ok(own_directory.join(target).join("release").join("probe-ebpf"))
}

/// The cargo that goes with the compiler: `-Z build-std` wants the one of the same release, otherwise any will do.
fn cargo(compiler: &BpfCompiler) -> PathBuf {
    let own = compiler.sysroot.join("bin/cargo");
    match compiler.core {
        Core::FromSource if own.exists() => own,
        Core::FromSource | Core::Precompiled => {
            env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
        }
    }
}

/// The flags for the kernel side, in the form of `CARGO_ENCODED_RUSTFLAGS`.
fn rustflags() -> Result<String, String> {
    let arch = variable("CARGO_CFG_TARGET_ARCH")?;
    // aya-ebpf picks the register names of the traced machine by this; it knows one riscv64 only.
    let arch = if arch.starts_with("riscv64") { "riscv64" } else { arch.as_str() };
    let flags =
        [format!("--cfg=bpf_target_arch=\"{arch}\""), "-Cdebuginfo=2".into(), "-Clink-arg=--btf".into()];
    Ok(flags.join("\x1f"))
}

/// `PATH` with the tools that `cargo xtask setup` installed in front.
fn path_with_tools(workspace: &Path, target_directory: &Path) -> Result<std::ffi::OsString, String> {
    let inherited = env::var_os("PATH").unwrap_or_default();
    // Tools installed in the default place serve another target directory (CARGO_TARGET_DIR) as well.
    let tools = [target_directory.join("tools/bin"), workspace.join("target/tools/bin")];
    let directories: Vec<PathBuf> = tools.into_iter().chain(env::split_paths(&inherited)).collect();
    let linker = directories.iter().map(|directory| directory.join("bpf-linker")).find(|file| file.is_file());
    let Some(linker) = linker else {
        return Err(
            "bpf-linker is neither installed in the project nor on PATH: run `cargo xtask setup`".into()
        );
    };
    println!("cargo::rerun-if-changed={}", linker.display());
    env::join_paths(directories).map_err(|error| format!("PATH: {error}"))
}

/// The target directory of this build, wherever it was moved to: the parent of `[TRIPLE/]PROFILE/build/`.
fn target_directory(out_dir: &Path) -> Result<PathBuf, String> {
    let profile = out_dir.ancestors().find(|path| path.ends_with("build")).and_then(Path::parent);
    let mut directory = profile.and_then(Path::parent);
    if let Some(path) = directory
        && path.ends_with(variable("TARGET")?)
    {
        directory = path.parent();
    }
    directory.map(Path::to_owned).ok_or_else(|| format!("no target directory around {}", out_dir.display()))
}

fn workspace() -> Result<PathBuf, String> {
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    package.parent().map(Path::to_owned).ok_or_else(|| format!("no workspace around {}", package.display()))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    // Read and write, for fs::copy would carry a read-only mode over and fail the next time.
    let bytes = fs::read(from).map_err(|error| format!("read {}: {error}", from.display()))?;
    fs::write(to, bytes).map_err(|error| format!("write {}: {error}", to.display()))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
