//! Packets too big are dropped and the sender is told.
use anyhow::Result;
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange};

fn dropped(network: &Network, family: Family) -> Expected {
    Expected::kind("oversize_dropped").pod(network.lab().full_name("pod")).family(family.name()).limit(1400)
}

#[test]
fn tcp_learns_from_a_smaller_uplink() -> Result<()> {
    let mut network =
        Plan::new().uplink(1400).pod(Pod::routed("pod")).pod(Pod::bridged("other").mtu(1400)).build()?;
    network.serve(&["server"])?;
    let probe = Run::watch(network.node()).start()?;
    for family in Family::ALL {
        let server = network.address("server", family)?;
        let large = Exchange::push(2_000_000).start(network.namespace("pod")?, server)?;
        let fitting = Exchange::push(20_000_000).run(network.namespace("other")?, server)?;
        assert!(large.join()??.complete && fitting.complete);
    }
    let report = probe.stop()?;
    let wanted = |family| {
        dropped(&network, family)
            .severity("warning")
            .confirmed()
            .direction("from_pod")
            .outcome("recovered")
            .limit_is("node", "device_mtu")
    };
    report.expect(&Family::ALL.map(wanted))?;
    for family in Family::ALL {
        let finding = report.one(&wanted(family))?;
        let flow = &finding.json()["flows"][0];
        assert_eq!(flow["src"], network.address("pod", family)?.to_string(), "{}", report.evidence());
        assert_eq!(flow["dst"], network.address("server", family)?.to_string(), "{}", report.evidence());
        assert_eq!(flow["protocol"], "tcp");
        assert_eq!(finding.json()["limit"]["interface"], "eth0");
        assert!(
            finding.count("ptb_generated") >= 1 && finding.count("dropped_packets") >= 1,
            "{}",
            finding.json()
        );
    }
    let stages: Vec<&str> =
        report.lines_of("packet_too_big").filter_map(|line| line["stage"].as_str()).collect();
    assert!(
        stages.contains(&"generated") && stages.contains(&"delivered"),
        "{stages:?}\n{}",
        report.evidence()
    );
    Ok(())
}

#[test]
fn an_application_that_goes_on_though_told_loses() -> Result<()> {
    let mut network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    let probe = Run::watch(network.node()).start()?;
    for family in Family::ALL {
        let large = Datagrams::of(1500, Df::Probe).count(12);
        assert!(large.run(network.namespace("pod")?, network.address("server", family)?)?.none());
    }
    let report = probe.stop()?;
    report.expect(
        &Family::ALL.map(|family| {
            dropped(&network, family).severity("warning").direction("from_pod").outcome("lost")
        }),
    )
}

#[test]
fn a_sender_outside_is_told_of_a_smaller_pod() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod").mtu(1400)).build()?;
    network.serve(&["pod"])?;
    let probe = Run::watch(network.node()).start()?;
    for family in Family::ALL {
        let large = Datagrams::of(1500, Df::Probe).count(12);
        assert!(large.run(network.namespace("server")?, network.address("pod", family)?)?.none());
    }
    let report = probe.stop()?;
    report
        .expect(&Family::ALL.map(|family| dropped(&network, family).severity("warning").direction("to_pod")))
}

#[test]
fn a_smaller_path_beyond_the_node_is_no_more_than_information() -> Result<()> {
    let mut network = Plan::new().far(1400).pod(Pod::routed("pod")).masquerade().build()?;
    network.serve(&["far"])?;
    let probe = Run::watch(network.node()).start()?;
    for family in Family::ALL {
        let transfer =
            Exchange::push(2_000_000).run(network.namespace("pod")?, network.address("far", family)?)?;
        assert!(transfer.complete && transfer.tcp.path_mtu == 1400, "{transfer:?}");
    }
    let report = probe.stop()?;
    report.expect_silent()?;
    for line in report.lines_of("packet_too_big") {
        assert_eq!(line["next_hop_mtu"], 1400, "{}", report.evidence());
    }
    assert!(report.lines_of("packet_too_big").next().is_some(), "{}", report.evidence());
    Ok(())
}
