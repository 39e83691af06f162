//! What `cargo xtask dist` packs, used as those who get it do: run, installed, read, completed, unpacked.
use super::check;
use anyhow::{Context as _, Result, ensure};
use mtuprobe_tests::{release, service::Scratch};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

fn shown(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}

#[test]
fn the_binary_needs_nothing_of_the_system() -> Result<()> {
    let root = Scratch::new("empty-root")?;
    fs::copy(release::directory()?.join("mtuprobe"), root.path().join("mtuprobe"))?;
    let root = shown(root.path())?;
    let version = check("chroot", &[root, "/mtuprobe", "--version"])?;
    assert_eq!(version.trim(), format!("mtuprobe {}", env!("CARGO_PKG_VERSION")));
    let explained = check("chroot", &[root, "/mtuprobe", "explain", "pmtu_black_hole"])?;
    assert!(explained.contains("ICMP"), "{explained}");
    Ok(())
}

#[test]
fn the_sums_are_those_of_all_files() -> Result<()> {
    let directory = release::directory()?;
    let list = fs::read_to_string(directory.join("SHA256SUMS"))?;
    check("sh", &["-c", "cd \"$0\" && sha256sum --strict --check SHA256SUMS", shown(&directory)?])?;
    for name in ["mtuprobe", "man/mtuprobe.1", "completions/_mtuprobe", "-image.tar", ".deb"] {
        assert!(list.lines().any(|line| line.ends_with(name)), "no {name}: {list}");
    }
    Ok(())
}

#[test]
fn man_pages_are_pages() -> Result<()> {
    let pages = fs::read_dir(release::directory()?.join("man"))?.collect::<Result<Vec<_>, _>>()?;
    for command in ["watch", "serve", "check", "path", "histogram", "pods", "explain", "replay", "bundle"] {
        let name = format!("mtuprobe-{command}.1");
        let page = pages.iter().find(|page| page.file_name() == name.as_str());
        let page = page.with_context(|| format!("no {name}"))?.path();
        // With all warnings: bad requests, missing fonts, lines that cannot be broken.
        let mut groff = Command::new("groff");
        groff.args(["-K", "utf8", "-man", "-ww", "-Tutf8", "-P-cbou"]).arg(&page);
        let shown = groff.output().context("running groff, which `cargo xtask test` installs")?;
        let warnings = String::from_utf8_lossy(&shown.stderr);
        // Without the spaces by which lines are justified.
        let text = String::from_utf8_lossy(&shown.stdout);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(shown.status.success() && warnings.is_empty(), "{name}: {warnings}");
        ensure!(text.contains("SYNOPSIS") && text.contains(&format!("mtuprobe {command}")), "{name}: {text}");
    }
    Ok(())
}

#[test]
fn bash_completes_commands_and_options() -> Result<()> {
    let file = release::directory()?.join("completions/mtuprobe.bash");
    let complete = |words: &str| {
        // As bash calls it: the command, the word to complete, and the one before.
        let script = format!(
            ". \"$0\"; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _mtuprobe mtuprobe \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        check("bash", &["--norc", "-c", &script, shown(&file)?])
    };
    assert_eq!(complete("mtuprobe wa")?.trim(), "watch");
    assert_eq!(complete("mtuprobe histogram --inte")?.trim(), "--interface\n--interval");
    assert!(complete("mtuprobe watch --output j")?.contains("json"));
    Ok(())
}

/// The layout of an image, which is what container runtimes read.
#[test]
fn the_image_is_one_layer_with_the_binary() -> Result<()> {
    let scratch = Scratch::new("image")?;
    let layout = scratch.path();
    check("tar", &["-xf", shown(&release::image()?)?, "-C", shown(layout)?])?;
    let read = |path: &Path| -> Result<Value> { Ok(serde_json::from_slice(&fs::read(path)?)?) };
    let blob = |descriptor: &Value| -> Result<_> {
        let digest = descriptor["digest"].as_str().and_then(|digest| digest.strip_prefix("sha256:"));
        let digest = digest.context("a digest")?;
        let path = layout.join("blobs/sha256").join(digest);
        let sum = check("sha256sum", &[shown(&path)?])?;
        ensure!(sum.starts_with(digest), "{digest} is {sum}");
        ensure!(fs::metadata(&path)?.len() == descriptor["size"].as_u64().context("a size")?);
        Ok(path)
    };
    assert_eq!(read(&layout.join("oci-layout"))?["imageLayoutVersion"], "1.0.0");
    let manifest = read(&blob(&read(&layout.join("index.json"))?["manifests"][0])?)?;
    let config = read(&blob(&manifest["config"])?)?;
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/usr/bin/mtuprobe"]));
    let layer = blob(&manifest["layers"][0])?;
    assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);
    let files = check("tar", &["-tf", shown(&layer)?])?;
    let files: Vec<&str> = files.lines().filter(|name| !name.ends_with('/')).collect();
    assert_eq!(files, ["./usr/bin/mtuprobe"]);
    Ok(())
}

#[test]
fn the_debian_package_is_installed_and_removed() -> Result<()> {
    let scratch = Scratch::new("debian")?;
    let root = scratch.path();
    fs::create_dir_all(root.join("var/lib/dpkg/updates"))?;
    fs::create_dir_all(root.join("var/lib/dpkg/info"))?;
    fs::write(root.join("var/lib/dpkg/status"), "")?;
    let package = release::file(".deb")?;
    let dpkg = |arguments: &[&str]| {
        let root = format!("--root={}", shown(root)?);
        check("dpkg", &[&[root.as_str(), "--force-not-root", "--force-bad-path"], arguments].concat())
    };
    dpkg(&["--install", shown(&package)?])?;
    for file in [
        "usr/bin/mtuprobe",
        "lib/systemd/system/mtuprobe.service",
        "etc/mtuprobe/mtuprobe.toml",
        "usr/share/man/man1/mtuprobe-serve.1.gz",
        "usr/share/bash-completion/completions/mtuprobe",
        "usr/share/doc/mtuprobe/copyright",
    ] {
        ensure!(root.join(file).is_file(), "no {file}");
    }
    let unit = fs::read_to_string(root.join("lib/systemd/system/mtuprobe.service"))?;
    ensure!(
        unit.contains("ExecStart=/usr/bin/mtuprobe serve --config /etc/mtuprobe/mtuprobe.toml"),
        "{unit}"
    );
    let version = check(shown(&root.join("usr/bin/mtuprobe"))?, &["--version"])?;
    ensure!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    let told = dpkg(&["--status", "mtuprobe"])?;
    ensure!(told.contains("Status: install ok installed"), "{told}");
    dpkg(&["--remove", "mtuprobe"])?;
    ensure!(!root.join("usr/bin/mtuprobe").exists(), "the binary stays");
    ensure!(root.join("etc/mtuprobe/mtuprobe.toml").exists(), "what an administrator wrote goes");
    Ok(())
}
