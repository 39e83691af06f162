//! A pod's MTU is larger than the way out, and no packet has met it.
use anyhow::Result;
use mtuprobe_tests::probe::{Expected, Finding, Run};
use mtuprobe_tests::topology::network::UPLINK;
use mtuprobe_tests::topology::{Family, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange};

/// The way out is a joint that pods share: one finding for all of them.
fn latent() -> Expected {
    Expected::kind("pod_mtu_exceeds_egress").severity("info").outcome("latent").node()
}

fn pods(finding: &Finding) -> Vec<&str> {
    finding.json()["pods"].as_array().into_iter().flatten().filter_map(|pod| pod["name"].as_str()).collect()
}

#[test]
fn is_told_as_information_while_nothing_meets_it() -> Result<()> {
    let mut network =
        Plan::new().uplink(1400).pod(Pod::routed("larger")).pod(Pod::routed("fitting").mtu(1400)).build()?;
    network.serve(&["server"])?;
    let probe = Run::watch(network.node()).start()?;
    for family in Family::ALL {
        let small = Exchange::rounds(1000, 1000, 5);
        assert!(small.run(network.namespace("larger")?, network.address("server", family)?)?.complete);
    }
    let report = probe.stop()?;
    report.expect_silent()?;
    let finding = report.one(&latent().limit(1400))?;
    assert_eq!(pods(&finding), [network.lab().full_name("larger")], "{}", report.evidence());
    assert_eq!(finding.json()["cause"]["scope"], "uplink", "{finding}");
    Ok(())
}

#[test]
fn gives_way_to_the_finding_about_the_packets_that_meet_it() -> Result<()> {
    let mut network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    let probe = Run::watch(network.node()).start()?;
    let large = Datagrams::of(1500, Df::Probe).count(8);
    large.run(network.namespace("pod")?, network.address("server", Family::V4)?)?;
    let report = probe.stop()?;
    let finding = report.one(&Expected::kind("oversize_dropped").pod(network.lab().full_name("pod")))?;
    assert_eq!(finding.json()["cause"]["kind"], "pod_mtu_exceeds_egress", "{finding}");
    assert_eq!(report.findings().len(), 1, "told twice\n{}", report.evidence());
    Ok(())
}

#[test]
fn follows_the_uplink_at_run_time() -> Result<()> {
    let network = Plan::new().pod(Pod::routed("pod")).build()?;
    let probe = Run::watch(network.node()).start()?;
    network.node().set_mtu(UPLINK, 1300)?;
    probe.wait_for("a change of the uplink", |line| {
        line["type"] == "change"
            && line["what"] == "link_mtu"
            && line["object"] == UPLINK
            && line["to"] == "1300"
            || line["type"] == "change" && line["object"] == UPLINK && line["to"] == 1300
    })?;
    probe.wait_for_finding(&latent().limit(1300))?;
    network.node().set_mtu(UPLINK, 1500)?;
    probe.wait_for_finding(&latent().limit(1300).text("state", "closed"))?;
    probe.stop()?.expect_silent()
}
