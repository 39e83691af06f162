//! Evidence about the evidence: what cannot be seen is said, and nothing is made up for it.
use anyhow::{Context, Result};
use mtuprobe_tests::attachment::{Hook, OtherProgram, has_tcx};
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange};
use std::time::Duration;

#[test]
fn without_tracepoints_the_hooks_still_tell() -> Result<()> {
    let mut network = Plan::new()
        .uplink(1400)
        .pod(Pod::routed("pod"))
        .pod(Pod::routed("narrow").mtu(1400).host_mtu(1500))
        .build()?;
    network.serve(&["server", "narrow"])?;
    let probe = Run::watch(network.node()).without_tracepoints().start()?;
    let start = probe.wait_for("start", |line| line["type"] == "start")?;
    let senses = start["senses"].as_array().context("no senses")?;
    for name in ["kfree_skb", "icmp_send", "tcp_retransmit"] {
        let sense = senses.iter().find(|sense| sense["name"] == name).context(name)?;
        assert_eq!(sense["state"], "missing", "{sense}");
        let why = sense["why"].as_str().context("no reason")?;
        assert!(why.to_lowercase().contains("not permitted"), "{why}");
    }
    let told = |family: Family| {
        Expected::kind("oversize_dropped")
            .severity("warning")
            .pod(network.lab().full_name("pod"))
            .direction("from_pod")
            .family(family.name())
            .limit(1400)
    };
    let silent = |family: Family| {
        Expected::black_hole("silent_link_drop")
            .pod(network.lab().full_name("narrow"))
            .direction("to_pod")
            .family(family.name())
            .limit(1400)
    };
    let (pod, node) = (network.namespace("pod")?, network.node());
    for family in Family::ALL {
        let (server, narrow) = (network.address("server", family)?, network.address("narrow", family)?);
        assert!(Datagrams::of(1500, Df::Probe).count(20).run(pod, server)?.none());
        assert!(Datagrams::of(1400, Df::Do).run(pod, server)?.all());
        assert!(Datagrams::of(1450, Df::Do).run(node, narrow)?.none());
        assert!(Datagrams::of(1400, Df::Do).run(node, narrow)?.all());
        probe.wait_for_finding(&told(family))?;
        // Suspected by the hook alone; the device's own counter may bear it out by now.
        let (_, finding) = probe.wait_for_finding(&silent(family))?;
        let explanation = finding.text("explanation");
        assert!(explanation.contains("as the egress hook saw"), "{explanation}");
    }
    probe.stop()?.expect(&Family::ALL.map(|family| [told(family), silent(family)]).concat())
}

#[test]
fn a_program_in_front_that_ends_the_chain_is_no_proof_of_absence() -> Result<()> {
    if !has_tcx() {
        eprintln!("SKIPPED: this kernel has no TCX to attach the program of somebody else by");
        return Ok(());
    }
    let mut network = Plan::new().far(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["far", "server"])?;
    let probe = Run::watch(network.node()).start()?;
    let veth = Network::host_interface("pod");
    let attach = |hook| network.node().run(|| OtherProgram::attach_in_front(&veth, hook))?;
    let _programs = [attach(Hook::Ingress)?, attach(Hook::Egress)?];
    let pod = network.namespace("pod")?;
    let server = network.address("server", Family::V4)?;
    let traffic = Exchange::rounds(500, 500, u32::MAX).pause(Duration::from_millis(50));
    let task = traffic.keep_up(pod, server)?;
    for direction in ["from_pod", "to_pod"] {
        let blind = |line: &serde_json::Value| {
            line["type"] == "coverage" && line["direction"] == direction && line["state"] == "blind"
        };
        let line = probe.wait_for("coverage blind", blind)?;
        assert_eq!(line["why"], "preempted", "{line}");
    }
    assert!(task.end()?.rounds > 0);
    for family in Family::ALL {
        let transfer = Exchange::push(500_000).run(pod, network.address("far", family)?)?;
        assert!(transfer.complete && transfer.tcp.path_mtu == 1400, "{transfer:?}");
    }
    let report = probe.stop()?;
    report.expect_silent()
}
