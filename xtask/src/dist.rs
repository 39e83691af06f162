//! `cargo xtask dist`: what is released, in `target/dist/ARCH`: the static binary, man pages, completions, an image archive, a
//! Debian package, and the sums of them all. The same sources give the same bytes.

mod deb;
mod image;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::{
    setup,
    workspace::{Workspace, find_program, run as run_command, shown},
};

#[derive(Args)]
pub struct Arguments {
    /// Architecture: x86_64 or aarch64; for another than this machine's, its compiler is installed
    #[arg(long, default_value = std::env::consts::ARCH)]
    arch: String,

    /// Package a build of the dev profile, in `target/dist-dev`, to look at the packages; not for release
    #[arg(long)]
    dev: bool,
}

/// What is packed, and for which machine.
#[derive(Debug)]
struct Release {
    version: String,
    /// As Rust names it: `x86_64`.
    arch: String,
    /// As Debian and container registries name it: `amd64`.
    debian_arch: &'static str,
    root: PathBuf,
    /// Where everything goes.
    directory: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    setup::run()?;
    let directory = pack(&Workspace::locate()?, arguments)?;
    println!("dist: complete, in {}", directory.display());
    Ok(())
}

/// The packages of a build of the dev profile, which shares its target directory with the emulated machines: what the
/// tests look at.
pub fn for_tests(workspace: &Workspace) -> Result<PathBuf> {
    pack(workspace, &Arguments { arch: std::env::consts::ARCH.to_owned(), dev: true })
}

fn pack(workspace: &Workspace, arguments: &Arguments) -> Result<PathBuf> {
    let debian_arch = match arguments.arch.as_str() {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("dist knows x86_64 and aarch64, not {other}"),
    };
    if arguments.arch != std::env::consts::ARCH {
        install_compiler(&arguments.arch, debian_arch)?;
    }
    // Built first: a failure leaves what is there.
    let built = build(workspace, arguments)?;
    let directory = directory(workspace, &arguments.arch, arguments.dev);
    if directory.exists() {
        fs::remove_dir_all(&directory).with_context(|| format!("empty {}", directory.display()))?;
    }
    fs::create_dir_all(&directory).with_context(|| format!("make {}", directory.display()))?;
    let release = Release {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        arch: arguments.arch.clone(),
        debian_arch,
        root: workspace.root.clone(),
        directory,
    };
    let binary = release.directory.join("mtuprobe");
    fs::copy(built, &binary).context("copy the binary")?;
    if arguments.dev {
        // As the release profile does.
        run_command(Command::new(tool(&release.arch, "strip")).arg("--strip-debug").arg(&binary))?;
    }
    is_static(&binary)?;
    write_reference(workspace, &release)?;
    image::write(&release)?;
    deb::write(&release)?;
    sums(&release)?;
    Ok(release.directory)
}

/// Where packages go: what was packed for another architecture stays.
pub fn directory(workspace: &Workspace, arch: &str, is_dev: bool) -> PathBuf {
    workspace.target.join(if is_dev { "dist-dev" } else { "dist" }).join(arch)
}

/// What compiling for another machine takes: the standard library by rustup, C compiler and library of the distribution.
fn install_compiler(arch: &str, debian_arch: &str) -> Result<()> {
    let gcc = tool(arch, "gcc");
    if find_program(&gcc).is_none() {
        let package = format!("gcc-{}-linux-gnu", arch.replace('_', "-"));
        let library = format!("libc6-dev-{debian_arch}-cross");
        setup::install(&[&package, &library], &format!("`{gcc}` links for {arch}"))?;
    }
    run_command(Command::new("rustup").args(["target", "add", &rust_target(arch)]))
        .with_context(|| format!("install Rust's standard library for {arch}"))
}

/// A tool of binutils or gcc for an architecture.
fn tool(arch: &str, name: &str) -> String {
    if arch == std::env::consts::ARCH { name.to_owned() } else { format!("{arch}-linux-gnu-{name}") }
}

