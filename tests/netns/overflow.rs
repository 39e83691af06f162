//! The observer does not get to run for a while, as in a control group at its limit: what the ring has no room for is lost,
//! told, and leaves a doubt in what is found.
use super::path_silent::silenced;
use super::sockets::ROUNDS;
use anyhow::{Context, Result, bail};
use mtuprobe_tests::probe::Run;
use mtuprobe_tests::topology::{Family, Plan, Pod};
use mtuprobe_tests::traffic::{Exchange, flood_uncut};
use std::time::Duration;

/// Pods whose datagrams are too big for the uplink; each is another flow, and each makes four records.
const NOISY: [&str; 4] = ["noisy1", "noisy2", "noisy3", "noisy4"];
/// A thousand records a second leave each CPU: twice as many as the ring takes, with one CPU.
const AWAY: Duration = Duration::from_secs(7);

/// A process that is stopped, and goes on when this is dropped.
struct Stopped(libc::pid_t);

impl Stopped {
    fn new(pid: u32) -> Result<Self> {
        let pid = libc::pid_t::try_from(pid)?;
        // SAFETY: no memory is involved; the process is a child that was not waited for.
        if unsafe { libc::kill(pid, libc::SIGSTOP) } != 0 {
            bail!("stop the observer: {}", std::io::Error::last_os_error());
        }
        Ok(Self(pid))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { libc::kill(self.0, libc::SIGCONT) };
    }
}

#[test]
fn what_a_full_ring_lost_is_told_and_leaves_a_doubt() -> Result<()> {
    let noisy = |plan: Plan, pod: &&str| plan.pod(Pod::routed(pod).mtu(2000));
    let mut network = silenced(NOISY.iter().fold(Plan::new().pod(Pod::routed("pod")), noisy))?;
    network.serve(&["far"])?;
    let (pod, far) = (network.namespace("pod")?, network.address("far", Family::V4)?);
    let probe = Run::watch(network.node()).start()?;
    let stopped = Stopped::new(probe.pid())?;
    let floods = NOISY
        .iter()
        .map(|pod| flood_uncut(network.namespace(pod)?, far, 1800, AWAY))
        .collect::<Result<Vec<_>>>()?;
    for one in floods {
        one.join()??;
    }
    drop(stopped);
    let small = ROUNDS.keep_up(pod, far)?;
    let large = Exchange::push(100_000).keep_up(pod, far)?;
    let line = probe.wait_for("a silent path", |line| {
        line["type"] == "finding" && line["reason"] == "path_silent" && line["state"] == "open"
    })?;
    assert_eq!(line["certainty"], "suspected", "{line}");
    let explanation = line["explanation"].as_str().context("no explanation")?;
    assert!(explanation.contains("Not all drops on this node could be observed"), "{explanation}");
    assert!(large.end()?.stalled() && small.end()?.rounds > 0);
    let report = probe.stop()?;
    let told: u64 = report
        .lines_of("lost")
        .filter(|line| line["what"] == "ring_full")
        .filter_map(|line| line["count"].as_u64())
        .sum();
    let lost = report.lines_of("summary").last().context("no summary")?["lost"]["ring_full"].clone();
    assert!(told > 0 && lost.as_u64() == Some(told), "{told} told, {lost} in all: {}", report.evidence());
    Ok(())
}
