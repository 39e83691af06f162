//! The faults of the lab hurt as they are said to on this kernel, seen by traffic alone, without the product.
use anyhow::Result;
use mtuprobe_tests::topology::network::{TUNNEL, UPLINK};
use mtuprobe_tests::topology::{Family, Network, OuterDf, Overlay, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange, Pings};
use std::time::Duration;

const STALL: Duration = Duration::from_secs(3);

#[test]
fn a_plain_network_carries_everything() -> Result<()> {
    let mut network = Plan::new()
        .pod(Pod::routed("routed"))
        .pod(Pod::bridged("bridged"))
        .pod(Pod::bridged("remote").mtu(1450).on_second_node())
        .pod(Pod::routed("remote2").mtu(1450).on_second_node())
        .overlay(Overlay::vxlan(1450).bound())
        .far(1500)
        .build()?;
    network.serve(&["server", "far", "routed", "bridged", "remote", "remote2"])?;
    for family in Family::ALL {
        for (from, to, mtu) in [
            ("routed", "server", 1500),
            ("bridged", "server", 1500),
            ("server", "routed", 1500),
            ("far", "bridged", 1500),
            ("routed", "bridged", 1500),
            ("bridged", "remote", 1450),
            ("routed", "remote2", 1450),
            ("remote2", "routed", 1450),
            ("node", "server", 1500),
        ] {
            let to_address = network.address(to, family)?;
            let from = network.namespace(from)?;
            let transfer = Exchange::push(3_000_000).run(from, to_address)?;
            assert!(transfer.complete, "{} to {to}, {family:?}: {transfer:?}", from.name());
            let delivery = Datagrams::of(mtu, Df::Do).count(3).run(from, to_address)?;
            assert!(delivery.all(), "{} to {to}, {family:?}: {delivery:?}", from.name());
        }
    }
    Ok(())
}

#[test]
fn a_smaller_host_end_swallows_what_the_pod_sends() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod").mtu(1500).host_mtu(1400)).build()?;
    network.serve(&["server"])?;
    let pod = network.namespace("pod")?;
    for family in Family::ALL {
        let server = network.address("server", family)?;
        let stalled = Exchange::rounds(1428, 10, 1).limit(STALL).run(pod, server)?;
        assert!(stalled.stalled(), "{stalled:?}");
        assert_eq!(stalled.tcp.retransmits, 0, "a veth drop is no retransmission: {stalled:?}");
        let small = Exchange::rounds(1200, 10, 3).run(pod, server)?;
        assert!(small.complete, "{small:?}");
        let slack = Datagrams::of(1404, Df::Do).run(pod, server)?;
        assert!(slack.all(), "four bytes of slack: {slack:?}");
        let lost = Datagrams::of(1405, Df::Do).run(pod, server)?;
        assert!(lost.none() && lost.refused == 0, "{lost:?}");
    }
    assert!(network.node().drops(&Network::host_interface("pod"))?.received >= 20);
    assert_eq!(network.node().counter("Ip", "FragFails")?, 0);
    Ok(())
}

#[test]
fn a_smaller_pod_end_swallows_what_is_sent_to_it() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod").mtu(1400).host_mtu(1500)).build()?;
    network.serve(&["pod"])?;
    let server = network.namespace("server")?;
    for family in Family::ALL {
        let pod = network.address("pod", family)?;
        assert!(Datagrams::of(1404, Df::Do).run(server, pod)?.all());
        assert!(Datagrams::of(1450, Df::Do).run(server, pod)?.none());
        assert!(Exchange::push(500_000).run(server, pod)?.complete, "the handshake limits the segments");
    }
    assert!(network.node().drops(&Network::host_interface("pod"))?.sent >= 20);
    Ok(())
}

#[test]
fn a_smaller_uplink_tells_the_pod() -> Result<()> {
    let mut network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    let pod = network.namespace("pod")?;
    for family in Family::ALL {
        let server = network.address("server", family)?;
        assert_eq!(Pings::of(1500).run(pod, server)?.too_big, Some(1400));
        let transfer = Exchange::push(500_000).run(pod, server)?;
        assert!(transfer.complete && transfer.tcp.path_mtu == 1400, "{transfer:?}");
    }
    assert!(network.node().counter("Ip", "FragFails")? >= 1);
    assert!(network.node().counter("Ip6", "FragFails")? >= 1);
    Ok(())
}

#[test]
fn a_filtered_error_is_a_black_hole() -> Result<()> {
    for (place, hook) in [("pod", "input"), ("node", "output")] {
        let mut network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
        network.serve(&["server"])?;
        network.filter_packet_too_big(place, hook)?;
        let pod = network.namespace("pod")?;
        for family in Family::ALL {
            let transfer =
                Exchange::push(500_000).limit(STALL).run(pod, network.address("server", family)?)?;
            assert!(transfer.stalled(), "{transfer:?}");
        }
    }
    Ok(())
}

#[test]
fn a_tunnel_with_too_large_an_mtu_fragments_or_swallows() -> Result<()> {
    for df in [OuterDf::Unset, OuterDf::Set] {
        let overlay = Overlay::vxlan(1500).outer_df(df);
        let mut network = Plan::new()
            .pod(Pod::bridged("pod"))
            .pod(Pod::bridged("remote").on_second_node())
            .overlay(overlay)
            .build()?;
        network.serve(&["remote"])?;
        let pod = network.namespace("pod")?;
        let remote = network.address("remote", Family::V4)?;
        let whole = Datagrams::of(1450, Df::Do).run(pod, remote)?;
        assert!(whole.all(), "{whole:?}");
        let large = Datagrams::of(1500, Df::Do).run(pod, remote)?;
        let made = network.node().counter("Ip", "FragCreates")?;
        match df {
            OuterDf::Unset => assert!(large.all() && made >= 20, "{large:?}, {made} fragments"),
            OuterDf::Set | OuterDf::Inherit => {
                assert!(large.none() && made == 0, "{large:?}, {made} fragments");
                let transfer = Exchange::push(500_000).limit(STALL).run(pod, remote)?;
                assert!(transfer.stalled(), "{transfer:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_bound_tunnel_is_capped_when_made_and_not_later() -> Result<()> {
    let network =
        Plan::new().uplink(1600).second_uplink(1600).overlay(Overlay::vxlan(1550).bound()).build()?;
    network.node().set_mtu(UPLINK, 1500)?;
    let shown = network.node().output("ip", &["-o", "link", "show", "dev", TUNNEL])?;
    assert!(shown.contains("mtu 1550"), "{shown}");
    Ok(())
}

#[test]
fn a_smaller_path_beyond_the_node_tells_the_pod() -> Result<()> {
    let mut network = Plan::new().far(1400).pod(Pod::routed("pod")).masquerade().build()?;
    network.serve(&["far"])?;
    let pod = network.namespace("pod")?;
    for family in Family::ALL {
        let transfer = Exchange::push(500_000).run(pod, network.address("far", family)?)?;
        assert!(transfer.complete && transfer.tcp.path_mtu == 1400, "{family:?}: {transfer:?}");
    }
    Ok(())
}
