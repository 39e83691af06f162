//! Path MTU discovery is switched off where it is needed: what each mode of `net.ipv4.ip_no_pmtu_disc` does to traffic.
use crate::bad_input::LEAST;
use anyhow::{Result, ensure};
use mtuprobe_tests::probe::{Expected, Finding, Report, Run};
use mtuprobe_tests::topology::network::UPLINK;
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange};
use std::time::Duration;

/// Longer than the three seconds after which a stalled flow shows harm.
const STALL: Duration = Duration::from_secs(5);
const SETTING: &str = "net/ipv4/ip_no_pmtu_disc";

/// A pod for each of these modes, behind an uplink of 1400.
fn network(modes: &[&str]) -> Result<Network> {
    let pods = modes.iter().fold(Plan::new().uplink(1400), |plan, mode| plan.pod(Pod::routed(&name(mode))));
    let mut network = pods.build()?;
    network.serve(&["server"])?;
    for mode in modes {
        network.namespace(&name(mode))?.set(SETTING, mode)?;
    }
    Ok(network)
}

fn name(mode: &str) -> String {
    format!("mode{mode}")
}

/// A traffic finding of a pod, at the uplink.
fn at_uplink(network: &Network, kind: Expected, mode: &str) -> Expected {
    kind.pod(network.lab().full_name(&name(mode)))
        .direction("from_pod")
        .limit(1400)
        .limit_is("node", "device_mtu")
}

/// The setting is named, in the explanation and as the cause, and so is the command that puts it right.
fn names_setting(report: &Report, finding: &Finding, mode: &str) -> Result<()> {
    let words = format!("net.ipv4.ip_no_pmtu_disc is {mode}");
    let fix = finding.json()["fix"][0]["command"].as_str().unwrap_or_default();
    ensure!(finding.text("explanation").contains(&words), "{finding}\n{}", report.evidence());
    ensure!(fix.ends_with("sysctl -w net.ipv4.ip_no_pmtu_disc=0"), "{fix}\n{}", report.evidence());
    Ok(())
}

fn names_cause(finding: &Finding, mode: &str) -> Result<()> {
    let cause = &finding.json()["cause"];
    let title = cause["title"].as_str().unwrap_or_default();
    ensure!(title.contains(&format!("net.ipv4.ip_no_pmtu_disc is {mode}")), "{cause}");
    ensure!(cause["pods_affected"] == 1, "{cause}");
    Ok(())
}

#[test]
fn is_told_as_information_while_nothing_meets_it() -> Result<()> {
    let network = network(&["0", "2"])?;
    let probe = Run::watch(network.node()).under(&LEAST).start()?;
    let expected = Expected::kind("pmtud_disabled").severity("info").confirmed().outcome("latent");
    let expected = at_uplink(&network, expected, "2");
    probe.wait_for_finding(&expected)?;
    network.namespace("mode2")?.set(SETTING, "0")?;
    probe.wait_for_finding(&Expected::kind("pmtud_disabled").text("state", "closed"))?;
    let report = probe.stop()?;
    report.one(&expected)?;
    report.expect_silent()
}

#[test]
fn is_not_told_where_nothing_is_smaller() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    let pod = network.namespace("pod")?;
    pod.set(SETTING, "2")?;
    let probe = Run::watch(network.node()).start()?;
    assert!(Exchange::push(1_000_000).run(pod, network.address("server", Family::V4)?)?.complete);
    let report = probe.stop()?;
    assert_eq!(report.findings().len(), 0, "{}", report.evidence());
    report.expect_silent()
}

#[test]
fn tcp_leaves_without_df_and_is_fragmented_in_every_mode() -> Result<()> {
    const MODES: [&str; 3] = ["1", "2", "3"];
    let network = network(&MODES)?;
    let probe = Run::watch(network.node()).start()?;
    for mode in MODES {
        let transfer = Exchange::push(300_000)
            .run(network.namespace(&name(mode))?, network.address("server", Family::V4)?)?;
        assert!(transfer.complete && transfer.tcp.path_mtu == 1500, "{transfer:?}");
    }
    let report = probe.stop()?;
    let fragmented = |mode| {
        let kind =
            Expected::kind("oversize_fragmented").severity("warning").outcome("fragmented").family("ipv4");
        at_uplink(&network, kind, mode)
    };
    report.expect(&MODES.map(fragmented))?;
    for mode in MODES {
        names_setting(&report, &report.one(&fragmented(mode))?, mode)?;
    }
    Ok(())
}

#[test]
fn errors_are_thrown_away_in_mode_2() -> Result<()> {
    let network = network(&["2"])?;
    let (pod, server) = (network.namespace("mode2")?, network.address("server", Family::V4)?);
    let probe = Run::watch(network.node()).under(&LEAST).start()?;
    let transfer = Exchange::push(300_000).df(Df::Do).limit(STALL).run(pod, server)?;
    assert!(transfer.stalled(), "{transfer:?}");
    let datagrams = Datagrams::of(1500, Df::Do).run(pod, server)?;
    assert!(datagrams.none() && datagrams.refused == 0, "{datagrams:?}");
    let expected = Expected::black_hole("icmp_ignored").severity("critical").confirmed().outcome("lost");
    let expected = at_uplink(&network, expected, "2").family("ipv4");
    pod.set(SETTING, "0")?;
    probe.wait_for_finding(&Expected::black_hole("icmp_ignored").text("state", "closed"))?;
    let report = probe.stop()?;
    report.expect(std::slice::from_ref(&expected))?;
    let finding = report.one(&expected)?;
    names_setting(&report, &finding, "2")?;
    names_cause(&finding, "2")
}

