//! The Debian package: binary, unit, configuration, man pages, completions.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

use super::{Release, Staging};
use crate::workspace::run;

pub fn write(release: &Release) -> Result<()> {
    let staging = Staging::new(release, "deb")?;
    let from = |path: &str| release.root.join(path);
    staging.copy(&release.directory.join("mtuprobe"), "usr/bin/mtuprobe")?;
    staging.copy(&from("deploy/systemd/mtuprobe.service"), "lib/systemd/system/mtuprobe.service")?;
    staging.copy(&from("deploy/systemd/mtuprobe.toml"), "etc/mtuprobe/mtuprobe.toml")?;
    staging.copy(&from("README.md"), "usr/share/doc/mtuprobe/README.md")?;
    staging.copy(&from("CHANGELOG.md"), "usr/share/doc/mtuprobe/changelog")?;
    write_copyright(release, &staging.0.join("usr/share/doc/mtuprobe/copyright"))?;
    let alerts = "deploy/helm/mtuprobe/files/alerts.yaml";
    staging.copy(&from(alerts), "usr/share/doc/mtuprobe/examples/alerts.yaml")?;
    for page in fs::read_dir(release.directory.join("man")).context("read the man pages")? {
        let page = page.context("read the man pages")?;
        let name = page.file_name().to_string_lossy().into_owned();
        staging.copy(&page.path(), &format!("usr/share/man/man1/{name}"))?;
    }
    // As Debian's policy wants them (12.1, 12.7); without a time in them, so that the same gives the same.
    run(Command::new("sh")
        .args(["-c", "gzip --best --no-name \"$0\"/man/man1/*.1 \"$0\"/doc/mtuprobe/changelog"])
        .arg(staging.0.join("usr/share")))?;
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
        // Any fixed time but one so old that Debian takes it for a mistake.
        .env("SOURCE_DATE_EPOCH", "1767225600")
        .args(["--root-owner-group", "-Zgzip", "--build"])
        .arg(&staging.0)
        .arg(release.directory.join(package)))
}

/// The licences, of which one is on every Debian system already (policy 12.5).
fn write_copyright(release: &Release, file: &Path) -> Result<()> {
    let read =
        |name: &str| fs::read_to_string(release.root.join(name)).with_context(|| format!("read {name}"));
    let text = format!(
        "{}\nLICENSE-APACHE is /usr/share/common-licenses/Apache-2.0 on a Debian system. LICENSE-MIT:\n\n{}",
        read("LICENSE")?,
        read("LICENSE-MIT")?
    );
    fs::write(file, text).with_context(|| format!("write {}", file.display()))
}
