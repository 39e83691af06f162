//! What it finds, with sizes exact to the byte.
use super::{chain, check, default_deny, expect_quiet, reach};
use anyhow::{Result, ensure};
use mtuprobe_tests::probe::{Expected, Report, Run};
use mtuprobe_tests::topology::network::{BRIDGE, UPLINK};
use mtuprobe_tests::topology::{Network, OuterDf, Overlay, Plan, Pod};

/// These and nothing else at `warning` or above, with the exit status to match.
fn expect(report: &Report, expected: &[Expected]) -> Result<()> {
    let loud = report.loud();
    for wanted in expected {
        let count = loud.iter().filter(|finding| wanted.accepts(finding)).count();
        ensure!(count == 1, "{count} times: {wanted}\n{}", report.evidence());
    }
    for finding in &loud {
        let is_wanted = expected.iter().any(|wanted| wanted.accepts(finding));
        ensure!(is_wanted, "unexpected: {finding}\n{}", report.evidence());
    }
    ensure!(report.exit_status() == Some(1), "exit status\n{}", report.evidence());
    Ok(())
}

fn warning(kind: &str) -> Expected {
    Expected::kind(kind).severity("warning").outcome("latent")
}

fn with_overlay(pod_mtu: u32, overlay: Overlay) -> Result<Network> {
    Plan::new()
        .pod(Pod::bridged("bridged").mtu(pod_mtu))
        .pod(Pod::routed("routed").mtu(pod_mtu))
        .pod(Pod::bridged("remote").mtu(pod_mtu).on_second_node())
        .overlay(overlay)
        .build()
}

#[test]
fn chains_are_told_to_the_byte() -> Result<()> {
    let network = with_overlay(1500, Overlay::vxlan(1450))?;
    let report = check(&network)?;
    for family in ["ipv4", "ipv6"] {
        let remote = reach(&network, &report, "routed", "other_node", family)?;
        assert_eq!(chain(&remote), "eth0 1500 > vethrouted 1500 > vxlan0 1450 -50 > eth0 1500");
        assert_eq!((&remote["mtu"], &remote["pod_mtu"]), (&1450.into(), &1500.into()));
        assert_eq!(remote["limited_by"], "vxlan0 over eth0");
        assert_eq!(remote["proved"], false);
        let local = reach(&network, &report, "bridged", "same_node", family)?;
        assert_eq!(chain(&local), "eth0 1500 > vethbridged 1500 > vethrouted 1500 > eth0 1500");
        let outside = reach(&network, &report, "bridged", "outside", family)?;
        assert_eq!((&outside["mtu"], &outside["limited_by"]), (&1500.into(), &serde_json::Value::Null));
    }
    let pods = ["bridged", "routed"]
        .map(|pod| warning("pod_mtu_exceeds_egress").pod(network.lab().full_name(pod)).limit(1450));
    expect(&report, &pods)?;

    let text = Run::command(network.node(), &["check"]).to_end()?.stdout().join("\n");
    let wanted = "eth0 1500 → vethbridged 1500 → vxlan0 1450 (−50) → eth0 1500 = 1450";
    ensure!(text.contains(wanted), "{text}");
    Ok(())
}

#[test]
fn a_smaller_uplink() -> Result<()> {
    let network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    let report = check(&network)?;
    let pod = network.lab().full_name("pod");
    expect(&report, &[warning("pod_mtu_exceeds_egress").pod(pod).limit(1400)])
}

#[test]
fn a_tunnel_that_is_too_large_for_its_underlay() -> Result<()> {
    for df in [OuterDf::Unset, OuterDf::Set] {
        let network = with_overlay(1500, Overlay::vxlan(1500).outer_df(df))?;
        let report = check(&network)?;
        expect(&report, &[warning("overlay_mtu_exceeds_underlay").limit(1450)])?;
        let found = report.one(&Expected::kind("overlay_mtu_exceeds_underlay"))?.to_string();
        ensure!(!found.is_empty());
        for pod in ["bridged", "routed"] {
            network.namespace(pod)?.ip(&format!(
                "route replace default via {gateway} dev eth0 mtu 1450\n",
                gateway =
                    if pod == "routed" { "169.254.1.1".to_owned() } else { bridge_address(&network, "4")? },
            ))?;
            network.namespace(pod)?.ip(&format!(
                "route replace default via {gateway} dev eth0 mtu 1450\n",
                gateway = if pod == "routed" { "fe80::1".to_owned() } else { bridge_address(&network, "6")? },
            ))?;
        }
        expect_quiet(&check(&network)?)?;
    }
    Ok(())
}

