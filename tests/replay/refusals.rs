//! What is no recording is refused, with the reason and exit status 2.
use crate::replayed::{directory, replay};
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;

/// A file that is removed with this.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("mtuprobe-replay-{}-{name}", std::process::id()));
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind at worst: the directory is for temporary files.
        let _left = std::fs::remove_file(&self.0);
    }
}

fn demo() -> Result<String> {
    std::fs::read_to_string(directory().join("demo.jsonl")).context("reading a recording")
}

fn expect_refusal(file: &std::path::Path, because: &str) -> Result<()> {
    let replayed = replay(file, &[])?;
    ensure!(replayed.status == Some(2) && replayed.stdout.is_empty(), "{}", replayed.stdout);
    let line = replayed.stderr.trim_end();
    ensure!(
        line.starts_with("mtuprobe: replay ") && line.contains(because) && !line.contains('\n'),
        "{line}"
    );
    Ok(())
}

#[test]
fn a_version_that_is_not_known() -> Result<()> {
    let newer = demo()?.replacen("\"version\":1", "\"version\":77", 1);
    expect_refusal(&Scratch::new("version", &newer)?.0, "version 77")
}

#[test]
fn a_file_that_is_no_recording() -> Result<()> {
    for (name, text) in
        [("empty", ""), ("text", "hello\n"), ("output", "{\"type\":\"start\",\"version\":\"0.1.0\"}\n")]
    {
        expect_refusal(&Scratch::new(name, text)?.0, "no recording")?;
    }
    Ok(())
}

#[test]
fn a_file_that_is_not_there() -> Result<()> {
    expect_refusal(&directory().join("nothing.jsonl"), "No such file")
}

#[test]
fn a_recording_that_is_cut_anywhere_is_replayed_so_far() -> Result<()> {
    let whole = demo()?;
    let header = whole.find('\n').context("a line")? + 1;
    for part in 0..12 {
        let mut cut = header + (whole.len() - header) * part / 12;
        while !whole.is_char_boundary(cut) {
            cut += 1;
        }
        let replayed = replay(&Scratch::new("cut", &whole[..cut])?.0, &["--output=json"])?;
        ensure!(replayed.stderr.is_empty() && replayed.status != Some(2), "{}", replayed.stderr);
        ensure!(replayed.stdout.contains("\"recording_cut\""), "{}", replayed.stdout);
    }
    Ok(())
}
