//! A storm of drops that are nobody's business: what is ours is still found, and what was lost is told.
use anyhow::{Context, Result};
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::{Family, Plan, Pod};
use mtuprobe_tests::traffic::{Exchange, flood};
use std::time::Duration;

/// The storm begins before the fault and outlasts it.
const STORM: Duration = Duration::from_secs(8);
const STALL: Duration = Duration::from_secs(5);
/// The memory of the observer may grow by this much: evidence is kept in places of a fixed number.
const GROWTH_KIB: u64 = 32 * 1024;

#[test]
fn a_fault_is_found_in_a_storm_of_policy_drops() -> Result<()> {
    let mut network =
        Plan::new().pod(Pod::routed("pod").mtu(1500).host_mtu(1400)).pod(Pod::routed("noisy")).build()?;
    network.serve(&["server"])?;
    let (noisy, server) = (network.namespace("noisy")?, network.address("server", Family::V4)?);
    let address = network.address("noisy", Family::V4)?;
    network.filter_forwarded("node", &format!("ip saddr {address} counter drop"))?;
    let probe = Run::watch(network.node()).start()?;
    let before = resident_kib(probe.pid())?;
    // Each packet is another flow: nothing is counted together.
    let storm = [flood(noisy, server, STORM)?, flood(noisy, server, STORM)?];
    std::thread::sleep(Duration::from_secs(1));
    let pod = network.namespace("pod")?;
    let transfer = Exchange::rounds(1428, 10, 1).limit(STALL).run(pod, server)?;
    assert!(transfer.stalled(), "{transfer:?}");
    let mut sent = 0;
    for one in storm {
        sent += one.join()??;
    }
    let after = resident_kib(probe.pid())?;
    let report = probe.stop()?;
    report.expect(&[Expected::black_hole("silent_link_drop")
        .severity("critical")
        .confirmed()
        .pod(network.lab().full_name("pod"))
        .direction("from_pod")
        .limit(1400)])?;
    let lost = report.lines_of("summary").last().context("no summary")?["lost"]["filter_sample"].clone();
    let told: u64 = report
        .lines_of("lost")
        .filter(|line| line["what"] == "filter_sample")
        .filter_map(|line| line["count"].as_u64())
        .sum();
    // What is neither told of nor counted as held back with its flow is in there.
    assert_eq!(lost.as_u64(), Some(told), "{}", report.evidence());
    assert!(told > 10_000 && told <= sent, "{told} of {sent}: {}", report.evidence());
    assert!(after <= before + GROWTH_KIB, "{before} KiB before, {after} after");
    Ok(())
}

fn resident_kib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim_end_matches("kB").trim().parse().context("VmRSS is no number")
}
