//! A handshake announces segments that the way towards the announcer does not carry.
use anyhow::Result;
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::Exchange;

fn announced(network: &Network, pod: &str, family: Family) -> Expected {
    Expected::kind("mss_exceeds_path")
        .severity("info")
        .outcome("latent")
        .pod(network.lab().full_name(pod))
        .direction("to_pod")
        .text("family", family.name())
}

/// Small exchanges of a pod with the server, both families.
fn talk(network: &Network, pod: &str) -> Result<()> {
    for family in Family::ALL {
        let (from, to) = (network.namespace(pod)?, network.address("server", family)?);
        assert!(Exchange::rounds(600, 600, 3).run(from, to)?.complete);
    }
    Ok(())
}

#[test]
fn is_told_of_the_pod_that_announces_too_much() -> Result<()> {
    let mut network = Plan::new()
        .uplink(1400)
        .masquerade()
        .pod(Pod::routed("larger"))
        .pod(Pod::routed("fitting").mtu(1400))
        .build()?;
    network.serve(&["server"])?;
    let probe = Run::watch(network.node()).start()?;
    talk(&network, "larger")?;
    talk(&network, "fitting")?;
    for family in Family::ALL {
        probe.wait_for_finding(&announced(&network, "larger", family).limit(1400))?;
    }
    let report = probe.stop()?;
    report.expect_silent()?;
    let fitting = network.lab().full_name("fitting");
    assert!(report.findings().iter().all(|finding| finding.pod() != Some(&fitting)), "{}", report.evidence());
    Ok(())
}

#[test]
fn a_clamp_on_the_node_makes_it_right() -> Result<()> {
    let mut network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    network.clamp_mss("node")?;
    let probe = Run::watch(network.node()).start()?;
    talk(&network, "pod")?;
    let report = probe.stop()?;
    report.expect_silent()?;
    assert!(
        report.findings().iter().all(|finding| finding.text("kind") != "mss_exceeds_path"),
        "{}",
        report.evidence()
    );
    Ok(())
}
