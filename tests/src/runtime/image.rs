//! An image with a static busybox in it, made of a few files and `tar`.
use super::run;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes an archive that `ctr images import` and `podman load` take.
pub fn make(directory: &Path, name: &str) -> Result<PathBuf> {
    let parts = directory.join("image");
    let root = parts.join("root/bin");
    fs::create_dir_all(&root).context("making the image's directory")?;
    let busybox = super::files::find_program("busybox").context("no busybox: install busybox-static")?;
    fs::copy(busybox, root.join("busybox")).context("copying busybox")?;
    let tar = |archive: &str, of: &str, what: &[&str]| {
        let mut command = Command::new("tar");
        command.current_dir(&parts).args(["--owner=0", "--group=0", "-cf", archive, "-C", of]).args(what);
        run(&mut command)
    };
    tar("layer.tar", "root", &["bin"])?;
    let sum = run(Command::new("sha256sum").arg(parts.join("layer.tar")))?;
    let sum = sum.split_whitespace().next().context("no checksum")?;
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    fs::write(
        parts.join("config.json"),
        format!(
            r#"{{"architecture":"{architecture}","os":"linux","config":{{"Entrypoint":["/bin/busybox","sleep","86400"]}},"rootfs":{{"type":"layers","diff_ids":["sha256:{sum}"]}}}}"#
        ),
    )?;
    fs::write(
        parts.join("manifest.json"),
        format!(r#"[{{"Config":"config.json","RepoTags":["{name}"],"Layers":["layer.tar"]}}]"#),
    )?;
    tar("../image.tar", ".", &["manifest.json", "config.json", "layer.tar"])?;
    Ok(directory.join("image.tar"))
}
