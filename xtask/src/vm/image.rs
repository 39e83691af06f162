//! The distribution's kernels: found, downloaded and unpacked below the target directory, never installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

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
        let newest = match package(series) {
            Some(package) => Some(package),
            None if setup::refresh_packages().is_ok() => package(series),
            None => None,
        };
        let Some(package) = newest.or_else(|| unpacked(&kernels, series)) else {
            bail!("the distribution has no cloud kernel {series}, or its lists cannot be had")
        };
        let release = package.trim_start_matches("linux-image-").to_owned();
        let root = kernels.join(&package);
        if !root.is_dir() {
            // In a directory of its own until it is whole.
            let unfinished = kernels.join(format!("{package}.unfinished"));
            let _absent = fs::remove_dir_all(&unfinished);
            fs::create_dir_all(&unfinished).with_context(|| format!("create {}", unfinished.display()))?;
            println!("{series}: downloading {package}");
            if download(&package, &unfinished).is_err() {
                // A list of yesterday names packages that the mirror has replaced.
                setup::refresh_packages()?;
                download(&package, &unfinished)?;
            }
            unpack(&unfinished)?;
            run(Command::new("depmod").arg("--basedir").arg(&unfinished).arg(&release))?;
            fs::rename(&unfinished, &root).with_context(|| format!("create {}", root.display()))?;
        }
        Ok(Self { release, root })
    }

    /// What the machine boots.
    pub fn kernel(&self) -> PathBuf {
        self.root.join(format!("boot/vmlinuz-{}", self.release))
    }
}

/// Name of the package with the newest cloud kernel of a series: what one of two packages without files depends on.
fn package(series: &str) -> Option<String> {
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

fn download(package: &str, directory: &Path) -> Result<()> {
    let mut apt = Command::new("apt-get");
    // As the user who calls, because apt's own user may not write below the target directory.
    apt.args(["--quiet", "--option=APT::Sandbox::User=root", "download", package]).current_dir(directory);
    run(&mut apt)
}

/// Unpacks the one package that lies in `directory` there, and removes it.
fn unpack(directory: &Path) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("read {}", directory.display()))?;
    let archive = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .with_context(|| format!("no package was downloaded into {}", directory.display()))?;
    run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(directory))?;
    fs::remove_file(&archive).with_context(|| format!("remove {}", archive.display()))
}
