//! Files for those who look from afar: packets for Wireshark, and the archive for a ticket.
use anyhow::{Context, Result, ensure};
use mtuprobe_tests::probe::Run;
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// A directory that goes away with it.
struct Directory(PathBuf);

impl Directory {
    fn new(network: &Network) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("mtuprobe-files-{}", network.node().name()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// Standard output of a program that must succeed.
fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| {
        format!("running {program}; `cargo xtask setup` and `cargo xtask test` install it")
    })?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {stderr}", arguments.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn packets_for_wireshark_tell_their_finding() -> Result<()> {
    let mut network = Plan::new()
        .uplink(1400)
        .pod(Pod::routed("pod").mtu(1500).host_mtu(1400))
        .pod(Pod::routed("other"))
        .build()?;
    network.serve(&["server"])?;
    let directory = Directory::new(&network)?;
    let file = directory.file("node.pcapng");
    let probe = Run::watch(network.node()).with(&["--pcap", &file]).start()?;
    let server = network.address("server", Family::V4)?;
    assert!(Datagrams::of(1500, Df::Dont).count(5).run(network.namespace("pod")?, server)?.none());
    let told =
        Exchange::push(20_000).limit(Duration::from_secs(5)).run(network.namespace("other")?, server)?;
    assert!(told.complete, "{told:?}");
    let report = probe.stop()?;
    assert_eq!(report.exit_status(), Some(1), "{}", report.evidence());

    let fields = [
        "frame.interface_name",
        "frame.comment",
        "frame.time_epoch",
        "frame.cap_len",
        "frame.len",
        "icmp.mtu",
    ];
    let fields: Vec<&str> = fields.iter().flat_map(|field| ["-e", field]).collect();
    let arguments = [&["-n", "-r", &file, "-T", "fields", "-E", "separator=|"][..], &fields].concat();
    let packets = output("tshark", &arguments)?;
    let rows: Vec<Vec<&str>> = packets.lines().map(|line| line.split('|').collect()).collect();
    let finding = report.lines_of("finding").find(|line| line["kind"] == "pmtu_black_hole");
    let id = finding.and_then(|line| line["id"].as_str()).context("no finding")?;
    assert!(rows.iter().any(|row| row[1].contains(id) && row[4] == "1500"), "no packet of {id}:\n{packets}");
    assert!(rows.iter().any(|row| row[5] == "1400" && row[1].contains("ICMP")), "no ICMP error:\n{packets}");
    let interfaces: BTreeSet<&str> = rows.iter().map(|row| row[0]).collect();
    assert!(interfaces.len() > 1, "{interfaces:?}");
    for row in &rows {
        let digits = row[2].split_once('.').map_or(0, |(_, digits)| digits.len());
        assert_eq!(digits, 9, "times are in nanoseconds: {row:?}");
        let captured: u32 = row[3].parse()?;
        assert!(captured <= 192, "headers alone: {row:?}");
    }
    let about = output("capinfos", &["-M", &file])?;
    assert!(about.contains("mtuprobe"), "{about}");
    let blocks = interfaces.len().to_string();
    let count = about.lines().find(|line| line.contains("interfaces in file")).context("no count")?;
    assert!(count.trim_end().ends_with(&blocks), "one block for each interface: {about}");
    Ok(())
}

#[test]
fn a_bundle_has_all_and_tells_no_name_where_none_is_wanted() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod").mtu(1500).host_mtu(1400)).build()?;
    network.serve(&["server"])?;
    let directory = Directory::new(&network)?;
    let name = network.lab().full_name("pod");
    let [v4, v6] =
        Family::ALL.map(|family| network.address("pod", family).map(|address| address.to_string()));
    let (v4, v6) = (v4?, v6?);
    for redacted in [false, true] {
        let file = directory.file(if redacted { "redacted.tar.gz" } else { "open.tar.gz" });
        let options = ["bundle", "--duration", "1s", "--file", &file];
        let run = Run::command(network.node(), &options).with(if redacted { &["--redact"] } else { &[] });
        let report = run.to_end()?;
        assert_eq!(report.exit_status(), Some(1), "{}", report.evidence());
        let members = output("tar", &["tzf", &file])?;
        for member in
            ["README.txt", "check.txt", "check.jsonl", "state.jsonl", "recording.jsonl", "watch.txt"]
        {
            assert!(members.lines().any(|line| line.ends_with(member)), "no {member}:\n{members}");
        }
        let all = output("tar", &["xzOf", &file])?;
        for secret in [name.as_str(), v4.as_str(), v6.as_str(), "vethpod"] {
            assert_eq!(all.contains(secret), !redacted, "{secret} in:\n{all}");
        }
        assert!(all.contains("veth_mtu_mismatch") && !all.contains("not observed"), "{all}");
        let directory = directory.file("out");
        fs::create_dir_all(&directory)?;
        output("tar", &["xzf", &file, "-C", &directory, "--strip-components=1"])?;
        let recording = format!("{directory}/recording.jsonl");
        let replayed = Run::command(network.node(), &["replay", &recording]).to_end()?;
        assert!(
            replayed.stdout().iter().any(|line| line.contains("veth_mtu_mismatch")),
            "{}",
            replayed.evidence()
        );
        let again = Run::command(network.node(), &options).to_end()?;
        assert_eq!(again.exit_status(), Some(2), "a file that is there stays: {}", again.evidence());
    }
    Ok(())
}
