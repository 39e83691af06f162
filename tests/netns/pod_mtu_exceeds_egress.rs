//! A pod's MTU is larger than the way out, and no packet has met it.
use anyhow::Result;
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::network::UPLINK;
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::Exchange;

fn latent(network: &Network, pod: &str) -> Expected {
    Expected::kind("pod_mtu_exceeds_egress")
        .severity("info")
        .outcome("latent")
        .pod(network.lab().full_name(pod))
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
    let wanted = latent(&network, "larger").limit(1400);
    assert!(
        report.findings().iter().any(|finding| wanted.accepts(finding)),
        "missing: {wanted}\n{}",
        report.evidence()
    );
    assert!(
        report.findings().iter().all(|finding| finding.pod() != Some(&network.lab().full_name("fitting"))),
        "{}",
        report.evidence()
    );
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
    probe.wait_for_finding(&latent(&network, "pod").limit(1300))?;
    network.node().set_mtu(UPLINK, 1500)?;
    probe.wait_for_finding(&latent(&network, "pod").limit(1300).text("state", "closed"))?;
    probe.stop()?.expect_silent()
}
