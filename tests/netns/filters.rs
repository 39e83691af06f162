//! What filters and programs of others drop: by size, a black hole; by anything else, their business.
use anyhow::Result;
use mtuprobe_tests::attachment::{Hook, OtherProgram, has_tcx};
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::network::UPLINK;
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange};
use std::time::Duration;

/// Longer than what a stall takes to be proved.
const STALL: Duration = Duration::from_secs(8);

fn datapath_drop(network: &Network, family: Family, direction: &str) -> Expected {
    Expected::black_hole("datapath_drop")
        .severity("critical")
        .confirmed()
        .outcome("lost")
        .pod(network.lab().full_name("pod"))
        .family(family.name())
        .direction(direction)
        .limit_is("node", "bounds")
}

/// Large transfers that stall, while small ones between the same two pass.
fn stall(network: &Network, large: Exchange) -> Result<()> {
    let pod = network.namespace("pod")?;
    for family in Family::ALL {
        let server = network.address("server", family)?;
        let transfer = large.limit(STALL).start(pod, server)?;
        for _ in 0..10 {
            assert!(Exchange::rounds(100, 100, 3).run(pod, server)?.complete);
            std::thread::sleep(Duration::from_millis(500));
        }
        assert!(transfer.join()??.stalled());
    }
    Ok(())
}

#[test]
fn a_program_at_the_uplink_drops_what_is_large() -> Result<()> {
    if !has_tcx() {
        eprintln!("SKIPPED: this kernel has no TCX to attach the program of somebody else by");
        return Ok(());
    }
    let mut network = Plan::new().masquerade().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    let _program = network.node().run(|| OtherProgram::attach_dropping(UPLINK, Hook::Egress, 1400))??;
    let probe = Run::watch(network.node()).start()?;
    stall(&network, Exchange::push(1_000_000))?;
    let report = probe.stop()?;
    report.expect(&Family::ALL.map(|family| datapath_drop(&network, family, "from_pod")))?;
    let finding = report.one(&datapath_drop(&network, Family::V4, "from_pod"))?;
    let bounds = &finding.json()["limit"]["between"];
    let (passes, lost) = (bounds[0].as_u64().unwrap_or(0), bounds[1].as_u64().unwrap_or(0));
    assert!(passes > 0 && passes <= 1400 && lost > 1400, "{bounds}");
    Ok(())
}

#[test]
fn a_filter_by_size_drops_what_the_pod_sends() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    network.filter_forwarded("node", &format!("oifname {UPLINK} meta length > 1400 counter drop"))?;
    let probe = Run::watch(network.node()).start()?;
    stall(&network, Exchange::push(1_000_000))?;
    probe.stop()?.expect(&Family::ALL.map(|family| datapath_drop(&network, family, "from_pod")))
}

#[test]
fn a_filter_by_size_drops_what_the_pod_gets() -> Result<()> {
    let mut network = Plan::new().masquerade().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    network.filter_forwarded("node", &format!("iifname {UPLINK} meta length > 1400 counter drop"))?;
    let probe = Run::watch(network.node()).start()?;
    stall(&network, Exchange::pull(1_000_000))?;
    probe.stop()?.expect(&Family::ALL.map(|family| datapath_drop(&network, family, "to_pod")))
}

/// XDP drops give no reason, only a place; and where packets are put together before it, only some segments of a transfer.
#[test]
fn an_xdp_program_at_the_uplink_drops_what_the_pod_gets() -> Result<()> {
    let mut network = Plan::new().masquerade().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    network.namespace("server")?.no_offloads(&[UPLINK])?;
    let _program = network.node().run(|| OtherProgram::attach_xdp_dropping(UPLINK, 1400))??;
    let probe = Run::watch(network.node()).start()?;
    stall(&network, Exchange::pull(1_000_000))?;
    probe.stop()?.expect(&Family::ALL.map(|family| datapath_drop(&network, family, "to_pod")))
}

/// It polices by rate: what it drops are large packets, but not all of them.
#[test]
fn a_policer_is_none() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    let rule = format!("oifname {UPLINK} limit rate over 200 kbytes/second burst 8 kbytes counter drop");
    network.filter_forwarded("node", &rule)?;
    let probe = Run::watch(network.node()).start()?;
    let pod = network.namespace("pod")?;
    for family in Family::ALL {
        let server = network.address("server", family)?;
        let transfer = Exchange::push(6_000_000).limit(STALL).start(pod, server)?;
        let flood = Datagrams::of(1500, Df::Do).count(400).every(Duration::from_millis(1));
        assert!(!flood.run(pod, server)?.all(), "nothing was dropped");
        assert!(Exchange::rounds(100, 100, 3).run(pod, server)?.complete);
        transfer.join()??;
    }
    probe.stop()?.expect_silent()
}

#[test]
fn a_policy_that_cuts_a_connection_is_none() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).pod(Pod::routed("other")).build()?;
    network.serve(&["server"])?;
    let probe = Run::watch(network.node()).start()?;
    let (pod, other) = (network.namespace("pod")?, network.namespace("other")?);
    let mut cut = Vec::new();
    for family in Family::ALL {
        let server = network.address("server", family)?;
        cut.push(Exchange::push(u32::MAX).limit(STALL).start(pod, server)?);
        cut.push(Exchange::pull(u32::MAX).limit(STALL).start(pod, server)?);
    }
    std::thread::sleep(Duration::from_secs(1));
    let v4 = network.address("pod", Family::V4)?;
    let v6 = network.address("pod", Family::V6)?;
    let rules = format!(
        "ip saddr {v4} counter drop\nip daddr {v4} counter drop\nip6 saddr {v6} counter drop\nip6 daddr {v6} counter drop"
    );
    network.filter_forwarded("node", &rules)?;
    // Others go on with the same server meanwhile.
    for _ in 0..10 {
        for family in Family::ALL {
            assert!(Exchange::rounds(100, 100, 3).run(other, network.address("server", family)?)?.complete);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    for transfer in cut {
        assert!(!transfer.join()??.complete);
    }
    probe.stop()?.expect_silent()
}

#[test]
fn a_policy_that_drops_whole_datagrams_as_well_as_fragments_is_none() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    let server = network.address("server", Family::V4)?;
    network.filter_forwarded("node", &format!("ip daddr {server} counter drop"))?;
    let probe = Run::watch(network.node()).start()?;
    let pod = network.namespace("pod")?;
    for _ in 0..3 {
        assert!(Datagrams::of(4000, Df::Dont).count(3).run(pod, server)?.none());
        assert!(Datagrams::of(200, Df::Dont).count(3).run(pod, server)?.none());
    }
    probe.stop()?.expect_silent()
}
