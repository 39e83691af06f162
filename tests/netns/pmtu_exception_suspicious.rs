//! A pod has learned a path MTU that no path explains.
use anyhow::{Result, ensure};
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange};
use std::time::Duration;

/// Poisons a pod: a router announces 300 for a while, and nobody looks.
fn poisoned(network: &mut Network) -> Result<()> {
    network.serve(&["far"])?;
    let router = network.namespace("router")?;
    router.set_mtu("to-gateway", 300)?;
    let (pod, far) = (network.namespace("pod")?, network.address("far", Family::V4)?);
    ensure!(Datagrams::of(1000, Df::Probe).count(6).run(pod, far)?.none());
    router.set_mtu("to-gateway", 1500)
}

#[test]
fn a_poisoned_one_that_a_connection_uses_is_a_warning() -> Result<()> {
    let mut network = Plan::new().far(1500).pod(Pod::routed("pod")).build()?;
    poisoned(&mut network)?;
    let (pod, far) = (network.namespace("pod")?, network.address("far", Family::V4)?);
    let exchange =
        Exchange::rounds(3000, 10, 20).pause(Duration::from_millis(500)).limit(Duration::from_secs(60));
    let connection = exchange.start(pod, far)?;
    let probe = Run::watch(network.node()).start()?;
    let expected = Expected::kind("pmtu_exception_suspicious")
        .severity("warning")
        .confirmed()
        .pod(network.lab().full_name("pod"))
        .direction("from_pod")
        .family("ipv4")
        .limit(552);
    probe.wait_for_finding(&expected)?;
    assert!(connection.join()??.complete);
    let report = probe.stop()?;
    report.expect(&[expected])?;
    assert_eq!(report.exit_status(), Some(1), "{}", report.evidence());
    Ok(())
}

#[test]
fn a_stale_one_is_information() -> Result<()> {
    let mut network = Plan::new().far(1500).pod(Pod::routed("pod")).build()?;
    poisoned(&mut network)?;
    let probe = Run::watch(network.node()).start()?;
    let expected = Expected::kind("pmtu_exception_suspicious").severity("info").limit(552);
    probe.wait_for_finding(&expected)?;
    let report = probe.stop()?;
    assert_eq!(report.exit_status(), Some(0), "{}", report.evidence());
    Ok(())
}

#[test]
fn one_that_a_path_explains_is_not_told() -> Result<()> {
    let mut network = Plan::new().far(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["far"])?;
    let probe = Run::watch(network.node()).start()?;
    for family in Family::ALL {
        let far = network.address("far", family)?;
        let exchange = Exchange::rounds(5000, 10, 6).pause(Duration::from_millis(500));
        assert!(exchange.run(network.namespace("pod")?, far)?.complete);
    }
    let report = probe.stop()?;
    assert!(
        report.findings().iter().all(|finding| finding.text("kind") != "pmtu_exception_suspicious"),
        "{}",
        report.evidence()
    );
    Ok(())
}
