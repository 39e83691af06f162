//! Networks in which nothing is wrong: whatever happens there, nothing is said at `warning` or above.
use anyhow::Result;
use mtuprobe_tests::probe::{Probe, Run};
use mtuprobe_tests::topology::firewall::service_address;
use mtuprobe_tests::topology::network::UPLINK;
use mtuprobe_tests::topology::{Ends, Family, Network, Overlay, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange, Pings, Transfer};
use std::time::Duration;

fn watch(network: &Network) -> Result<Probe> {
    Run::watch(network.node()).start()
}

#[test]
fn full_speed_with_offloads_and_exact_sizes() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("one")).pod(Pod::bridged("two")).masquerade().build()?;
    network.serve(&["server", "two"])?;
    let probe = watch(&network)?;
    for family in Family::ALL {
        for (from, to) in [("one", "server"), ("two", "server"), ("one", "two"), ("node", "two")] {
            let (from, to) = (network.namespace(from)?, network.address(to, family)?);
            assert!(Exchange::push(50_000_000).run(from, to)?.complete);
            assert!(Exchange::pull(50_000_000).run(from, to)?.complete);
            assert!(Datagrams::of(1500, Df::Do).reply(1500, Df::Do).run(from, to)?.all());
        }
    }
    let report = probe.stop()?;
    report.expect_silent()?;
    assert_eq!(report.findings().len(), 0, "{}", report.evidence());
    Ok(())
}

#[test]
fn jumbo_pods_on_one_node_with_an_ordinary_uplink() -> Result<()> {
    let mut network = Plan::new()
        .pod(Pod::routed("one").mtu(9000))
        .pod(Pod::routed("two").mtu(9000))
        .pod(Pod::bridged("three").mtu(9000))
        .build()?;
    network.serve(&["server", "two", "three"])?;
    let probe = watch(&network)?;
    for family in Family::ALL {
        let one = network.namespace("one")?;
        for to in ["two", "three"] {
            let to = network.address(to, family)?;
            assert!(Exchange::push(50_000_000).run(one, to)?.complete);
            assert!(Exchange::rounds(8900, 8900, 50).run(one, to)?.complete);
            assert!(Datagrams::of(9000, Df::Do).reply(9000, Df::Do).run(one, to)?.all());
        }
        // TCP agrees on the server's segment size.
        assert!(Exchange::push(5_000_000).run(one, network.address("server", family)?)?.complete);
    }
    probe.stop()?.expect_silent()
}

#[test]
fn a_smaller_uplink_behind_an_mss_clamp() -> Result<()> {
    let mut network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    network.clamp_mss("node")?;
    let probe = watch(&network)?;
    for family in Family::ALL {
        let (pod, server) = (network.namespace("pod")?, network.address("server", family)?);
        assert!(Exchange::push(20_000_000).run(pod, server)?.complete);
        assert!(Exchange::pull(20_000_000).run(pod, server)?.complete);
    }
    probe.stop()?.expect_silent()
}

#[test]
fn a_smaller_uplink_behind_a_smaller_route() -> Result<()> {
    let mut network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    network.namespace("pod")?.ip(
        "route replace default via 169.254.1.1 dev eth0 mtu 1400\nroute replace default via fe80::1 dev eth0 mtu 1400\n",
    )?;
    let probe = watch(&network)?;
    for family in Family::ALL {
        let (pod, server) = (network.namespace("pod")?, network.address("server", family)?);
        assert!(Exchange::push(20_000_000).run(pod, server)?.complete);
        assert!(Datagrams::of(1400, Df::Do).run(pod, server)?.all());
    }
    probe.stop()?.expect_silent()
}

#[test]
fn discovery_switched_off_where_everything_fits() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    network.namespace("pod")?.set("net/ipv4/ip_no_pmtu_disc", "1")?;
    let probe = watch(&network)?;
    let (pod, server) = (network.namespace("pod")?, network.address("server", Family::V4)?);
    assert!(Exchange::push(20_000_000).run(pod, server)?.complete);
    assert!(Datagrams::of(1500, Df::Dont).run(pod, server)?.all());
    probe.stop()?.expect_silent()
}

#[test]
fn loss_that_does_not_depend_on_size() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    network.node().no_offloads(&[UPLINK])?;
    network.namespace("fabric")?.no_offloads(&["to-node", "to-server"])?;
    network.namespace("server")?.no_offloads(&[UPLINK])?;
    network.lose_one_in("fabric", 40)?;
    let probe = watch(&network)?;
    for family in Family::ALL {
        let (pod, server) = (network.namespace("pod")?, network.address("server", family)?);
        let small = Exchange::rounds(200, 200, 200).limit(Duration::from_secs(30)).start(pod, server)?;
        let large = Exchange::push(2_000_000).limit(Duration::from_secs(30)).run(pod, server)?;
        assert!(large.complete && large.tcp.retransmits > 0, "{large:?}");
        assert!(small.join()??.complete);
    }
    probe.stop()?.expect_silent()
}