fn rust_target(arch: &str) -> String {
    format!("{arch}-unknown-linux-gnu")
}

/// Builds the binary without shared libraries.
fn build(workspace: &Workspace, arguments: &Arguments) -> Result<PathBuf> {
    let target = rust_target(&arguments.arch);
    let (option, profile) = if arguments.dev { ("--workspace", "debug") } else { ("--release", "release") };
    let variable = format!("CARGO_TARGET_{}_RUSTFLAGS", target.replace('-', "_").to_uppercase());
    let mut cargo = workspace.cargo();
    cargo
        // As for the emulated machines, so that a build of the dev profile is shared with them.
        .env(variable, "-Ctarget-feature=+crt-static")
        .env_remove("RUSTFLAGS")
        .args(["build", option, "--bin=mtuprobe", "--target", &target]);
    if arguments.arch != std::env::consts::ARCH {
        let linker = format!("CARGO_TARGET_{}_LINKER", target.replace('-', "_").to_uppercase());
        cargo.env(linker, tool(&arguments.arch, "gcc"));
    }
    run_command(&mut cargo)?;
    Ok(workspace.target.join(target).join(profile).join("mtuprobe"))
}

/// A binary that needs a loader would not run in an image without one.
fn is_static(binary: &Path) -> Result<()> {
    let output = Command::new("readelf").args(["--program-headers", "--wide"]).arg(binary).output();
    let headers = String::from_utf8_lossy(&output.context("run readelf (binutils)")?.stdout).into_owned();
    ensure!(headers.contains("LOAD"), "{} is no program", binary.display());
    ensure!(!headers.contains("INTERP"), "{} wants a dynamic loader", binary.display());
    Ok(())
}

/// Man pages and completions, made from the command line's own definition.
fn write_reference(workspace: &Workspace, release: &Release) -> Result<()> {
    run_command(workspace.cargo().args(["build", "--workspace", "--bin=reference"]))?;
    run_command(Command::new(workspace.binary("reference")).arg(&release.directory))
}

/// Checksums of all files, for `sha256sum --check`.
fn sums(release: &Release) -> Result<()> {
    let listed = output(
        Command::new("find").args([".", "-type", "f", "-printf", "%P\\n"]).current_dir(&release.directory),
    )?;
    let mut names: Vec<&str> = listed.lines().collect();
    names.sort_unstable();
    let sums = output(Command::new("sha256sum").args(names).current_dir(&release.directory))?;
    fs::write(release.directory.join("SHA256SUMS"), sums).context("write SHA256SUMS")
}

/// What a command prints; anything but success is an error.
fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("run {}", shown(command)))?;
    ensure!(
        output.status.success(),
        "`{}` failed ({}): {}",
        shown(command),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A tar archive of a directory whose bytes depend on its files alone.
fn tar(directory: &Path, archive: &Path) -> Result<()> {
    run_command(
        Command::new("tar")
            .args(["--create", "--format=ustar", "--sort=name", "--mtime=@0"])
            .args(["--owner=0", "--group=0", "--numeric-owner", "--mode=u+rwX,go+rX,go-w"])
            .arg("--file")
            .arg(archive)
            .arg("--directory")
            .arg(directory)
            .arg("."),
    )
}

/// A directory that goes when it is no longer needed.
struct Staging(PathBuf);

impl Staging {
    fn new(release: &Release, name: &str) -> Result<Self> {
        let path = release.directory.join(format!(".{name}"));
        fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(Self(path))
    }

    /// Copies a file in, with the directories above it.
    fn copy(&self, from: &Path, to: &str) -> Result<()> {
        let to = self.0.join(to);
        let parent = to.parent().context("a file without a directory")?;
        fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        fs::copy(from, &to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("dist: remove {}: {error}", self.0.display());
        }
    }
}
