//! The Debian package: binary, unit, configuration, man pages, completions.

use std::{fs, process::Command};

use anyhow::{Context as _, Result};

use super::{Release, Staging};
use crate::workspace::run;

pub fn write(release: &Release) -> Result<()> {
    let staging = Staging::new(release, "deb")?;
    let from = |path: &str| release.root.join(path);
    staging.copy(&release.directory.join("mtuprobe"), "usr/bin/mtuprobe")?;
    staging.copy(&from("deploy/systemd/mtuprobe.service"), "lib/systemd/system/mtuprobe.service")?;
    staging.copy(&from("deploy/systemd/mtuprobe.toml"), "etc/mtuprobe/mtuprobe.toml")?;
    for document in ["README.md", "CHANGELOG.md", "LICENSE", "LICENSE-MIT", "LICENSE-APACHE"] {
        staging.copy(&from(document), &format!("usr/share/doc/mtuprobe/{document}"))?;
    }
    let alerts = "deploy/helm/mtuprobe/files/alerts.yaml";
    staging.copy(&from(alerts), "usr/share/doc/mtuprobe/examples/alerts.yaml")?;
    for page in fs::read_dir(release.directory.join("man")).context("read the man pages")? {
        let page = page.context("read the man pages")?;
        let name = page.file_name().to_string_lossy().into_owned();
        staging.copy(&page.path(), &format!("usr/share/man/man1/{name}"))?;
    }
    let completions = release.directory.join("completions");
    for (file, to) in [
        ("mtuprobe.bash", "usr/share/bash-completion/completions/mtuprobe"),
        ("_mtuprobe", "usr/share/zsh/vendor-completions/_mtuprobe"),
        ("mtuprobe.fish", "usr/share/fish/vendor_completions.d/mtuprobe.fish"),
    ] {
        staging.copy(&completions.join(file), to)?;
    }
    let control = format!(
        "Package: mtuprobe\nVersion: {}\nArchitecture: {}\nSection: net\nPriority: optional\n\
         Maintainer: the mtuprobe maintainers <maintainers@mtuprobe.invalid>\nRecommends: nftables\n\
         Description: finds MTU and path MTU faults of a node\n \
         Watches packets in the kernel by eBPF and tells which are too big for the way\n \
         they take: which pod, which flow, which joint, whether the sender was told,\n \
         and what to do about it.\n",
        release.version, release.debian_arch
    );
    let debian = staging.0.join("DEBIAN");
    fs::create_dir_all(&debian).context("make DEBIAN")?;
    fs::write(debian.join("control"), control).context("write control")?;
    fs::write(debian.join("conffiles"), "/etc/mtuprobe/mtuprobe.toml\n").context("write conffiles")?;
    let package = format!("mtuprobe_{}_{}.deb", release.version, release.debian_arch);
    run(Command::new("dpkg-deb")
        .env("SOURCE_DATE_EPOCH", "0")
        .args(["--root-owner-group", "-Zgzip", "--build"])
        .arg(&staging.0)
        .arg(release.directory.join(package)))
}
