//! Pods on netkit devices (kernel 6.7 and later).
use crate::checked::{check, expect_reach, expect_warnings};
use anyhow::{Result, bail};
use mtuprobe_tests::attachment::OtherProgram;
use mtuprobe_tests::probe::{Expected, Report, Run};
use mtuprobe_tests::topology::address::Site;
use mtuprobe_tests::topology::network::UPLINK;
use mtuprobe_tests::topology::{Family, Namespace, Network, Plan};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange};

/// A pod on a netkit pair of 1500, without Ethernet headers.
struct Paired {
    network: Network,
    pod: Namespace,
}

const HOST_END: &str = "nkpod";

/// Whether this kernel is one that has such devices.
fn has_netkit() -> Result<bool> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    Ok(numbers.next().zip(numbers.next()) >= Some((6, 7)))
}

impl Paired {
    /// `None` on a kernel without such devices.
    fn build(uplink: u32) -> Result<Option<Self>> {
        let mut network = Plan::new().uplink(uplink).build()?;
        network.serve(&["server"])?;
        let Some(pod) = network.lab().add(&["pod"])?.pop() else { bail!("no namespace was made") };
        let node = network.node();
        if !has_netkit()? {
            println!("netkit came with Linux 6.7: nothing to test here");
            return Ok(None);
        }
        node.ip(&format!("link add {HOST_END} type netkit\n"))?;
        let listed = node.output("ip", &["-o", "link", "show", "type", "netkit"])?;
        let other = listed.lines().find_map(|line| {
            let name = line.split(": ").nth(1)?.split('@').next()?;
            (name != HOST_END).then(|| name.to_owned())
        });
        let Some(other) = other else { bail!("a netkit device without its peer: {listed}") };
        let address = Site::Routed.address(Family::V4, 10);
        node.ip(&format!(
            "link set {other} netns {}\nlink set {HOST_END} up\nroute add {address}/32 dev {HOST_END}",
            pod.name()
        ))?;
        pod.ip(&format!(
            "link set {other} name eth0\nlink set lo up\nlink set eth0 up\naddress add {address}/32 dev eth0\n\
             route add default dev eth0"
        ))?;
        Ok(Some(Self { network, pod }))
    }

    fn coverage(&self, report: &Report, direction: &str) -> Option<(String, String)> {
        let of_pod = |line: &&serde_json::Value| {
            line["pod"]["name"] == self.pod.name() && line["direction"] == direction
        };
        let last = report.lines_of("coverage").filter(of_pod).last()?;
        let text = |field: &str| last[field].as_str().unwrap_or_default().to_owned();
        Some((text("state"), text("why")))
    }
}

#[test]
fn a_pod_is_seen_at_its_host_device() -> Result<()> {
    let Some(paired) = Paired::build(1400)? else { return Ok(()) };
    let server = paired.network.address("server", Family::V4)?;
    let checked = check(paired.network.node())?;
    expect_reach(&checked, paired.pod.name(), "outside", "ipv4", 1400, Some(UPLINK))?;
    let exceeds = Expected::kind("pod_mtu_exceeds_egress").pod(paired.pod.name()).limit(1400);
    expect_warnings(&checked, vec![exceeds])?;
    let probe = Run::watch(paired.network.node()).start()?;
    assert!(Datagrams::of(1400, Df::Do).run(&paired.pod, server)?.all());
    assert!(Exchange::push(500_000).run(&paired.pod, server)?.complete);
    let report = probe.stop()?;
    let expected = Expected::kind("oversize_dropped").outcome("recovered").limit(1400);
    report.expect(&[expected.pod(paired.pod.name()).direction("from_pod")])?;
    let coverage = paired.coverage(&report, "from_pod");
    assert!(coverage.is_none_or(|(state, _)| state == "full" || state == "idle"), "{}", report.evidence());
    Ok(())
}

#[test]
fn what_a_program_in_the_pair_sends_past_the_hook_is_told_as_blind() -> Result<()> {
    let Some(paired) = Paired::build(1500)? else { return Ok(()) };
    let server = paired.network.address("server", Family::V4)?;
    let _program = paired.network.node().run(|| OtherProgram::redirect_out_of_netkit(HOST_END, UPLINK))??;
    let probe = Run::watch(paired.network.node()).start()?;
    let traffic = Exchange::rounds(500, 500, u32::MAX).pause(std::time::Duration::from_millis(50));
    let task = traffic.keep_up(&paired.pod, server)?;
    let line = probe.wait_for("coverage blind", |line| {
        line["type"] == "coverage" && line["direction"] == "from_pod" && line["state"] == "blind"
    })?;
    assert_eq!(line["pod"]["name"], paired.pod.name(), "{line}");
    assert_eq!(line["why"], "preempted", "{line}");
    assert!(line["instead"].is_string(), "{line}");
    assert!(task.end()?.rounds > 0);
    probe.stop()?.expect_silent()
}
