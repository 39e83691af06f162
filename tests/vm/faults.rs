//! The three classic faults beside healthy pods: each is named, and nobody else.
use anyhow::Result;
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::{Ends, Family, Overlay, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange};
use std::time::Duration;

/// For a flow that is not going to get on: longer than the 3 s after which it counts as stalled.
const STALL: Duration = Duration::from_secs(6);

#[test]
fn exactly_the_faulty_pods_are_named() -> Result<()> {
    let mut network = Plan::new()
        .server(Ends::from(9000))
        .overlay(Overlay::vxlan(1500))
        .pod(Pod::routed("web"))
        .pod(Pod::bridged("api"))
        .pod(Pod::routed("cart").host_mtu(1400))
        .pod(Pod::routed("batch").mtu(9000))
        .pod(Pod::routed("report").mtu(9000))
        .pod(Pod::bridged("orders"))
        .pod(Pod::bridged("stock").on_second_node())
        .build()?;
    network.filter_packet_too_big("report", "input")?;
    network.serve(&["server", "stock"])?;
    let server = network.address("server", Family::V4)?;
    let stock = network.address("stock", Family::V4)?;
    let probe = Run::watch(network.node()).start()?;

    let cart = Exchange::rounds(1440, 100, 1).limit(STALL).start(network.namespace("cart")?, server)?;
    let report = Exchange::push(1_000_000).limit(STALL).start(network.namespace("report")?, server)?;
    for healthy in ["web", "api"] {
        let healthy = network.namespace(healthy)?;
        assert!(Exchange::push(5_000_000).run(healthy, server)?.complete);
        assert!(Exchange::pull(5_000_000).run(healthy, server)?.complete);
        assert!(Datagrams::of(1500, Df::Do).run(healthy, server)?.all());
    }
    assert!(Exchange::push(1_000_000).run(network.namespace("batch")?, server)?.complete);
    assert!(Exchange::push(1_000_000).run(network.namespace("orders")?, stock)?.complete);
    assert!(cart.join()??.stalled());
    assert!(report.join()??.stalled());

    let pod = |expected: Expected, name: &str| {
        expected.pod(network.lab().full_name(name)).direction("from_pod").family("ipv4")
    };
    probe.stop()?.expect(&[
        pod(Expected::black_hole("silent_link_drop").severity("critical").limit(1400), "cart"),
        pod(Expected::kind("oversize_dropped").outcome("recovered").limit(1500), "batch"),
        pod(Expected::black_hole("icmp_filtered").severity("critical").limit(1500), "report"),
        pod(Expected::kind("oversize_fragmented").outcome("fragmented").limit(1450), "orders"),
    ])
}
