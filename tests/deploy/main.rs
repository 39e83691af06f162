//! What gets mtuprobe onto nodes and tells of it there: alert rules, dashboard, chart, unit, profile. Each is checked by the
//! program that it is for. The seccomp profile is held against what the binary really calls, which needs root.
mod chart;
mod dashboard;
mod packages;
mod readme;
mod rules;
mod seccomp;
mod unit;

use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of the project.
fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(project(path)).with_context(|| format!("read {path}"))
}

/// Runs a checker; it succeeds and its output is given, or everything that it said is the error.
fn check(program: &str, arguments: &[&str]) -> Result<String> {
    let output =
        Command::new(program).args(arguments).current_dir(project(".")).output().with_context(|| {
            format!("{program}, which `cargo xtask setup` or `cargo xtask test` installs")
        })?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    anyhow::ensure!(output.status.success(), "{program} {arguments:?}: {}\n{said}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The names of metrics in a text: words that begin as ours do.
fn metrics_in(text: &str) -> Vec<String> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words = text.split(|character| !is_part(character));
    let ours = words.filter(|word| word.starts_with("mtuprobe_") || word.starts_with("process_"));
    ours.map(|word| {
        let bare = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| word.strip_suffix(suffix));
        bare.unwrap_or(word).to_owned()
    })
    .collect()
}

/// Whether the binary tells a metric.
fn is_told(name: &str) -> bool {
    probe_user::service::metrics::catalogue::ALL.iter().any(|metric| metric.name == name)
}
