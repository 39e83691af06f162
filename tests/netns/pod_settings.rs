//! Settings of the pods' network namespaces: they are seen with the rights of a DaemonSet, and so is a change of them.
use crate::bad_input::LEAST;
use anyhow::Result;
use mtuprobe_tests::probe::{PATIENCE, Probe, Report, Run};
use mtuprobe_tests::topology::{Plan, Pod};
use std::time::{Duration, Instant};

fn state(report: &Report) -> &str {
    let senses = report.lines_of("start").next().and_then(|start| start["senses"].as_array());
    let sense = senses.into_iter().flatten().find(|sense| sense["name"] == "pod_settings");
    sense.and_then(|sense| sense["state"].as_str()).unwrap_or("not told")
}

#[test]
fn a_change_is_told_with_three_capabilities() -> Result<()> {
    let network = Plan::new().pod(Pod::routed("pod")).pod(Pod::routed("other")).build()?;
    let name = network.lab().full_name("pod");
    let probe = Run::watch(network.node()).under(&LEAST).start()?;
    network.namespace("pod")?.set("net/ipv4/ip_no_pmtu_disc", "2")?;
    probe.wait_for("the change in the pod", |line| {
        line["type"] == "change"
            && line["what"] == "setting"
            && line["object"] == format!("{name} net.ipv4.ip_no_pmtu_disc")
            && (&line["from"], &line["to"]) == (&"0".into(), &"2".into())
    })?;
    network.node().set("net/ipv4/route/min_pmtu", "1000")?;
    probe.wait_for("the change on the node", |line| {
        line["type"] == "change" && line["object"] == "node net.ipv4.route.min_pmtu" && line["to"] == "1000"
    })?;
    let report = probe.stop()?;
    assert_eq!(state(&report), "works", "{}", report.evidence());
    assert_eq!(report.lines_of("change").count(), 2, "{}", report.evidence());
    report.expect_silent()
}

#[test]
fn a_pod_that_comes_while_observing_is_read_as_well() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    let probe = Run::watch(network.node()).start()?;
    network.add_pod(&Pod::routed("late"))?;
    probe.wait_for("the pod", |line| line["type"] == "attach")?;
    let late = network.namespace("late")?;
    // What it was when it was first read is unknown here: one of two values in turn is a change.
    let end = Instant::now() + PATIENCE;
    let is_told = |probe: &Probe| probe.seen().iter().any(|line| line["what"] == "setting");
    for value in ["1", "2"].iter().cycle() {
        assert!(Instant::now() < end, "no change was told");
        late.set("net/ipv4/tcp_mtu_probing", value)?;
        std::thread::sleep(Duration::from_millis(500));
        if is_told(&probe) {
            break;
        }
    }
    assert_eq!(state(&probe.stop()?), "works");
    Ok(())
}
