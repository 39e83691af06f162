//! The two ends of a veth differ, and no packet has met it.
use anyhow::Result;
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::Exchange;

fn latent(network: &Network, pod: &str) -> Expected {
    Expected::kind("veth_mtu_mismatch")
        .severity("info")
        .confirmed()
        .outcome("latent")
        .pod(network.lab().full_name(pod))
}

#[test]
fn is_told_as_information_while_nothing_meets_it() -> Result<()> {
    let mut network = Plan::new()
        .pod(Pod::routed("larger").mtu(1500).host_mtu(1400))
        .pod(Pod::bridged("smaller").mtu(1400).host_mtu(1500))
        .pod(Pod::routed("equal"))
        .build()?;
    network.serve(&["server"])?;
    let probe = Run::watch(network.node()).start()?;
    for pod in ["larger", "smaller", "equal"] {
        for family in Family::ALL {
            let small = Exchange::rounds(1000, 1000, 5);
            assert!(small.run(network.namespace(pod)?, network.address("server", family)?)?.complete);
        }
    }
    let report = probe.stop()?;
    report.expect_silent()?;
    let from = report.one(&latent(&network, "larger").limit(1400).limit_is("link", "peer_mtu"))?;
    let to = report.one(&latent(&network, "smaller").limit(1400).limit_is("pod", "peer_mtu"))?;
    for finding in [from, to] {
        let flows = finding.json()["flows"].as_array().map_or(0, Vec::len);
        assert_eq!(flows, 0, "a configuration kind has no flows: {finding}");
    }
    assert!(
        report.findings().iter().all(|finding| finding.pod() != Some(&network.lab().full_name("equal"))),
        "{}",
        report.evidence()
    );
    Ok(())
}

#[test]
fn closes_when_the_ends_are_made_equal() -> Result<()> {
    let network = Plan::new().pod(Pod::routed("pod").mtu(1500).host_mtu(1400)).build()?;
    let probe = Run::watch(network.node()).start()?;
    let wanted = latent(&network, "pod");
    let (_, open) = probe.wait_for_finding(&wanted.clone().text("state", "open"))?;
    network.node().set_mtu(&Network::host_interface("pod"), 1500)?;
    let (_, closed) = probe.wait_for_finding(&wanted.text("state", "closed"))?;
    assert_eq!(open.text("id"), closed.text("id"));
    probe.stop()?.expect_silent()
}
