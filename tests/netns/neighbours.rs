//! What lives beside an observation: other nodes on the same kernel, other programs, other instances, loud pods.
use anyhow::Result;
use mtuprobe_tests::attachment::{self, Hook, OtherProgram};
use mtuprobe_tests::probe::{Expected, Run, Signal};
use mtuprobe_tests::topology::{Family, Network, Overlay, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df};
use std::time::{Duration, Instant};

fn faulty() -> Result<Network> {
    let mut network = Plan::new().uplink(1400).pod(Pod::routed("pod").mtu(1400).host_mtu(1500)).build()?;
    network.serve(&["pod"])?;
    Ok(network)
}

fn fault_of(network: &Network) -> Expected {
    Expected::black_hole("silent_link_drop")
        .pod(network.lab().full_name("pod"))
        .direction("to_pod")
        .limit(1400)
}

/// Datagrams from the node that the pod's end does not take.
fn hurt(network: &Network) -> Result<()> {
    let pod = network.address("pod", Family::V4)?;
    assert!(Datagrams::of(1450, Df::Probe).run(network.node(), pod)?.none());
    Ok(())
}

#[test]
fn two_nodes_on_one_kernel_are_not_mixed() -> Result<()> {
    let (healthy, faulty) = (Plan::new().pod(Pod::routed("pod")).build()?, faulty_from_outside()?);
    let (here, there) = (Run::watch(healthy.node()).start()?, Run::watch(faulty.node()).start()?);
    let pod = faulty.address("pod", Family::V4)?;
    assert!(Datagrams::of(1450, Df::Probe).run(faulty.namespace("server")?, pod)?.none());
    there.wait_for_finding(&fault_of(&faulty))?;
    let (here, there) = (here.stop()?, there.stop()?);
    there.expect(&[fault_of(&faulty)])?;
    here.expect_silent()?;
    assert_eq!(here.findings().len(), 0, "{}", here.evidence());
    assert_eq!(here.lines_of("drop").count(), 0, "{}", here.evidence());
    Ok(())
}

fn faulty_from_outside() -> Result<Network> {
    let mut network = Plan::new().pod(Pod::routed("pod").mtu(1400).host_mtu(1500)).build()?;
    network.serve(&["pod"])?;
    Ok(network)
}

#[test]
fn drops_on_a_second_node_behind_the_uplink_are_not_ours() -> Result<()> {
    let mut network = Plan::new()
        .pod(Pod::routed("pod").mtu(1450))
        .pod(Pod::routed("remote").mtu(1400).host_mtu(1450).on_second_node())
        .overlay(Overlay::vxlan(1450).bound())
        .build()?;
    network.serve(&["remote"])?;
    let probe = Run::watch(network.node()).start()?;
    let remote = network.address("remote", Family::V4)?;
    // Lost in the other node's veth: this node can know that they were not answered, and no more.
    assert!(Datagrams::of(1450, Df::Probe).run(network.namespace("pod")?, remote)?.none());
    let report = probe.stop()?;
    assert_eq!(report.lines_of("drop").count(), 0, "{}", report.evidence());
    let silent = report.findings().iter().all(|finding| finding.text("reason") != "silent_link_drop");
    assert!(silent, "{}", report.evidence());
    Ok(())
}

