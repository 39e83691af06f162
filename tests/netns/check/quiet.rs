//! Ordinary nodes: exit status 0.
use super::{check, default_deny, expect_quiet, reach};
use anyhow::{Result, ensure};
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::network::UPLINK;
use mtuprobe_tests::topology::{Ends, Family, Network, Overlay, Plan, Pod};
use mtuprobe_tests::traffic::Pings;

/// Quiet, and not even a remark.
fn expect_nothing(network: &Network) -> Result<()> {
    let report = check(network)?;
    expect_quiet(&report)?;
    ensure!(report.findings().is_empty(), "findings\n{}", report.evidence());
    Ok(())
}

#[test]
fn a_healthy_node_fits_one_screen() -> Result<()> {
    let network =
        Plan::new().pod(Pod::routed("one")).pod(Pod::bridged("two")).pod(Pod::bridged("three")).build()?;
    expect_nothing(&network)?;
    let report = Run::command(network.node(), &["check"]).to_end()?;
    let text = report.stdout().join("\n");
    assert_eq!(report.exit_status(), Some(0), "{text}");
    ensure!(report.stdout().len() <= 24, "{text}");
    ensure!(text.contains("nothing found"), "{text}");
    ensure!(text.contains("3 pods (3 from inside)"), "{text}");
    Ok(())
}

#[test]
fn an_overlay_whose_overhead_was_subtracted() -> Result<()> {
    let network = Plan::new()
        .pod(Pod::bridged("bridged").mtu(1450))
        .pod(Pod::routed("routed").mtu(1450))
        .pod(Pod::bridged("remote").mtu(1450).on_second_node())
        .overlay(Overlay::vxlan(1450).bound())
        .build()?;
    expect_nothing(&network)
}

#[test]
fn pods_whose_routes_are_small_enough() -> Result<()> {
    let network = Plan::new().uplink(1450).pod(Pod::routed("pod")).build()?;
    network.namespace("pod")?.ip(
        "route replace default via 169.254.1.1 dev eth0 mtu 1450\nroute replace default via fe80::1 dev eth0 mtu 1450\n",
    )?;
    expect_nothing(&network)?;
    let outside = reach(&network, &check(&network)?, "pod", "outside", "ipv6")?;
    assert_eq!((&outside["mtu"], &outside["chain"][0]["route_mtu"]), (&1450.into(), &1450.into()));
    Ok(())
}

#[test]
fn jumbo_uplinks() -> Result<()> {
    for mtu in [1500, 8951] {
        let network = Plan::new().uplink(9001).pod(Pod::routed("pod").mtu(mtu)).build()?;
        expect_nothing(&network)?;
    }
    Ok(())
}

#[test]
fn a_link_partner_of_the_node_that_differs_is_not_the_pods_affair() -> Result<()> {
    // The other end of the node's own uplink belongs to another node.
    let network = Plan::new().uplink(Ends { near: 1500, beyond: 9000 }).pod(Pod::routed("pod")).build()?;
    expect_nothing(&network)
}

#[test]
fn a_clamp_that_covers_all_tcp() -> Result<()> {
    let network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    network.clamp_mss("node")?;
    let report = check(&network)?;
    expect_quiet(&report)?;
    let found = report.one(&Expected::kind("pod_mtu_exceeds_egress").severity("info"))?;
    ensure!(found.to_string().contains("1400"), "{found}");
    let node = report.lines_of("namespace").find(|line| line["pod"].is_null()).cloned().unwrap_or_default();
    assert_eq!(node["clamps"][0]["to_route"], true, "{node}");
    Ok(())
}

#[test]
fn devices_that_pods_are_not_sent_to() -> Result<()> {
    let network = Plan::new().uplink(1460).pod(Pod::routed("pod").mtu(1460)).build()?;
    network.node().ip(
        "link add docker0 type bridge\nlink set docker0 mtu 1500\naddress add 172.17.0.1/16 dev docker0\n\
         link add host0 mtu 1500 type veth peer name net0 mtu 1400\nlink set host0 up\nlink set net0 up\n\
         address add 10.244.1.9/32 dev host0\nroute add 10.244.3.0/24 dev host0 mtu 1400\n\
         tuntap add ts0 mode tun\nlink set ts0 mtu 1280 up\naddress add 100.64.0.7/32 dev ts0\n\
         route add 100.64.0.0/10 dev ts0 table 52\n\
         link add mv0 link eth0 type macvlan mode bridge\nlink set mv0 up\n\
         link add ifb9 type ifb\nlink set ifb9 mtu 1400 up\n",
    )?;
    expect_nothing(&network)
}