/// The address of the bridge, in the family of `ip -FAMILY`.
fn bridge_address(network: &Network, family: &str) -> Result<String> {
    let inside = network.namespace("bridged")?;
    let output = inside.command("ip").args([&format!("-{family}"), "route", "show", "default"]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let mut words = text.split_whitespace().skip_while(|word| *word != "via").skip(1);
    words.next().map(str::to_owned).ok_or_else(|| anyhow::anyhow!("no default route: {text}"))
}

#[test]
fn ends_of_a_veth_that_differ() -> Result<()> {
    let network = Plan::new()
        .pod(Pod::routed("larger").mtu(1500).host_mtu(1400))
        .pod(Pod::routed("smaller").mtu(1400).host_mtu(1500))
        .build()?;
    let report = check(&network)?;
    let ends = |pod, direction| {
        let pod = network.lab().full_name(pod);
        warning("veth_mtu_mismatch").pod(pod).limit(1400).direction(direction)
    };
    expect(&report, &[ends("larger", "from_pod"), ends("smaller", "to_pod")])
}

#[test]
fn ends_that_differ_where_nothing_can_meet_it() -> Result<()> {
    let network = Plan::new().pod(Pod::routed("pod").mtu(1500).host_mtu(1400)).build()?;
    network.namespace("pod")?.ip(
        "route replace default via 169.254.1.1 dev eth0 mtu 1400\nroute replace default via fe80::1 dev eth0 mtu 1400\n",
    )?;
    let report = check(&network)?;
    expect_quiet(&report)?;
    report.one(&Expected::kind("veth_mtu_mismatch").severity("info"))?;
    Ok(())
}

#[test]
fn ports_of_a_bridge_that_differ() -> Result<()> {
    let network =
        Plan::new().pod(Pod::bridged("one")).pod(Pod::bridged("two").mtu(1400)).bridge_mtu(1500).build()?;
    let report = check(&network)?;
    expect(&report, &[warning("bridge_mtu_mismatch").limit(1400)])?;
    let local = reach(&network, &report, "one", "same_node", "ipv4")?;
    assert_eq!((&local["mtu"], &local["limited_by"]), (&1400.into(), &"vethtwo".into()));
    Ok(())
}

#[test]
fn a_bridge_below_its_ports() -> Result<()> {
    let network = Plan::new().pod(Pod::bridged("pod")).build()?;
    network.node().set_mtu(BRIDGE, 1400)?;
    let report = check(&network)?;
    expect(&report, &[warning("bridge_mtu_mismatch").limit(1400).direction("to_pod")])
}

#[test]
fn discovery_that_is_off_where_it_is_needed() -> Result<()> {
    let network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    network.namespace("pod")?.set("net/ipv4/ip_no_pmtu_disc", "1")?;
    let pod = network.lab().full_name("pod");
    let report = check(&network)?;
    expect(
        &report,
        &[
            warning("pod_mtu_exceeds_egress").pod(&pod).limit(1400),
            warning("pmtud_disabled").pod(&pod).limit(1400).family("ipv4"),
        ],
    )?;
    network.node().set_mtu(UPLINK, 1500)?;
    let report = check(&network)?;
    expect_quiet(&report)?;
    report.one(&Expected::kind("pmtud_disabled").severity("info"))?;
    Ok(())
}

#[test]
fn filters_that_drop_the_errors_that_are_needed() -> Result<()> {
    for (place, hook) in [("node", "output"), ("pod", "input")] {
        let network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
        network.filter_packet_too_big(place, hook)?;
        let report = check(&network)?;
        let pod = network.lab().full_name("pod");
        expect(
            &report,
            &[
                warning("pod_mtu_exceeds_egress").pod(&pod).limit(1400),
                warning("pmtud_disabled").family("ipv4").limit(1400),
                warning("pmtud_disabled").family("ipv6").limit(1400),
            ],
        )?;
        network.node().set_mtu(UPLINK, 1500)?;
        expect_quiet(&check(&network)?)?;
    }
    Ok(())
}

#[test]
fn a_policy_that_forgets_the_errors() -> Result<()> {
    let network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    let pod = network.lab().full_name("pod");
    let inside = network.namespace("pod")?;
    let egress = || warning("pod_mtu_exceeds_egress").pod(&pod).limit(1400);
    inside.nft(&default_deny(&["input"], "ct state established,related accept"))?;
    expect(&check(&network)?, &[egress()])?;
    inside.nft(&format!("flush ruleset\n{}", default_deny(&["input"], "ct state established accept")))?;
    let deaf = |family| warning("pmtud_disabled").pod(&pod).family(family).limit(1400);
    expect(&check(&network)?, &[egress(), deaf("ipv4"), deaf("ipv6")])
}
