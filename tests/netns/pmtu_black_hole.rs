//! Packets too big are dropped and the sender does not learn.
use anyhow::{Result, ensure};
use mtuprobe_tests::probe::{Expected, PATIENCE, Report, Run};
use mtuprobe_tests::topology::network::UPLINK;
use mtuprobe_tests::topology::{Family, Network, OuterDf, Overlay, Plan, Pod};
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

#[test]
fn a_router_beyond_the_node_says_nothing() -> Result<()> {
    let mut network = Plan::new().far(1400).pod(Pod::routed("pod")).masquerade().build()?;
    network.serve(&["far"])?;
    network.filter_packet_too_big("router", "output")?;
    let probe = Run::watch(network.node()).start()?;
    let pod = network.namespace("pod")?;
    for family in Family::ALL {
        let far = network.address("far", family)?;
        let large = Exchange::push(1_000_000).limit(Duration::from_secs(8)).start(pod, far)?;
        // What is small passes all the while.
        for _ in 0..12 {
            assert!(Exchange::rounds(100, 100, 5).run(pod, far)?.complete);
            std::thread::sleep(Duration::from_millis(500));
        }
        assert!(large.join()??.stalled());
    }
    let report = probe.stop()?;
    let silent = |family: Family| {
        Expected::black_hole("path_silent")
            .severity("critical")
            .outcome("lost")
            .pod(network.lab().full_name("pod"))
            .family(family.name())
            .direction("from_pod")
            .limit_is("path", "bounds")
    };
    report.expect(&Family::ALL.map(silent))?;
    for family in Family::ALL {
        let finding = report.one(&silent(family))?;
        let bounds = &finding.json()["limit"]["between"];
        let (passes, lost) = (bounds[0].as_u64().unwrap_or(0), bounds[1].as_u64().unwrap_or(0));
        assert!(passes > 0 && passes <= 1400 && lost > 1400, "{bounds}");
    }
    Ok(())
}

#[test]
fn the_error_about_an_outer_packet_goes_to_the_tunnel() -> Result<()> {
    let mut network = Plan::new()
        .pod(Pod::bridged("pod"))
        .pod(Pod::bridged("remote").on_second_node())
        .overlay(Overlay::vxlan(1500).outer_df(OuterDf::Set))
        .build()?;
    network.serve(&["remote"])?;
    let probe = Run::watch(network.node()).start()?;
    let (pod, remote) = (network.namespace("pod")?, network.address("remote", Family::V4)?);
    let transfer = Exchange::push(500_000).limit(STALL).run(pod, remote)?;
    assert!(transfer.stalled(), "{transfer:?}");
    probe.stop()?.expect(&[Expected::black_hole("icmp_misdirected")
        .severity("critical")
        .pod(network.lab().full_name("pod"))
        .direction("from_pod")
        .limit(1450)
        .limit_is("overlay", "underlay_minus_overhead")])
}

#[test]
fn policy_routing_leads_the_error_of_a_router_astray() -> Result<()> {
    let mut network = Plan::new().far(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["far"])?;
    let elsewhere = network.namespace("server")?;
    let pair = format!("link add aside type veth peer name aside netns {}\n", elsewhere.name());
    network.node().ip(&(pair + "link set aside up\n"))?;
    elsewhere.ip("link set aside up\n")?;
    for (family, router, protocol) in [("-4", "169.254.9.9", "icmp"), ("-6", "fe80::9", "ipv6-icmp")] {
        for command in [
            format!("neighbour add {router} lladdr 0e:4d:54:55:09:09 dev aside nud permanent"),
            format!("route add default via {router} dev aside onlink table 99"),
            format!("rule add ipproto {protocol} iif {UPLINK} lookup 99"),
        ] {
            let arguments: Vec<&str> = [family].into_iter().chain(command.split(' ')).collect();
            network.node().output("ip", &arguments)?;
        }
    }
    let probe = Run::watch(network.node()).start()?;
    let transfers = both(&network, Exchange::push(1_000_000), "far")?;
    assert!(transfers.iter().all(Transfer::stalled), "{transfers:?}");
    probe.stop()?.expect(&Family::ALL.map(|family| {
        Expected::black_hole("icmp_lost")
            .severity("critical")
            .pod(network.lab().full_name("pod"))
            .family(family.name())
            .direction("from_pod")
            .limit(1400)
    }))
}