#[test]
fn a_pod_that_has_containers_of_its_own() -> Result<()> {
    let network = Plan::new().uplink(1450).pod(Pod::routed("pod").mtu(1450)).build()?;
    // What runs in a pod is reached through it: the sizes in there are its affair, and its kernel tells who sends more.
    let inner = network.lab().full_name("server");
    network.namespace("pod")?.ip(&format!(
        "link add docker0 type bridge\nlink set docker0 up\naddress add 172.17.0.1/16 dev docker0\n\
         link add c0 type veth peer name eth1 netns {inner}\nlink set c0 master docker0 up\n"
    ))?;
    network.namespace("server")?.ip("link set eth1 up\naddress add 172.17.0.2/16 dev eth1\n")?;
    expect_nothing(&network)
}

#[test]
fn policies_that_deny_what_they_do_not_know() -> Result<()> {
    let network = Plan::new().pod(Pod::routed("pod")).build()?;
    let accepted = "ct state established,related accept
                iifname { lo, vethpod } accept
                meta l4proto ipv6-icmp accept";
    network.node().nft(&default_deny(&["forward", "input", "output"], accepted))?;
    network.namespace("pod")?.nft(&default_deny(&["input"], "ct state { established, related } accept"))?;
    expect_nothing(&network)
}

#[test]
fn a_tunnel_that_programs_put_packets_into() -> Result<()> {
    let network = Plan::new().pod(Pod::routed("pod")).build()?;
    network
        .node()
        .ip("link add md0 type vxlan external dstport 8472\nlink set md0 mtu 65000\nlink set md0 up\n")?;
    network.namespace("pod")?.ip(
        "route replace default via 169.254.1.1 dev eth0 mtu 1450\nroute replace default via fe80::1 dev eth0 mtu 1450\n",
    )?;
    expect_nothing(&network)?;
    let remote = reach(&network, &check(&network)?, "pod", "other_node", "ipv4")?;
    assert_eq!(remote["mtu"], 1450);
    Ok(())
}

#[test]
fn a_pod_with_two_interfaces_of_different_sizes() -> Result<()> {
    let network = Plan::new().uplink(9000).pod(Pod::routed("pod")).build()?;
    let pod = network.lab().full_name("pod");
    network.node().ip(&format!(
        "link add net1host mtu 9000 type veth peer name net1 mtu 9000 netns {pod}\nlink set net1host up\n\
         route add 10.50.0.2/32 dev net1host\n"
    ))?;
    network.namespace("pod")?.ip("link set net1 up\naddress add 10.50.0.2/24 dev net1\n")?;
    let report = check(&network)?;
    expect_quiet(&report)?;
    for line in report.lines_of("reach") {
        let first = line["chain"][0]["interface"].as_str().unwrap_or("");
        let expected = if first == "net1" { 9000 } else { 1500 };
        assert_eq!(line["pod_mtu"], expected, "{line}");
    }
    let names: Vec<&str> =
        report.lines_of("reach").filter_map(|line| line["pod"]["pod_interface"].as_str()).collect();
    ensure!(names.contains(&"eth0"), "{}", report.evidence());
    Ok(())
}

#[test]
fn what_was_learned_is_told_with_its_age() -> Result<()> {
    let mut network = Plan::new().far(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["far"])?;
    let (pod, far) = (network.namespace("pod")?, network.address("far", Family::V6)?);
    // The first one may wait for its neighbours longer than ping does for the answer.
    assert_eq!(Pings::of(1500).count(10).run(pod, far)?.too_big, Some(1400));
    let report = check(&network)?;
    expect_quiet(&report)?;
    let inside =
        report.lines_of("namespace").find(|line| !line["pod"].is_null()).cloned().unwrap_or_default();
    let learned = &inside["exceptions"][0];
    assert_eq!((&learned["mtu"], &learned["interface"]), (&1400.into(), &"eth0".into()), "{inside}");
    assert_eq!(learned["destination"], far.to_string());
    ensure!(learned["age_seconds"].as_u64().is_some_and(|age| age < 600), "{learned}");
    Ok(())
}

#[test]
fn a_pod_on_a_macvlan() -> Result<()> {
    let network = Plan::new().uplink(9000).pod(Pod::routed("pod")).build()?;
    let inside = network.lab().full_name("server");
    // The server's namespace plays the pod: its own uplink is taken away.
    network.node().ip(&format!(
        "link add mv1 mtu 1500 link {UPLINK} type macvlan mode bridge\nlink set mv1 netns {inside}\n"
    ))?;
    network.namespace("server")?.ip(
        "link del eth0\nlink set mv1 up\naddress add 10.77.0.2/24 dev mv1\nroute add default via 10.77.0.1\n",
    )?;
    let report = check(&network)?;
    expect_quiet(&report)?;
    let outside = reach(&network, &report, "server", "outside", "ipv4")?;
    assert_eq!(super::chain(&outside), "mv1 1500 > eth0 9000");
    Ok(())
}
