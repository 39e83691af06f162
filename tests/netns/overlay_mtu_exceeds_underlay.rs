//! A tunnel is given packets that, with its overhead, the underlay does not carry, and none has come yet.
use anyhow::Result;
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::network::UPLINK;
use mtuprobe_tests::topology::{Family, Overlay, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df};

fn latent() -> Expected {
    Expected::kind("overlay_mtu_exceeds_underlay").severity("info").outcome("latent").node().limit(1450)
}

fn plan(overlay: Overlay, mtu: u32) -> Plan {
    Plan::new()
        .pod(Pod::bridged("pod").mtu(mtu))
        .pod(Pod::bridged("remote").mtu(mtu).on_second_node())
        .overlay(overlay)
}

#[test]
fn is_told_as_information_while_nothing_meets_it() -> Result<()> {
    let mut network = plan(Overlay::vxlan(1500), 1500).build()?;
    network.serve(&["remote"])?;
    let probe = Run::watch(network.node()).start()?;
    for family in Family::ALL {
        let fitting = Datagrams::of(1450, Df::Do);
        assert!(fitting.run(network.namespace("pod")?, network.address("remote", family)?)?.all());
    }
    let report = probe.stop()?;
    report.expect_silent()?;
    report.one(&latent())?;
    Ok(())
}

#[test]
fn is_not_told_when_every_sender_is_small_enough() -> Result<()> {
    let network = plan(Overlay::vxlan(1450).bound(), 1450).build()?;
    let probe = Run::watch(network.node()).start()?;
    let report = probe.stop()?;
    report.expect_silent()?;
    assert!(
        report.findings().iter().all(|finding| finding.text("kind") != "overlay_mtu_exceeds_underlay"),
        "{}",
        report.evidence()
    );
    Ok(())
}

#[test]
fn opens_when_the_underlay_shrinks_below_a_bound_tunnel() -> Result<()> {
    let network = plan(Overlay::vxlan(1500).bound(), 1500).uplink(1550).second_uplink(1550).build()?;
    let probe = Run::watch(network.node()).start()?;
    network.node().set_mtu(UPLINK, 1500)?;
    probe.wait_for_finding(&latent().text("state", "open"))?;
    probe.stop()?.expect_silent()
}
