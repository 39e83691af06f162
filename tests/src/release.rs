//! What `cargo xtask dist --dev` packed.
use anyhow::{Context as _, Result, ensure};
use std::path::PathBuf;

/// Environment variable with the directory.
pub const DIRECTORY_VARIABLE: &str = "MTUPROBE_DIST";

/// Where it is: as the variable says, else where the command puts it.
pub fn directory() -> Result<PathBuf> {
    let directory = std::env::var_os(DIRECTORY_VARIABLE).map_or_else(
        || {
            let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/dist-dev");
            target.join(std::env::consts::ARCH)
        },
        PathBuf::from,
    );
    ensure!(directory.is_dir(), "no {}: run `cargo xtask dist --dev`", directory.display());
    directory.canonicalize().with_context(|| format!("find {}", directory.display()))
}

/// The one file of it whose name ends so.
pub fn file(ending: &str) -> Result<PathBuf> {
    let directory = directory()?;
    let entries = std::fs::read_dir(&directory).with_context(|| format!("list {}", directory.display()))?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ending)))
        .collect();
    let file = found.pop().with_context(|| format!("no …{ending} in {}", directory.display()))?;
    ensure!(found.is_empty(), "more than one …{ending} in {}", directory.display());
    Ok(file)
}

/// The archive of the image.
pub fn image() -> Result<PathBuf> {
    file("-image.tar")
}
