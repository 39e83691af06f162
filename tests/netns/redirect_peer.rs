//! A datapath of somebody else hands packets to a pod past the hook at its host interface (`bpf_redirect_peer`).
use anyhow::Result;
use mtuprobe_tests::attachment::OtherProgram;
use mtuprobe_tests::probe::{Expected, Probe, Run};
use mtuprobe_tests::topology::network::UPLINK;
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::Exchange;

/// Everything that comes in for the pod goes past its hook.
fn redirect(network: &Network) -> Result<Vec<OtherProgram>> {
    let veth = Network::host_interface("pod");
    let attach = |family| {
        let address = network.address("pod", family)?;
        network.node().run(|| OtherProgram::redirect_to_peer(UPLINK, address, &veth))?
    };
    Family::ALL.into_iter().map(attach).collect()
}

/// Whether the kernel counts at the pod's end what is handed to it like that (since Linux 6.7).
fn is_counted() -> Result<bool> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    Ok(numbers.next().zip(numbers.next()) >= Some((6, 7)))
}

/// Traffic until it is clear that the hook is passed by. Where no device counts it, what the node itself sends to the pod
/// makes the hook look as if it saw everything, which must not be believed.
fn until_blind(network: &Network, probe: &Probe) -> Result<()> {
    let pod = network.namespace("pod")?;
    let traffic = Exchange::rounds(500, 500, u32::MAX).pause(std::time::Duration::from_millis(50));
    if !is_counted()? {
        let task = traffic.keep_up(network.node(), network.address("pod", Family::V4)?)?;
        probe.wait_for("coverage full", |line| {
            line["type"] == "coverage" && line["direction"] == "to_pod" && line["state"] == "full"
        })?;
        assert!(task.end()?.rounds > 0);
        return Ok(());
    }
    let server = network.address("server", Family::V4)?;
    let blind = |line: &serde_json::Value| {
        line["type"] == "coverage" && line["direction"] == "to_pod" && line["state"] == "blind"
    };
    let task = traffic.keep_up(pod, server)?;
    let line = probe.wait_for("coverage blind", blind)?;
    assert_eq!(line["why"], "redirect_peer", "{line}");
    assert!(task.end()?.rounds > 0);
    Ok(())
}

#[test]
fn delivery_is_taken_from_the_pods_own_counters() -> Result<()> {
    let mut network = Plan::new().far(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["far", "server", "pod"])?;
    let _programs = redirect(&network)?;
    let probe = Run::watch(network.node()).start()?;
    until_blind(&network, &probe)?;
    for family in Family::ALL {
        let transfer =
            Exchange::push(500_000).run(network.namespace("pod")?, network.address("far", family)?)?;
        assert!(transfer.complete && transfer.tcp.path_mtu == 1400, "{transfer:?}");
        let told = Expected::kind("oversize_dropped")
            .severity("info")
            .outcome("recovered")
            .pod(network.lab().full_name("pod"))
            .direction("from_pod")
            .family(family.name())
            .limit(1400);
        probe.wait_for_finding(&told)?;
    }
    let report = probe.stop()?;
    report.expect_silent()
}

#[test]
fn what_the_pod_filters_is_not_lost_on_the_way() -> Result<()> {
    let mut network = Plan::new().far(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["far", "server", "pod"])?;
    let _programs = redirect(&network)?;
    network.filter_packet_too_big("pod", "input")?;
    let probe = Run::watch(network.node()).start()?;
    until_blind(&network, &probe)?;
    let far = network.address("far", Family::V4)?;
    let limit = std::time::Duration::from_secs(8);
    assert!(Exchange::push(500_000).limit(limit).run(network.namespace("pod")?, far)?.stalled());
    let report = probe.stop()?;
    report.expect(&[Expected::black_hole("icmp_filtered")
        .severity("critical")
        .pod(network.lab().full_name("pod"))
        .direction("from_pod")
        .limit(1400)])
}
