//! Pods on an ipvlan: no interface of the node is theirs; what they send is seen at its parent.
use anyhow::Result;
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::address::Site;
use mtuprobe_tests::topology::network::UPLINK;
use mtuprobe_tests::topology::{Family, Plan};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange};

#[test]
fn a_pod_is_known_and_its_traffic_seen_at_the_parent() -> Result<()> {
    let mut network = Plan::new().far(1400).build()?;
    network.serve(&["server", "far"])?;
    let namespaces = network.lab().add(&["pod"])?;
    let pod = &namespaces[0];
    let address = Site::NodeLink.address(Family::V4, 77);
    network
        .node()
        .ip(&format!("link add link {UPLINK} name child netns {} type ipvlan mode l2", pod.name()))?;
    pod.ip(&format!(
        "link set child name eth0\nlink set lo up\nlink set eth0 up\naddress add {address}/16 dev eth0\n\
         route add default via {}",
        Site::NodeLink.address(Family::V4, 1)
    ))?;
    let (server, far) = (network.address("server", Family::V4)?, network.address("far", Family::V4)?);
    let probe = Run::watch(network.node()).start()?;
    assert!(Exchange::push(500_000).run(pod, server)?.complete);
    assert!(Datagrams::of(1500, Df::Do).run(pod, server)?.all());
    assert!(Exchange::push(100_000).run(pod, far)?.complete);
    let report = probe.stop()?;
    let coverage: Vec<_> =
        report.lines_of("coverage").filter(|line| line["pod"]["name"] == pod.name()).collect();
    assert!(
        coverage.iter().any(|line| line["state"] == "partial" && line["why"] == "no_host_device"),
        "{coverage:?}\n{}",
        report.evidence()
    );
    report.expect_silent()?;
    // The error of a router passed the parent's hook, and the pod learned.
    report.one(&Expected::kind("oversize_dropped").severity("info").pod(pod.name()).direction("from_pod"))?;
    Ok(())
}
