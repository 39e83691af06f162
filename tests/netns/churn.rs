//! Pods that come and go all the time: each packet is its own pod's, and nothing is left of any.
use anyhow::{Context as _, Result, ensure};
use mtuprobe_tests::probe::{Expected, Probe, Run};
use mtuprobe_tests::runtime::wait_until;
use mtuprobe_tests::topology::{Network, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df};
use std::collections::BTreeMap;
use std::fs;

const BATCHES: usize = 8;
const PODS_OF_A_BATCH: usize = 25;
/// Bytes that the process may have more at the end: names of pods that went are kept for a minute.
const GROWTH: u64 = 8 << 20;

/// Open files of the probe by kind: links, programs and maps of BPF among them.
fn open_files(probe: &Probe) -> Result<BTreeMap<String, usize>> {
    let mut kinds = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{}/fd", probe.pid()))?.flatten() {
        // It may just have been closed.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let target = target.display().to_string();
        // `socket:[1234]`
        let kind = target.trim_end_matches(|c: char| c.is_ascii_digit() || c == ']' || c == '[').to_owned();
        *kinds.entry(kind).or_default() += 1;
    }
    Ok(kinds)
}

/// Memory of the probe in bytes.
fn memory(probe: &Probe) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", probe.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>().context("VmRSS")? * 1024)
}

/// Makes pods all at once; the first one's veth takes less than it sends, and it sends at once.
fn come_and_go(network: &Network, probe: &Probe, batch: usize) -> Result<()> {
    let names: Vec<String> = (0..PODS_OF_A_BATCH).map(|number| format!("job{batch}x{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let pods = network.lab().add(&names)?;
    // The same names of interfaces and the same addresses in each batch.
    let links: String = (0..PODS_OF_A_BATCH)
        .map(|number| {
            let (pod, mtu) = (pods[number].name(), if number == 0 { 1400 } else { 1500 });
            format!(
                "link add vj{number} mtu {mtu} type veth peer name eth0 mtu 1500 netns {pod}\n\
                 link set vj{number} up\nroute add 10.250.0.{number}/32 dev vj{number}\n"
            )
        })
        .collect();
    network.node().ip(&links)?;
    // Nobody has the pods' gateway: the node answers for it.
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    network.node().sysctl(&[
        setting("net/ipv4/conf/vj0/proxy_arp", "1"),
        setting("net/ipv4/neigh/vj0/proxy_delay", "0"),
    ])?;
    for (number, pod) in pods.iter().enumerate() {
        pod.ip(&format!(
            "link set eth0 up\naddress add 10.250.0.{number}/32 dev eth0\n\
             route add 169.254.1.1 dev eth0 scope link\nroute add default via 169.254.1.1 dev eth0"
        ))?;
        if number == 0 {
            let server = network.address("server", mtuprobe_tests::topology::Family::V4)?;
            ensure!(Datagrams::of(1500, Df::Probe).count(6).run(pod, server)?.none(), "large packets pass");
        }
    }
    let victim = network.lab().full_name(&format!("job{batch}x0"));
    let expected = Expected::black_hole("silent_link_drop").pod(victim.clone()).direction("from_pod");
    probe.wait_for_finding(&expected).with_context(|| format!("of {victim}"))?;
    network.lab().remove_all(pods)
}

#[test]
fn two_hundred_pods_leave_nothing_behind() -> Result<()> {
    let network = Plan::new().pod(Pod::routed("stays")).build()?;
    let probe = Run::watch(network.node()).start()?;
    come_and_go(&network, &probe, 0)?;
    let gone = |batch: usize| {
        wait_until("the end of the batch", || {
            let seen = probe.seen();
            let detached = seen.iter().filter(|line| line["type"] == "detach" && line["interface"] == "vj0");
            // The kernel takes the namespaces of a batch down one after the other.
            let is_gone = !network.node().output("ip", &["-oneline", "link", "show"])?.contains(": vj");
            Ok((detached.count() > batch && is_gone).then_some(()))
        })
    };
    gone(0)?;
    let (files, bytes) = (open_files(&probe)?, memory(&probe)?);
    for batch in 1..BATCHES {
        come_and_go(&network, &probe, batch)?;
        gone(batch)?;
    }
    wait_until("no more open files than before", || {
        let now = open_files(&probe)?;
        Ok(now
            .iter()
            .all(|(kind, count)| files.get(kind).is_some_and(|before| count <= before))
            .then_some(()))
    })
    .with_context(|| format!("{files:?} became {:?}", open_files(&probe)))?;
    let grown = memory(&probe)?.saturating_sub(bytes);
    ensure!(grown < GROWTH, "grown by {grown} bytes");
    let report = probe.stop()?;
    let victims =
        report.findings().iter().filter(|finding| finding.text("kind") == "pmtu_black_hole").count();
    ensure!(victims == BATCHES, "{}", report.evidence());
    Ok(())
}
