//! What ordinary nodes have and `check` stays quiet about, as far as only other kernels have the devices.
use anyhow::{Context as _, Result, ensure};
use mtuprobe_tests::probe::{Report, Run};
use mtuprobe_tests::topology::{Network, Plan, Pod};

fn expect_nothing(network: &Network) -> Result<Report> {
    let report = Run::command(network.node(), &["check", "--output", "json"]).to_end()?;
    ensure!(report.exit_status() == Some(0) && report.findings().is_empty(), "{}", report.evidence());
    Ok(report)
}

#[test]
fn a_tag_and_a_bond_cost_nothing() -> Result<()> {
    let network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.node().ip("link add bond0 type bond mode active-backup\nlink add s0 type veth peer name s1\n\
         link set s0 master bond0\nlink set s0 up\nlink set s1 up\nlink set bond0 up\n\
         link add link bond0 name bond0.5 type vlan id 5\nlink set bond0.5 up\n\
         address add 10.60.0.2/24 dev bond0.5\nroute add 10.61.0.0/16 via 10.60.0.1\n")?;
    let report = expect_nothing(&network)?;
    let by_tag = report.lines_of("reach").find(|line| line.to_string().contains("10.61.0.0/16"));
    let by_tag = by_tag.with_context(|| report.evidence())?;
    let last = by_tag["chain"].as_array().and_then(|chain| chain.last()).context("no chain")?;
    assert_eq!((&last["interface"], &last["overhead"]), (&"bond0.5".into(), &0.into()), "{by_tag}");
    assert_eq!((&by_tag["mtu"], &by_tag["limited_by"]), (&1500.into(), &serde_json::Value::Null));
    Ok(())
}

#[test]
fn devices_that_no_pod_is_sent_to() -> Result<()> {
    let network = Plan::new().pod(Pod::routed("pod")).build()?;
    // The guests' kernels make no fallback devices of ipip, gre and sit by themselves: these are as they would be.
    network.node().ip(
        "link add kube-ipvs0 mtu 1400 type dummy\naddress add 10.96.0.1/32 dev kube-ipvs0\n\
         link add nodelocaldns mtu 1280 type dummy\nlink set nodelocaldns up\n\
         address add 169.254.20.10/32 dev nodelocaldns\n\
         link add wg0 type wireguard\nlink set wg0 mtu 1420 up\naddress add 10.200.0.1/32 dev wg0\n\
         route add 10.200.0.0/24 dev wg0 table 51820\n\
         link add genev_sys_6081 type geneve external dstport 6081\nlink set genev_sys_6081 mtu 65000\n\
         link add tunl0 type ipip\nlink add gre0 type gre\nlink add sit0 type sit\nlink set tunl0 up\n",
    )?;
    expect_nothing(&network)?;
    Ok(())
}
