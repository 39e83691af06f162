//! The distribution's kernels: found, downloaded and unpacked below the target directory, never installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use super::package;
use crate::{
    setup,
    workspace::{Workspace, run},
};

/// An unpacked kernel.
#[derive(Debug)]
pub struct Image {
    /// As `uname -r` says.
    pub release: String,
    /// The directory with `boot` and `lib/modules`.
    pub root: PathBuf,
}

impl Image {
    /// Finds the newest kernel of a series, and downloads it unless that was done before.
    pub fn fetch(workspace: &Workspace, series: &str) -> Result<Self> {
        let kernels = workspace.target.join("vm/kernels");
        let found = match newest(series) {
            Some(package) => Some(package),
            None if setup::refresh_packages().is_ok() => newest(series),
            None => None,
        };
        let Some(package) = found.or_else(|| unpacked(&kernels, series)) else {
            bail!("the distribution has no cloud kernel {series}, or its lists cannot be had")
        };
        let release = package.trim_start_matches("linux-image-").to_owned();
        let root = kernels.join(&package);
        package::unpack(&package, &root, |tree| {
            run(Command::new("depmod").arg("--basedir").arg(tree).arg(&release))
        })?;
        Ok(Self { release, root })
    }

    /// What the machine boots.
    pub fn kernel(&self) -> PathBuf {
        self.root.join(format!("boot/vmlinuz-{}", self.release))
    }
}

/// Name of the package with the newest cloud kernel of a series: what one of two packages without files depends on.
fn newest(series: &str) -> Option<String> {
    let collections = [format!("linux-image-{series}-cloud-amd64"), "linux-image-cloud-amd64".to_owned()];
    let prefix = format!("linux-image-{series}.");
    collections.iter().find_map(|collection| {
        let output = Command::new("apt-cache").args(["depends", collection]).output().ok()?;
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut names = listed.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        names.find(|name| name.starts_with(&prefix)).map(ToOwned::to_owned)
    })
}

/// The last by name of a series that is there already.
fn unpacked(kernels: &Path, series: &str) -> Option<String> {
    let prefix = format!("linux-image-{series}.");
    let names = fs::read_dir(kernels).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with(&prefix) && !name.ends_with(".unfinished")).max()
}
