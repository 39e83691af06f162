//! Packets too big are dropped and the sender does not learn.
use anyhow::Result;
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange, Transfer};
use std::time::Duration;

/// Longer than the three seconds after which a stalled flow shows harm.
const STALL: Duration = Duration::from_secs(5);

fn black_hole(network: &Network, reason: &str, family: Family) -> Expected {
    Expected::black_hole(reason)
        .severity("critical")
        .confirmed()
        .outcome("lost")
        .pod(network.lab().full_name("pod"))
        .family(family.name())
        .limit(1400)
}

/// Uploads over both families at the same time.
fn both(network: &Network, exchange: Exchange, to: &str) -> Result<[Transfer; 2]> {
    let pod = network.namespace("pod")?;
    let [v4, v6] = Family::ALL.map(|family| exchange.limit(STALL).start(pod, network.address(to, family)?));
    Ok([v4?.join()??, v6?.join()??])
}

#[test]
fn one_segment_into_a_smaller_host_end() -> Result<()> {
    let mut network =
        Plan::new().pod(Pod::routed("pod").mtu(1500).host_mtu(1400)).pod(Pod::routed("other")).build()?;
    network.serve(&["server"])?;
    let probe = Run::watch(network.node()).start()?;
    let fast = Exchange::push(100_000_000)
        .start(network.namespace("other")?, network.address("server", Family::V4)?)?;
    let transfers = both(&network, Exchange::rounds(1428, 10, 1), "server")?;
    assert!(transfers.iter().all(Transfer::stalled), "{transfers:?}");
    assert!(fast.join()??.complete);
    let report = probe.stop()?;
    report.expect(&Family::ALL.map(|family| {
        black_hole(&network, "silent_link_drop", family).direction("from_pod").limit_is("link", "peer_mtu")
    }))?;
    assert!(report.lines_of("drop").next().is_some(), "{}", report.evidence());
    Ok(())
}

#[test]
fn datagrams_to_a_smaller_pod_end() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod").mtu(1400).host_mtu(1500)).build()?;
    network.serve(&["pod"])?;
    let probe = Run::watch(network.node()).start()?;
    for family in Family::ALL {
        let pod = network.address("pod", family)?;
        assert!(Datagrams::of(1404, Df::Do).run(network.namespace("server")?, pod)?.all());
        assert!(Datagrams::of(1450, Df::Do).run(network.namespace("server")?, pod)?.none());
    }
    probe.stop()?.expect(
        &Family::ALL.map(|family| black_hole(&network, "silent_link_drop", family).direction("to_pod")),
    )
}

#[test]
fn on_a_bridge_as_well() -> Result<()> {
    let mut network =
        Plan::new().pod(Pod::bridged("pod").mtu(1500).host_mtu(1400)).bridge_mtu(1500).build()?;
    network.serve(&["server"])?;
    let probe = Run::watch(network.node()).start()?;
    let lost = Datagrams::of(1500, Df::Dont);
    assert!(lost.run(network.namespace("pod")?, network.address("server", Family::V4)?)?.none());
    probe.stop()?.expect(&[black_hole(&network, "silent_link_drop", Family::V4).direction("from_pod")])
}

#[test]
fn the_pod_filters_the_error() -> Result<()> {
    let mut network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    network.filter_packet_too_big("pod", "input")?;
    let probe = Run::watch(network.node()).start()?;
    let transfers = both(&network, Exchange::push(1_000_000), "server")?;
    assert!(transfers.iter().all(Transfer::stalled), "{transfers:?}");
    probe.stop()?.expect(&Family::ALL.map(|family| {
        black_hole(&network, "icmp_filtered", family).direction("from_pod").limit_is("node", "device_mtu")
    }))
}

#[test]
fn the_node_filters_its_own_error() -> Result<()> {
    let mut network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    network.filter_packet_too_big("node", "output")?;
    let probe = Run::watch(network.node()).start()?;
    let transfers = both(&network, Exchange::push(1_000_000), "server")?;
    assert!(transfers.iter().all(Transfer::stalled), "{transfers:?}");
    probe.stop()?.expect(
        &Family::ALL.map(|family| black_hole(&network, "icmp_filtered", family).direction("from_pod")),
    )
}

#[test]
fn the_node_filters_the_error_of_a_router() -> Result<()> {
    let mut network = Plan::new().far(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["far"])?;
    network.filter_packet_too_big("node", "forward")?;
    let probe = Run::watch(network.node()).start()?;
    let transfers = both(&network, Exchange::push(1_000_000), "far")?;
    assert!(transfers.iter().all(Transfer::stalled), "{transfers:?}");
    probe.stop()?.expect(&Family::ALL.map(|family| {
        black_hole(&network, "icmp_filtered", family).direction("from_pod").limit_is("path", "icmp")
    }))
}
