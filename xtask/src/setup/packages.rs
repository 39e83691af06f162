//! Packages of the distribution.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::workspace::{find_program, is_root, run};

/// A program that must be there.
#[derive(Debug)]
pub struct Requirement {
    pub program: &'static str,
    /// Debian's package of it.
    pub package: &'static str,
    pub why: &'static str,
}

/// Installs the packages of those programs that are missing.
///
/// # Errors
/// Without apt or the right to use it, with the list of what is to be installed by hand.
pub fn install_missing(requirements: &[Requirement]) -> Result<()> {
    let missing: Vec<&Requirement> =
        requirements.iter().filter(|requirement| find_program(requirement.program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let reasons: Vec<String> =
        missing.iter().map(|missing| format!("`{}` {}", missing.program, missing.why)).collect();
    let mut packages: Vec<&str> = missing.iter().map(|missing| missing.package).collect();
    packages.dedup();
    install(&packages, &reasons.join(", "))?;
    let absent: Vec<&str> = missing
        .iter()
        .map(|missing| missing.program)
        .filter(|program| find_program(program).is_none())
        .collect();
    if !absent.is_empty() {
        bail!("{} installed, but still no program {} on PATH", packages.join(" "), absent.join(", "));
    }
    Ok(())
}

/// Installs packages, without those that they merely recommend.
pub fn install(packages: &[&str], why: &str) -> Result<()> {
    let list = packages.join(" ");
    let by_hand = format!("apt-get install --no-install-recommends {list}");
    if find_program("apt-get").is_none() {
        bail!(
            "missing: {why}. This system has no apt-get, so install what Debian calls {list} with your \
             package manager"
        );
    }
    if !is_root() && find_program("sudo").is_none() {
        bail!("missing: {why}. Neither root nor sudo, so run as root: `{by_hand}`");
    }
    println!("setup: installing {list}: {why}");
    refresh()?;
    run(as_root("apt-get").args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(packages))
        .with_context(|| format!("install packages; to see more, run as root: `{by_hand}`"))
}

/// Unpacks a package into a directory, and installs nothing: no service is started, and removing the directory undoes it.
pub fn unpack(package: &str, directory: &Path, why: &str) -> Result<()> {
    println!("setup: unpacking {package} into {}: {why}", directory.display());
    refresh()?;
    fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    run(Command::new("apt-get").current_dir(directory).args(["download", "--quiet", package]))
        .with_context(|| format!("download {package}"))?;
    let is_archive = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "deb");
    for archive in fs::read_dir(directory)?.flatten().map(|entry| entry.path()).filter(is_archive) {
        run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(directory))?;
        fs::remove_file(&archive).with_context(|| format!("remove {}", archive.display()))?;
    }
    Ok(())
}

/// Fetches the lists of what there is.
pub fn refresh() -> Result<()> {
    run(as_root("apt-get").args(["update", "--quiet"])).context("refresh the list of packages")
}

fn as_root(program: impl AsRef<OsStr>) -> Command {
    // Through env, because sudo drops variables.
    let mut command = if is_root() { Command::new("env") } else { Command::new("sudo") };
    if !is_root() {
        command.arg("env");
    }
    command.arg("DEBIAN_FRONTEND=noninteractive").arg(program);
    command
}
