//! What was recorded replays to the same, anywhere.
use anyhow::{Context, Result};
use mtuprobe_tests::probe::{Expected, Finding, PATIENCE, Run, Signal, binary};
use mtuprobe_tests::topology::{Ends, Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::{Exchange, Transfer};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A file that is removed with this.
struct Recording(PathBuf);

impl Recording {
    fn new(network: &Network) -> Self {
        Self(std::env::temp_dir().join(format!("{}.jsonl", network.lab().name())))
    }

    fn option(&self) -> String {
        format!("--record={}", self.0.display())
    }

    fn text(&self) -> Result<String> {
        std::fs::read_to_string(&self.0).context("reading the recording")
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // A test that failed early has made none.
        let _missing = std::fs::remove_file(&self.0);
    }
}

fn network() -> Result<Network> {
    let mut network = Plan::new()
        .server(Ends::from(9000))
        .pod(Pod::routed("told").mtu(9000))
        .pod(Pod::routed("deaf").mtu(9000))
        .pod(Pod::routed("untold").host_mtu(1400))
        .masquerade()
        .build()?;
    network.serve(&["server"])?;
    network.filter_packet_too_big("deaf", "input")?;
    Ok(network)
}

fn traffic(network: &Network) -> Result<()> {
    let stall = Duration::from_secs(4);
    for family in Family::ALL {
        let server = network.address("server", family)?;
        let untold =
            Exchange::rounds(1428, 100, 1).limit(stall).start(network.namespace("untold")?, server)?;
        let deaf = Exchange::push(5_000_000).limit(stall).start(network.namespace("deaf")?, server)?;
        assert!(Exchange::push(5_000_000).run(network.namespace("told")?, server)?.complete);
        let stalled = [untold.join()??, deaf.join()??];
        assert!(stalled.iter().all(Transfer::stalled), "{stalled:?}");
    }
    Ok(())
}

/// The lines of `replay --output json`, and its exit status.
fn replay(recording: &Path) -> Result<(Vec<String>, Option<i32>)> {
    let output = Command::new(binary()?).args(["replay", "--output=json"]).arg(recording).output()?;
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    Ok((text.lines().map(str::to_owned).collect(), output.status.code()))
}

fn findings(line: &str) -> Result<Vec<Finding>> {
    let summary: Value = serde_json::from_str(line)?;
    let findings = summary["findings"].as_array().context("no summary")?;
    Ok(findings.iter().cloned().map(Finding::new).collect())
}

/// A line without the names of the ends of flows: a recording knows those of its pods only.
fn nameless(line: &str) -> Result<Value> {
    fn forget(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| name != "src_name" && name != "dst_name");
                fields.values_mut().for_each(forget);
            }
            Value::Array(values) => values.iter_mut().for_each(forget),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut value = serde_json::from_str(line)?;
    forget(&mut value);
    Ok(value)
}

#[test]
fn a_replay_says_the_very_same() -> Result<()> {
    let network = network()?;
    let recording = Recording::new(&network);
    let probe = Run::watch(network.node()).with(&[&recording.option()]).start()?;
    traffic(&network)?;
    let report = probe.stop_with(Signal::Terminate)?;
    report.one(&deaf(&network, Family::V4))?;
    let (replayed, status) = replay(&recording.0)?;
    for (replayed, told) in replayed.iter().zip(report.stdout()) {
        assert_eq!(nameless(replayed)?, nameless(told)?);
    }
    assert_eq!((replayed.len(), status), (report.stdout().len(), report.exit_status()));
    Ok(())
}

#[test]
fn a_redacted_recording_names_nobody_and_finds_the_same() -> Result<()> {
    let network = network()?;
    let recording = Recording::new(&network);
    let probe = Run::watch(network.node()).with(&[&recording.option(), "--redact"]).start()?;
    traffic(&network)?;
    let report = probe.stop()?;
    let text = recording.text()?;
    for family in Family::ALL {
        for name in ["told", "deaf", "untold", "server", "node"] {
            let address = network.address(name, family)?;
            assert!(!text.contains(&format!("\"{address}\"")), "{address} in {text}");
        }
    }
    for name in [network.lab().name(), "vethdeaf", "eth0"] {
        assert!(!text.contains(name), "{name} in {text}");
    }
    let (replayed, status) = replay(&recording.0)?;
    let fate = |finding: &Finding| {
        let counts = finding.json()["counts"].to_string();
        let texts = ["id", "kind", "reason", "severity", "certainty", "direction", "family", "outcome"];
        (texts.map(|field| finding.text(field).to_owned()), finding.limit(), counts)
    };
    let sorted = |findings: Vec<Finding>| {
        let mut fates: Vec<_> = findings.iter().map(fate).collect();
        fates.sort();
        fates
    };
    let replayed = findings(replayed.last().context("no line")?)?;
    assert_eq!(sorted(replayed), sorted(report.findings()));
    assert_eq!(status, report.exit_status());
    Ok(())
}

#[test]
fn a_killed_observation_leaves_a_recording_up_to_its_last_whole_line() -> Result<()> {
    let network = network()?;
    let recording = Recording::new(&network);
    let probe = Run::watch(network.node()).with(&[&recording.option()]).start()?;
    traffic(&network)?;
    probe.wait_for_finding(&deaf(&network, Family::V6))?;
    let end = Instant::now() + PATIENCE;
    let written = recording.text()?.len();
    while recording.text()?.len() <= written {
        assert!(Instant::now() < end, "nothing more is written");
        std::thread::sleep(Duration::from_millis(100));
    }
    probe.stop_with(Signal::Kill)?;
    // As if the kill had come in the middle of a line.
    let text = recording.text()?;
    std::fs::write(&recording.0, &text.as_bytes()[..text.len() - 10])?;
    let (replayed, status) = replay(&recording.0)?;
    assert_eq!(status, Some(1));
    let lost: Vec<Value> =
        replayed.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
    assert!(lost.iter().any(|line| line["type"] == "lost" && line["what"] == "recording_cut"));
    let findings = findings(replayed.last().context("no line")?)?;
    assert!(findings.iter().any(|finding| deaf(&network, Family::V6).accepts(finding)), "{findings:?}");
    Ok(())
}

fn deaf(network: &Network, family: Family) -> Expected {
    Expected::black_hole("icmp_filtered").pod(network.lab().full_name("deaf")).family(family.name())
}