#[test]
fn an_outage_that_takes_small_packets_too() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    let probe = watch(&network)?;
    let (pod, server) = (network.namespace("pod")?, network.address("server", Family::V4)?);
    let limit = Duration::from_secs(5);
    let small =
        Exchange::rounds(200, 200, 1000).pause(Duration::from_millis(20)).limit(limit).start(pod, server)?;
    let large = Exchange::rounds(100_000, 10, 1000)
        .pause(Duration::from_millis(20))
        .limit(limit)
        .start(pod, server)?;
    std::thread::sleep(Duration::from_millis(500));
    network.lose_one_in("fabric", 1)?;
    let transfers = [small.join()??, large.join()??];
    assert!(transfers.iter().all(|transfer| transfer.stalled() && transfer.rounds > 0), "{transfers:?}");
    probe.stop()?.expect_silent()
}

#[test]
fn a_service_whose_backend_is_on_the_same_node() -> Result<()> {
    let mut network =
        Plan::new().uplink(1400).pod(Pod::routed("client")).pod(Pod::routed("backend")).build()?;
    network.serve(&["backend"])?;
    network.service("backend")?;
    let probe = watch(&network)?;
    for family in Family::ALL {
        // By its route the service would leave by the uplink, which is smaller; after translation it stays here.
        let (client, service) = (network.namespace("client")?, service_address(family));
        assert!(Exchange::push(20_000_000).run(client, service)?.complete);
        let datagrams = Datagrams::of(1500, Df::Do).count(20).run(client, service)?;
        assert!(datagrams.all(), "{datagrams:?}");
    }
    probe.stop()?.expect_silent()
}

#[test]
fn an_overlay_whose_overhead_was_subtracted() -> Result<()> {
    let mut network = Plan::new()
        .pod(Pod::bridged("pod").mtu(1450))
        .pod(Pod::routed("routed").mtu(1450))
        .pod(Pod::bridged("remote").mtu(1450).on_second_node())
        .overlay(Overlay::vxlan(1450).bound())
        .build()?;
    network.serve(&["remote"])?;
    let probe = watch(&network)?;
    for family in Family::ALL {
        for from in ["pod", "routed"] {
            let (from, remote) = (network.namespace(from)?, network.address("remote", family)?);
            assert!(Exchange::push(20_000_000).run(from, remote)?.complete);
            assert!(Exchange::pull(20_000_000).run(from, remote)?.complete);
            assert!(Datagrams::of(1450, Df::Do).reply(1450, Df::Do).run(from, remote)?.all());
        }
    }
    probe.stop()?.expect_silent()
}

#[test]
fn datagrams_that_the_sender_itself_fragments() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    let probe = watch(&network)?;
    for family in Family::ALL {
        let (pod, server) = (network.namespace("pod")?, network.address("server", family)?);
        assert!(Datagrams::of(4000, Df::Want).reply(9000, Df::Want).run(pod, server)?.all());
    }
    probe.stop()?.expect_silent()
}

#[test]
fn deliberate_probes_of_the_path() -> Result<()> {
    let mut network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    let probe = watch(&network)?;
    for family in Family::ALL {
        let (pod, server) = (network.namespace("pod")?, network.address("server", family)?);
        assert_eq!(Pings::of(1500).run(pod, server)?.too_big, Some(1400));
        let steps =
            Datagrams::stepped(&[1280, 1500, 1500, 1500, 1390, 1390, 1390], Df::Probe).run(pod, server)?;
        assert_eq!(steps.answered, 4, "{steps:?}");
    }
    probe.stop()?.expect_silent()
}

#[test]
fn a_server_with_a_larger_mtu_than_everybody() -> Result<()> {
    let mut network = Plan::new().server(Ends::from(9000)).pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    let probe = watch(&network)?;
    let transfers: Vec<Transfer> = Family::ALL
        .into_iter()
        .map(|family| {
            Exchange::pull(20_000_000).run(network.namespace("pod")?, network.address("server", family)?)
        })
        .collect::<Result<_>>()?;
    assert!(transfers.iter().all(|transfer| transfer.complete), "{transfers:?}");
    probe.stop()?.expect_silent()
}

#[test]
fn devices_that_nothing_is_routed_to() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    network.node().ip(
        "link add docker0 type bridge\nlink set docker0 mtu 1300\naddress add 172.17.0.1/16 dev docker0\n\
         link add ours0 mtu 9000 type veth peer name ours1 mtu 1280\nlink set ours0 up\nlink set ours1 up\n",
    )?;
    let probe = watch(&network)?;
    for family in Family::ALL {
        let (pod, server) = (network.namespace("pod")?, network.address("server", family)?);
        assert!(Exchange::push(5_000_000).run(pod, server)?.complete);
    }
    probe.stop()?.expect_silent()
}