#[test]
fn datagrams_alone_are_ignored_in_modes_2_and_3() -> Result<()> {
    const MODES: [&str; 2] = ["2", "3"];
    let network = network(&MODES)?;
    let probe = Run::watch(network.node()).start()?;
    for mode in MODES {
        let datagrams = Datagrams::of(1450, Df::Do)
            .run(network.namespace(&name(mode))?, network.address("server", Family::V4)?)?;
        assert!(datagrams.none() && datagrams.refused == 0, "{datagrams:?}");
    }
    let report = probe.stop()?;
    let ignored = |mode| {
        let kind = Expected::black_hole("icmp_ignored").severity("critical").confirmed().outcome("lost");
        at_uplink(&network, kind, mode)
    };
    report.expect(&MODES.map(ignored))?;
    for mode in MODES {
        names_setting(&report, &report.one(&ignored(mode))?, mode)?;
    }
    Ok(())
}

#[test]
fn tcp_that_asks_for_df_learns_in_modes_1_and_3() -> Result<()> {
    const MODES: [&str; 2] = ["1", "3"];
    let network = network(&MODES)?;
    let probe = Run::watch(network.node()).start()?;
    for (mode, path_mtu) in [("1", 552), ("3", 1400)] {
        let exchange = Exchange::push(300_000).df(Df::Do);
        let transfer =
            exchange.run(network.namespace(&name(mode))?, network.address("server", Family::V4)?)?;
        assert!(transfer.complete && transfer.tcp.path_mtu == path_mtu, "{transfer:?}");
    }
    let report = probe.stop()?;
    let dropped = |mode| {
        let kind = Expected::kind("oversize_dropped").severity("warning").confirmed().outcome("recovered");
        at_uplink(&network, kind, mode)
    };
    report.expect(&MODES.map(dropped))?;
    let pinned = report.one(&dropped("1"))?;
    names_setting(&report, &pinned, "1")?;
    assert!(pinned.text("explanation").contains("552 bytes"), "{}", pinned.text("explanation"));
    Ok(())
}

#[test]
fn ipv6_learns_whatever_the_mode() -> Result<()> {
    let network = network(&["2"])?;
    let probe = Run::watch(network.node()).start()?;
    let transfer =
        Exchange::push(300_000).run(network.namespace("mode2")?, network.address("server", Family::V6)?)?;
    assert!(transfer.complete && transfer.tcp.path_mtu == 1400, "{transfer:?}");
    let kind = Expected::kind("oversize_dropped").severity("warning").outcome("recovered").family("ipv6");
    probe.stop()?.expect(&[at_uplink(&network, kind, "2")])
}

#[test]
fn the_error_of_a_router_is_thrown_away_as_well() -> Result<()> {
    let mut network = Plan::new().far(1400).pod(Pod::routed("mode2")).masquerade().build()?;
    network.serve(&["far"])?;
    let (pod, far) = (network.namespace("mode2")?, network.address("far", Family::V4)?);
    pod.set(SETTING, "2")?;
    let probe = Run::watch(network.node()).start()?;
    let transfer = Exchange::push(300_000).df(Df::Do).limit(STALL).run(pod, far)?;
    assert!(transfer.stalled(), "{transfer:?}");
    let report = probe.stop()?;
    let expected = Expected::black_hole("icmp_ignored")
        .severity("critical")
        .confirmed()
        .pod(network.lab().full_name("mode2"))
        .direction("from_pod")
        .limit(1400)
        .limit_is("path", "icmp");
    report.expect(std::slice::from_ref(&expected))?;
    names_setting(&report, &report.one(&expected)?, "2")
}

#[test]
fn a_change_is_named_by_the_cause_that_it_precedes() -> Result<()> {
    let network = network(&["0"])?;
    let (pod, server) = (network.namespace("mode0")?, network.address("server", Family::V4)?);
    let probe = Run::watch(network.node()).start()?;
    pod.set(SETTING, "2")?;
    probe.wait_for("the change", |line| line["type"] == "change" && line["what"] == "setting")?;
    assert!(Datagrams::of(1450, Df::Do).run(pod, server)?.none());
    let report = probe.stop()?;
    let finding = report.one(&at_uplink(&network, Expected::black_hole("icmp_ignored"), "0"))?;
    let changed = finding.json()["cause"]["changed"].as_str().unwrap_or_default();
    assert!(changed.ends_with("net.ipv4.ip_no_pmtu_disc setting 0 -> 2"), "{changed}");
    Ok(())
}

#[test]
fn below_the_smallest_path_mtu_the_route_is_locked() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    // Too small for IPv6, whose addresses go with it.
    network.node().set_mtu(UPLINK, 500)?;
    network.namespace("fabric")?.set_mtu("to-node", 500)?;
    let (pod, server) = (network.namespace("pod")?, network.address("server", Family::V4)?);
    let probe = Run::watch(network.node()).start()?;
    // Long enough for a sender that had not learned to be told from one that did.
    let exchange = Exchange::rounds(5_000, 10, 12).pause(Duration::from_millis(300));
    let transfer = exchange.run(pod, server)?;
    assert!(transfer.complete && transfer.tcp.path_mtu == 552, "{transfer:?}");
    let report = probe.stop()?;
    let dropped = Expected::kind("oversize_dropped")
        .severity("warning")
        .outcome("recovered")
        .pod(network.lab().full_name("pod"))
        .limit(500)
        .limit_is("node", "device_mtu");
    report.expect(std::slice::from_ref(&dropped))?;
    let finding = report.one(&dropped)?;
    assert!(finding.text("explanation").contains("net.ipv4.route.min_pmtu (552)"), "{finding}");
    Ok(())
}
