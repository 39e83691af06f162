//! An ICMP error announces a size that no real path has.
use anyhow::Result;
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::{Family, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df};

#[test]
fn a_router_announces_less_than_linux_takes() -> Result<()> {
    let mut network = Plan::new().far(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["far"])?;
    network.namespace("router")?.set_mtu("to-gateway", 300)?;
    let probe = Run::watch(network.node()).start()?;
    let (pod, far) = (network.namespace("pod")?, network.address("far", Family::V4)?);
    assert!(Datagrams::of(1000, Df::Probe).count(6).run(pod, far)?.none());
    let report = probe.stop()?;
    report.expect(&[Expected::kind("packet_too_big_implausible")
        .severity("warning")
        .pod(network.lab().full_name("pod"))
        .family("ipv4")
        .limit(300)])?;
    assert!(
        report.lines_of("packet_too_big").any(|line| line["verdict"] == "implausible"),
        "{}",
        report.evidence()
    );
    Ok(())
}
