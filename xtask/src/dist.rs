//! `cargo xtask dist`: what is released, in `target/dist`: the static binary, man pages, completions, an image archive, a
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
    workspace::{Workspace, run as run_command, shown},
};

#[derive(Args)]
pub struct Arguments {
    /// Architecture: x86_64, or aarch64 where rustup has its target and the distribution its compiler
    #[arg(long, default_value = "x86_64")]
    arch: String,

    /// Package a build of the dev profile, to look at the packages; not for release
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
    let workspace = Workspace::locate()?;
    let debian_arch = match arguments.arch.as_str() {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("dist knows x86_64 and aarch64, not {other}"),
    };
    let directory = workspace.target.join("dist");
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
    fs::copy(build(&workspace, arguments)?, &binary).context("copy the binary")?;
    is_static(&binary)?;
    write_reference(&workspace, &release)?;
    image::write(&release)?;
    deb::write(&release)?;
    sums(&release)?;
    println!("dist: complete, in {}", release.directory.display());
    Ok(())
}

/// Builds the binary without shared libraries.
fn build(workspace: &Workspace, arguments: &Arguments) -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", arguments.arch);
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
        cargo.env(linker, format!("{}-linux-gnu-gcc", arguments.arch));
    }
    run_command(&mut cargo).with_context(|| {
        format!(
            "build for {target}; another architecture needs `rustup target add {target}` and Debian's \
             gcc-{}-linux-gnu",
            arguments.arch.replace('_', "-")
        )
    })?;
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
