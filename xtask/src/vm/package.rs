//! Packages of the distribution, unpacked below the target directory and never installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    setup,
    workspace::{Workspace, run},
};

/// A program that the lab of the guests calls, and the packages that it is in.
pub struct Program {
    /// Its path in the first package.
    pub path: &'static str,
    /// Its own package, then those of libraries that this machine may lack.
    pub packages: &'static [&'static str],
}

/// Not installed, because the first would start daemons and the second is of no use here.
pub const PROGRAMS: [Program; 2] = [
    Program { path: "usr/bin/ovs-dpctl", packages: &["openvswitch-switch", "libxdp1", "libunbound8"] },
    Program { path: "usr/bin/wg", packages: &["wireguard-tools"] },
];

/// Unpacks all packages of [`PROGRAMS`], unless that was done before.
pub fn fetch_programs(workspace: &Workspace) -> Result<()> {
    for package in PROGRAMS.iter().flat_map(|program| program.packages) {
        unpack(package, &place(workspace, package), |_| Ok(()))?;
    }
    Ok(())
}

/// Where a package is unpacked.
pub fn place(workspace: &Workspace, package: &str) -> PathBuf {
    workspace.target.join("vm/packages").join(package)
}

/// Downloads a package and unpacks it to `root`, unless it is there. `finish` completes the tree.
pub fn unpack(package: &str, root: &Path, finish: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if root.is_dir() {
        return Ok(());
    }
    // In a directory of its own until it is whole.
    let mut unfinished = root.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let _absent = fs::remove_dir_all(&unfinished);
    fs::create_dir_all(&unfinished).with_context(|| format!("create {}", unfinished.display()))?;
    println!("downloading {package}");
    if download(package, &unfinished).is_err() {
        // A list of yesterday names packages that the mirror has replaced.
        setup::refresh_packages()?;
        download(package, &unfinished)?;
    }
    extract(&unfinished)?;
    finish(&unfinished)?;
    fs::rename(&unfinished, root).with_context(|| format!("create {}", root.display()))
}

fn download(package: &str, directory: &Path) -> Result<()> {
    let mut apt = Command::new("apt-get");
    // As the user who calls, because apt's own user may not write below the target directory.
    apt.args(["--quiet", "--option=APT::Sandbox::User=root", "download", package]).current_dir(directory);
    run(&mut apt)
}

/// Extracts the one package that lies in `directory` there, and removes it.
fn extract(directory: &Path) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("read {}", directory.display()))?;
    let archive = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .with_context(|| format!("no package was downloaded into {}", directory.display()))?;
    run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(directory))?;
    fs::remove_file(&archive).with_context(|| format!("remove {}", archive.display()))
}