#[test]
fn a_locked_route_in_the_pod_ignores_the_error() -> Result<()> {
    let mut network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    let pod = network.namespace("pod")?;
    pod.ip("route replace default via 169.254.1.1 dev eth0 mtu lock 1500\n")?;
    let probe = Run::watch(network.node()).start()?;
    let latent =
        Expected::kind("pmtud_disabled").pod(network.lab().full_name("pod")).severity("info").limit(1400);
    probe.wait_for_finding(&latent)?;
    let exchange = Exchange::push(500_000).df(Df::Do).limit(STALL);
    let transfer = exchange.run(pod, network.address("server", Family::V4)?)?;
    assert!(transfer.stalled(), "{transfer:?}");
    probe.stop()?.expect(&[black_hole(&network, "icmp_ignored", Family::V4).direction("from_pod")])
}

/// A finding about a flow that got through all the same because its TCP probes, and says so.
fn rescued(report: &Report, expected: &[Expected]) -> Result<()> {
    report.expect(expected)?;
    for expected in expected {
        let finding = report.one(expected)?;
        let explanation = finding.text("explanation");
        ensure!(explanation.contains("got through all the same"), "{explanation}");
        ensure!(explanation.contains("net.ipv4.tcp_mtu_probing is 1"), "{explanation}");
    }
    Ok(())
}

#[test]
fn probing_rescues_tcp_from_a_silent_router() -> Result<()> {
    let mut network = Plan::new().far(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["far"])?;
    network.filter_packet_too_big("router", "output")?;
    let (pod, far) = (network.namespace("pod")?, network.address("far", Family::V4)?);
    pod.set("net/ipv4/tcp_mtu_probing", "1")?;
    let probe = Run::watch(network.node()).start()?;
    let large = Exchange::push(200_000).limit(PATIENCE).start(pod, far)?;
    // What is small passes all the while.
    for _ in 0..12 {
        assert!(Exchange::rounds(100, 100, 5).run(pod, far)?.complete);
        std::thread::sleep(Duration::from_millis(500));
    }
    let large = large.join()??;
    assert!(large.complete && large.took > Duration::from_secs(1), "{large:?}");
    let report = probe.stop()?;
    let expected = Expected::black_hole("path_silent")
        .severity("warning")
        .outcome("recovered")
        .pod(network.lab().full_name("pod"))
        .direction("from_pod")
        .limit_is("path", "bounds");
    rescued(&report, std::slice::from_ref(&expected))?;
    let bounds = report.one(&expected)?.json()["limit"]["between"].clone();
    assert!(bounds[0].as_u64().is_some_and(|passes| passes <= 1400), "{bounds}");
    assert_eq!(bounds[1], 1500);
    Ok(())
}

#[test]
fn probing_rescues_tcp_whose_errors_are_filtered() -> Result<()> {
    let mut network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    network.filter_packet_too_big("pod", "input")?;
    let pod = network.namespace("pod")?;
    pod.set("net/ipv4/tcp_mtu_probing", "1")?;
    let probe = Run::watch(network.node()).start()?;
    for family in Family::ALL {
        let exchange = Exchange::push(200_000).limit(PATIENCE);
        let transfer = exchange.run(pod, network.address("server", family)?)?;
        assert!(transfer.complete && transfer.took > Duration::from_secs(1), "{transfer:?}");
    }
    let expected = Family::ALL.map(|family| {
        Expected::black_hole("icmp_filtered")
            .severity("warning")
            .outcome("recovered")
            .pod(network.lab().full_name("pod"))
            .family(family.name())
            .limit(1400)
    });
    rescued(&probe.stop()?, &expected)
}

#[test]
fn whether_probing_helps_at_a_veth_depends_on_its_kind() -> Result<()> {
    let mut network = ["0", "1", "2"]
        .iter()
        .fold(Plan::new(), |plan, mode| {
            plan.pod(Pod::routed(&format!("probing{mode}")).mtu(1500).host_mtu(1400))
        })
        .build()?;
    network.serve(&["server"])?;
    let server = network.address("server", Family::V4)?;
    let probe = Run::watch(network.node()).start()?;
    let mut transfers = Vec::new();
    for mode in ["0", "1", "2"] {
        let pod = network.namespace(&format!("probing{mode}"))?;
        pod.set("net/ipv4/tcp_mtu_probing", mode)?;
        transfers.push(Exchange::rounds(1448, 10, 1).limit(STALL).start(pod, server)?);
    }
    let complete =
        transfers.into_iter().map(|task| Ok(task.join()??.complete)).collect::<Result<Vec<_>>>()?;
    assert_eq!(complete, [false, false, true]);
    let report = probe.stop()?;
    for (mode, words) in
        [("0", "1 would not help"), ("1", "is 1 in the sender's network namespace and does not help")]
    {
        let pod = network.lab().full_name(&format!("probing{mode}"));
        let finding = report.one(&Expected::black_hole("silent_link_drop").pod(pod).severity("critical"))?;
        let explanation = finding.text("explanation");
        assert!(explanation.contains(words) && explanation.contains("2 would"), "{explanation}");
    }
    Ok(())
}