#[test]
fn programs_of_others_stay_in_place() -> Result<()> {
    let network = Plan::new().pod(Pod::routed("pod")).build()?;
    let interface = Network::host_interface("pod");
    let node = network.node();
    let other = if attachment::has_tcx() {
        Some(node.run(|| OtherProgram::attach(&interface, Hook::Ingress))??)
    } else {
        None
    };
    let theirs: Vec<u32> = other.iter().map(OtherProgram::id).collect();
    node.output("tc", &["qdisc", "add", "dev", "eth0", "clsact"])?;
    // A classic BPF program in place: return 0, which matches nothing.
    let filter = ["filter", "add", "dev", "eth0", "ingress", "prio", "7", "bpf", "bytecode", "1,6 0 0 0"];
    node.output("tc", &filter)?;
    let before = attachment::clsact(node)?;
    for &hook in attachment::hooks() {
        let probe = Run::watch(node).with(&["--hook", hook]).start()?;
        let programs: Vec<u32> = attachment::tcx(node)?
            .into_iter()
            .filter(|attachment| attachment.interface == interface && attachment.hook == Hook::Ingress)
            .map(|attachment| attachment.program)
            .collect();
        assert_eq!(programs.last(), theirs.last(), "ours go first and let the next ones run: {programs:?}");
        probe.stop()?.expect_silent()?;
        let left: Vec<u32> =
            attachment::tcx(node)?.into_iter().map(|attachment| attachment.program).collect();
        assert_eq!(left, theirs, "under {hook}");
        assert_eq!(attachment::clsact(node)?, before, "under {hook}");
        assert_eq!(
            attachment::clsact_qdiscs(node)?.len(),
            1,
            "the qdisc of somebody else stays, under {hook}"
        );
    }
    Ok(())
}

#[test]
fn an_instance_survives_the_death_of_another() -> Result<()> {
    for &hook in attachment::hooks() {
        let network = faulty()?;
        let first = Run::watch(network.node()).with(&["--hook", hook]).start()?;
        let second = Run::watch(network.node()).with(&["--hook", hook]).start()?;
        second.stop_with(Signal::Kill)?;
        let third = Run::watch(network.node()).with(&["--hook", hook]).start()?;
        third.stop()?;
        hurt(&network)?;
        first.wait_for_finding(&fault_of(&network))?;
        first.stop()?.expect(&[fault_of(&network)])?;
        let left = (attachment::tcx(network.node())?, attachment::clsact(network.node())?);
        assert!(left.0.is_empty() && left.1.is_empty(), "{left:?}");
    }
    Ok(())
}

#[test]
fn two_instances_see_the_same() -> Result<()> {
    for hooks in [["tcx", "tcx"], ["clsact", "clsact"], ["tcx", "clsact"]] {
        if !hooks.iter().all(|hook| attachment::hooks().contains(hook)) {
            continue;
        }
        let network = faulty()?;
        let [first, second] = hooks.map(|hook| Run::watch(network.node()).with(&["--hook", hook]).start());
        let (first, second) = (first?, second?);
        hurt(&network)?;
        for probe in [first, second] {
            probe.wait_for_finding(&fault_of(&network))?;
            probe.stop()?.expect(&[fault_of(&network)])?;
        }
    }
    Ok(())
}

#[test]
fn a_flood_of_one_pod_does_not_hide_another() -> Result<()> {
    let mut network = Plan::new().uplink(1400).pod(Pod::routed("loud")).pod(Pod::routed("quiet")).build()?;
    network.serve(&["server"])?;
    let probe = Run::watch(network.node()).start()?;
    let server = network.address("server", Family::V4)?;
    let flood = Datagrams::of(1500, Df::Probe).count(u32::MAX).every(Duration::ZERO).wait(Duration::ZERO);
    let begin = Instant::now();
    let flood = flood.lasting(Duration::from_secs(13)).start(network.namespace("loud")?, server)?;
    std::thread::sleep(Duration::from_secs(10));
    let sent = Instant::now();
    assert!(Datagrams::of(1500, Df::Probe).count(6).run(network.namespace("quiet")?, server)?.none());
    let dropped =
        |pod: &str| Expected::kind("oversize_dropped").pod(network.lab().full_name(pod)).limit(1400);
    let (seen, _) = probe.wait_for_finding(&dropped("quiet"))?;
    println!(
        "the finding came {:?} after the first packet, {:?} after the flood began",
        seen - sent,
        sent - begin
    );
    let flooded = flood.join()??;
    println!("the flood: {flooded:?}");
    probe.stop()?.expect(&[dropped("loud"), dropped("quiet")])
}
