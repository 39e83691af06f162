//! `mtuprobe histogram`: packet sizes of real pods, exact to the packet.
use anyhow::{Context, Result};
use mtuprobe_tests::probe::{Probe, Report, Run};
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange};
use serde_json::Value;

/// Starts it and waits until it counts.
fn counting(network: &Network) -> Result<Probe> {
    let arguments = ["histogram", "--output", "json", "--interval", "100ms"];
    let probe = Run::command(network.node(), &arguments).spawn()?;
    probe.wait_for("the first sheet", |line| line["type"] == "histogram")?;
    Ok(probe)
}

/// The last line about a pod and direction.
fn last<'a>(network: &Network, report: &'a Report, pod: &str, direction: &str) -> Result<&'a Value> {
    let name = network.lab().full_name(pod);
    report
        .lines_of("histogram")
        .filter(|line| line["pod"]["name"] == *name && line["direction"] == direction)
        .last()
        .with_context(|| format!("nothing about {pod} {direction}: {}", report.evidence()))
}

/// Packets of the bucket that ends at a size.
fn bucket(line: &Value, le: u64) -> u64 {
    let buckets = line["buckets"].as_array().into_iter().flatten();
    buckets.filter(|bucket| bucket["le"] == le).filter_map(|bucket| bucket["packets"].as_u64()).sum()
}

#[test]
fn counts_each_packet_in_its_bucket() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).pod(Pod::bridged("other")).build()?;
    network.serve(&["server"])?;
    let probe = counting(&network)?;
    let (pod, server) = (network.namespace("pod")?, network.address("server", Family::V4)?);
    for (length, count) in [(1450, 20), (1451, 7), (1500, 5)] {
        let sent = Datagrams::of(length, Df::Do).count(count).reply(300, Df::Do).run(pod, server)?;
        assert!(sent.all());
    }
    let report = probe.stop()?;
    assert_eq!(report.exit_status(), Some(0), "{}", report.evidence());
    let sent = last(&network, &report, "pod", "from_pod")?;
    let counted = [1450, 1460, 1500].map(|le| bucket(sent, le));
    assert_eq!(counted, [20, 7, 5], "{sent}");
    assert_eq!((&sent["largest"], &sent["above_pod_mtu"]), (&1500.into(), &0.into()));
    let sum: u64 = sent["buckets"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|bucket| bucket["packets"].as_u64())
        .sum();
    assert_eq!(Some(sum), sent["packets"].as_u64(), "{sent}");
    assert_eq!(bucket(last(&network, &report, "pod", "to_pod")?, 512), 32);
    assert_eq!(bucket(last(&network, &report, "other", "from_pod")?, 1450), 0);
    Ok(())
}

#[test]
fn counts_segments_of_offloaded_packets() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    let probe = counting(&network)?;
    let (pod, server) = (network.namespace("pod")?, network.address("server", Family::V4)?);
    assert!(Exchange::push(14_480_000).run(pod, server)?.complete);
    let report = probe.stop()?;
    let sent = last(&network, &report, "pod", "from_pod")?;
    assert_eq!(sent["largest"], 1500, "{sent}");
    // 1448 bytes of payload in each: 10,000 of them, were none cut short or sent again.
    assert!(bucket(sent, 1500) >= 9_000, "{sent}");
    Ok(())
}

#[test]
fn counts_what_is_above_the_pods_own_mtu() -> Result<()> {
    let mut network = Plan::new().uplink(9000).pod(Pod::routed("pod").mtu(1500).host_mtu(9000)).build()?;
    network.serve(&["pod"])?;
    let probe = counting(&network)?;
    let to = network.address("pod", Family::V4)?;
    let sent = Datagrams::of(4000, Df::Do).count(4).run(network.node(), to)?;
    assert!(!sent.all(), "a veth end of 1500 takes 4000 bytes");
    let report = probe.stop()?;
    let got = last(&network, &report, "pod", "to_pod")?;
    assert_eq!((&got["above_pod_mtu"], &got["pod_mtu"]), (&4.into(), &1500.into()), "{got}");
    Ok(())
}

#[test]
fn draws_bars_at_the_end() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    let probe = Run::command(network.node(), &["histogram", "--interval", "100ms"]).spawn()?;
    probe.wait_for_text("sends")?;
    let (pod, server) = (network.namespace("pod")?, network.address("server", Family::V4)?);
    assert!(Datagrams::of(1500, Df::Do).count(3).run(pod, server)?.all());
    let report = probe.stop()?;
    let name = network.lab().full_name("pod");
    let from = report.stdout().iter().rposition(|line| line.starts_with(&format!("{name} sends")));
    let picture = &report.stdout()[from.context("no picture")?..];
    assert!(picture.iter().any(|line| line.contains("1500") && line.contains('█')), "{}", picture.join("\n"));
    Ok(())
}

#[test]
fn bad_usage_is_refused() -> Result<()> {
    let network = Plan::new().build()?;
    for arguments in [&["--interval", "1ms"][..], &["--interval", "soon"], &["--interface", "nosuch0"]] {
        let report = Run::command(network.node(), &["histogram"]).with(arguments).to_end()?;
        assert_eq!(report.exit_status(), Some(2), "{arguments:?}: {}", report.evidence());
    }
    Ok(())
}
