//! Ports of one bridge differ: before a packet meets it, and after.
use anyhow::Result;
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::network::BRIDGE;
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df};

/// Made by hand, the bridge keeps its MTU when a smaller port comes.
fn network() -> Result<Network> {
    let network = Plan::new().pod(Pod::bridged("larger")).pod(Pod::bridged("smaller").mtu(1400)).build()?;
    network.node().set_mtu(BRIDGE, 1500)?;
    Ok(network)
}

#[test]
fn is_told_once_for_the_bridge_while_nothing_meets_it() -> Result<()> {
    let network = network()?;
    let report = Run::watch(network.node()).start()?.stop()?;
    report.expect_silent()?;
    let wanted = Expected::kind("bridge_mtu_mismatch").severity("info").outcome("latent").node().limit(1400);
    let finding = report.one(&wanted)?;
    assert_eq!(finding.json()["pods"].as_array().map(Vec::len), Some(2), "{finding}");
    assert_eq!(finding.json()["cause"]["scope"], "bridge", "{finding}");
    Ok(())
}

#[test]
fn gives_way_to_the_finding_about_the_packets_that_meet_it() -> Result<()> {
    let mut network = network()?;
    network.serve(&["smaller"])?;
    let probe = Run::watch(network.node()).start()?;
    for family in Family::ALL {
        let large = Datagrams::of(1450, Df::Probe).count(8);
        assert!(large.run(network.namespace("larger")?, network.address("smaller", family)?)?.none());
    }
    let report = probe.stop()?;
    for family in Family::ALL {
        let wanted = Expected::black_hole("silent_link_drop")
            .severity("critical")
            .pod(network.lab().full_name("larger"))
            .direction("from_pod")
            .family(family.name())
            .limit(1400);
        let finding = report.one(&wanted)?;
        assert_eq!(finding.json()["cause"]["kind"], "bridge_mtu_mismatch", "{finding}");
    }
    assert_eq!(report.findings().len(), 2, "told twice\n{}", report.evidence());
    Ok(())
}
