//! An MTU below 1280 takes IPv6 off a pod's interface.
use anyhow::Result;
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::Exchange;

#[test]
fn opens_when_both_ends_fall_below_it() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).pod(Pod::routed("other")).build()?;
    network.serve(&["server"])?;
    let probe = Run::watch(network.node()).start()?;
    let host_end = Network::host_interface("pod");
    network.namespace("pod")?.set_mtu("eth0", 1200)?;
    network.node().set_mtu(&host_end, 1200)?;
    let below = Expected::kind("mtu_below_ipv6_minimum").pod(network.lab().full_name("pod"));
    probe.wait_for_finding(&below.clone().severity("warning"))?;
    // The other family goes on.
    let server = network.address("server", Family::V4)?;
    assert!(Exchange::push(1_000_000).run(network.namespace("pod")?, server)?.complete);
    network.namespace("pod")?.set_mtu("eth0", 1500)?;
    network.node().set_mtu(&host_end, 1500)?;
    probe.wait_for_finding(&below.text("state", "closed"))?;
    probe.stop()?;
    Ok(())
}
