//! Packets too big are fragmented on this node.
use anyhow::Result;
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::{Family, Network, Overlay, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange};

fn fragmented(network: &Network, pod: &str, limit: u32) -> Expected {
    Expected::kind("oversize_fragmented")
        .severity("warning")
        .pod(network.lab().full_name(pod))
        .direction("from_pod")
        .outcome("fragmented")
        .limit(limit)
}

#[test]
fn outer_packets_of_a_tunnel_whose_overhead_was_not_subtracted() -> Result<()> {
    let mut network = Plan::new()
        .pod(Pod::bridged("pod"))
        .pod(Pod::routed("fitting").mtu(1450))
        .pod(Pod::bridged("remote").on_second_node())
        .overlay(Overlay::vxlan(1500))
        .build()?;
    network.serve(&["remote"])?;
    let probe = Run::watch(network.node()).start()?;
    let remote = network.address("remote", Family::V4)?;
    assert!(Exchange::push(2_000_000).run(network.namespace("fitting")?, remote)?.complete);
    assert!(Exchange::push(1_000_000).run(network.namespace("pod")?, remote)?.complete);
    let whole = Datagrams::of(1500, Df::Do).run(network.namespace("pod")?, remote)?;
    assert!(whole.all(), "{whole:?}");
    let report = probe.stop()?;
    report.expect(&[fragmented(&network, "pod", 1450)
        .family("ipv4")
        .limit_is("overlay", "underlay_minus_overhead")])
}

#[test]
fn the_same_tunnel_tells_a_sender_of_ipv6() -> Result<()> {
    let mut network = Plan::new()
        .pod(Pod::bridged("pod"))
        .pod(Pod::bridged("remote").on_second_node())
        .overlay(Overlay::vxlan(1500))
        .build()?;
    network.serve(&["remote"])?;
    let probe = Run::watch(network.node()).start()?;
    let transfer =
        Exchange::push(1_000_000).run(network.namespace("pod")?, network.address("remote", Family::V6)?)?;
    assert!(transfer.complete && transfer.tcp.path_mtu == 1450, "{transfer:?}");
    let report = probe.stop()?;
    // The packet that made the tunnel learn leaves as fragments, the next are dropped and answered: both are true.
    let loud = report.loud();
    assert!(!loud.is_empty() && report.exit_status() == Some(1), "{}", report.evidence());
    for finding in loud {
        assert_eq!(finding.pod(), Some(network.lab().full_name("pod").as_str()), "{}", report.evidence());
        assert_eq!(
            (finding.limit(), finding.text("direction")),
            (Some(1450), "from_pod"),
            "{}",
            report.evidence()
        );
        let kind = finding.text("kind");
        assert!(["oversize_fragmented", "oversize_dropped"].contains(&kind), "{}", report.evidence());
    }
    Ok(())
}

#[test]
fn datagrams_without_df_on_a_smaller_uplink() -> Result<()> {
    let mut network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    let probe = Run::watch(network.node()).start()?;
    let large = Datagrams::of(1500, Df::Dont).count(20);
    assert!(large.run(network.namespace("pod")?, network.address("server", Family::V4)?)?.all());
    let report = probe.stop()?;
    report.expect(&[fragmented(&network, "pod", 1400).family("ipv4").limit_is("node", "device_mtu")])
}
