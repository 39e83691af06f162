//! Uplinks that only a VRF or a rule leads to.
use crate::checked::{check, expect_reach, expect_warnings};
use anyhow::Result;
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::network::UPLINK;
use mtuprobe_tests::topology::{Family, Namespace, Network, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df};

/// Pods of 1500 behind an uplink of 1400, whose default route `setup` has moved out of the main table.
fn expect_named(setup: impl FnOnce(&Namespace) -> Result<()>) -> Result<()> {
    let mut network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    setup(network.node())?;
    let server = network.address("server", Family::V4)?;
    let pod = network.namespace("pod")?;
    let name = network.lab().full_name("pod");
    // Of all tables it is the one that rules lead this pod's packets to.
    let checked = check(network.node())?;
    expect_reach(&checked, &name, "outside", "ipv4", 1400, Some(UPLINK))?;
    let exceeds = Expected::kind("pod_mtu_exceeds_egress").pod(&name).limit(1400);
    expect_warnings(&checked, vec![exceeds.limit_is("node", "device_mtu")])?;
    let probe = Run::watch(network.node()).start()?;
    assert!(Datagrams::of(1400, Df::Do).run(pod, server)?.all());
    let _lost = Datagrams::of(1500, Df::Probe).count(20).run(pod, server)?;
    let report = probe.stop()?;
    let start = report.lines_of("start").next().map(ToString::to_string).unwrap_or_default();
    let uplink = format!("\"interface\":\"{UPLINK}\",\"role\":\"uplink\"");
    let unordered = format!("\"role\":\"uplink\",\"interface\":\"{UPLINK}\"");
    assert!(start.contains(&uplink) || start.contains("\"uplink\"") || start.contains(&unordered), "{start}");
    let dropped = Expected::kind("oversize_dropped").pod(&name).direction("from_pod").family("ipv4");
    report.expect(&[dropped.limit(1400).limit_is("node", "device_mtu")])
}

#[test]
fn a_vrf_leads_out() -> Result<()> {
    expect_named(|node| {
        let pod = Network::host_interface("pod");
        let old = node.output("ip", &["-4", "route", "show"])?;
        node.ip(&format!(
            "link add blue type vrf table 100\nlink set blue up\nlink set {UPLINK} master blue\n\
             link set {pod} master blue"
        ))?;
        // What the kernel moved to the table of the VRF are connected routes only.
        for line in old.lines().filter(|line| line.contains(" via ") || line.contains(&pod)) {
            node.ip(&format!("route replace table 100 {}", line.replace(" linkdown", "")))?;
        }
        Ok(())
    })
}

#[test]
fn a_rule_leads_out() -> Result<()> {
    expect_named(|node| {
        let old = node.output("ip", &["-4", "route", "show", "default"])?;
        let line = old.trim();
        node.ip(&format!(
            "route add table 100 {line}\nroute del {line}\nrule add from 10.1.0.0/16 table 100 priority 100\n\
             route add table 200 {line} mtu 1300\nrule add from 10.9.0.0/16 table 200 priority 90"
        ))
    })
}
