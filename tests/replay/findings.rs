//! Each recording leads to its findings, to the letter.
use crate::golden;
use crate::replayed::{directory, replay};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// All that is found so far: the kinds, and the reasons of black holes. Each has a recording at least.
const FOUND: [&str; 17] = [
    "pmtu_black_hole/silent_link_drop",
    "pmtu_black_hole/icmp_filtered",
    "pmtu_black_hole/icmp_lost",
    "pmtu_black_hole/icmp_misdirected",
    "pmtu_black_hole/icmp_ignored",
    "pmtu_black_hole/path_silent",
    "fragments_lost",
    "oversize_dropped",
    "oversize_fragmented",
    "packet_too_big_implausible",
    "pmtu_exception_suspicious",
    "veth_mtu_mismatch",
    "pod_mtu_exceeds_egress",
    "overlay_mtu_exceeds_underlay",
    "bridge_mtu_mismatch",
    "pmtud_disabled",
    "mtu_below_ipv6_minimum",
];

fn files(ending: &str) -> Result<BTreeSet<PathBuf>> {
    let entries = std::fs::read_dir(directory()).context("reading the directory of recordings")?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.to_string_lossy().ends_with(ending)).collect())
}

/// What came of a recording: the findings in their final form, how each came about, and the exit status.
fn findings(recording: &Path) -> Result<Value> {
    let replayed = replay(recording, &["--output=json"])?;
    ensure!(replayed.stderr.is_empty(), "{}", replayed.stderr);
    let lines = replayed.stdout.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let told: Vec<Value> = lines
        .iter()
        .filter(|line| line["type"] == "finding")
        .map(|line| {
            let fields = ["kind", "id", "state", "severity", "certainty", "outcome"];
            let words: Vec<&str> = fields.iter().filter_map(|field| line[field].as_str()).collect();
            Value::from(words.join(" "))
        })
        .collect();
    let summary = lines.last().context("no line at all")?;
    ensure!(summary["type"] == "summary", "the last line is no summary: {summary}");
    Ok(json!({
        "exit_status": replayed.status,
        "told": told,
        "findings": summary["findings"],
        "lost": summary["lost"],
    }))
}

#[test]
fn every_recording_leads_to_its_findings() -> Result<()> {
    let mut wrong = Vec::new();
    for recording in files(".jsonl")? {
        let text = serde_json::to_string_pretty(&findings(&recording)?)? + "\n";
        if let Err(error) = golden::compare(&recording.with_extension("findings.json"), &text) {
            wrong.push(format!("{error:#}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    Ok(())
}

#[test]
fn every_golden_file_has_its_recording() -> Result<()> {
    for golden in files(".findings.json")? {
        let recording = golden.to_string_lossy().replace(".findings.json", ".jsonl");
        ensure!(Path::new(&recording).exists(), "{} is of no recording", golden.display());
    }
    Ok(())
}

#[test]
fn there_is_a_recording_of_everything_that_is_found() -> Result<()> {
    let mut found = BTreeSet::new();
    for golden in files(".findings.json")? {
        let golden: Value = serde_json::from_str(&std::fs::read_to_string(&golden)?)?;
        for finding in golden["findings"].as_array().into_iter().flatten() {
            let kind = finding["kind"].as_str().unwrap_or_default();
            found.insert(match finding["reason"].as_str() {
                Some(reason) => format!("{kind}/{reason}"),
                None => kind.to_owned(),
            });
        }
    }
    let missing: Vec<&str> = FOUND.into_iter().filter(|kind| !found.contains(*kind)).collect();
    ensure!(missing.is_empty(), "no recording leads to {missing:?}, only to {found:?}");
    Ok(())
}

#[test]
fn healthy_recordings_are_silent() -> Result<()> {
    let healthy = files(".jsonl")?;
    let is_healthy =
        |path: &&PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("healthy."));
    let mut count = 0;
    for recording in healthy.iter().filter(is_healthy) {
        count += 1;
        let findings = findings(recording)?;
        ensure!(findings["exit_status"] == 0, "{}: {findings:#}", recording.display());
    }
    ensure!(count >= 5, "only {count} healthy networks");
    Ok(())
}
