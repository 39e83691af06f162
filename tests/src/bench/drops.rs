//! What `kfree_skb` costs a drop that is nobody's business: it runs for every drop of the machine.
use super::{
    measure::{Cost, Round},
    network::ip,
    storm::{self, Storm},
};
use crate::test_run;
use anyhow::{Context as _, Result, bail};
use probe_user::datapath::{btf::Btf, load::Datapath};
use std::{
    io,
    net::UdpSocket,
    os::fd::AsFd,
    process::{Command, Stdio},
    thread,
};

/// The most that a drop may cost, in nanoseconds over an empty program at the same tracepoint.
pub const LIMIT: f64 = 150.0;

/// Drops of a round.
const DROPS: usize = 5_000;
const ROUNDS: usize = 15;

/// Discarded by a filter on their way out, or refused because nobody listens.
const FILTERED: &str = "127.0.0.1:77";
const REFUSED: &str = "127.0.0.1:78";

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    /// By kind of drop.
    pub costs: Vec<(&'static str, Cost)>,
    /// Policy drops a second in the fastest storm.
    pub storm_rate: f64,
}

/// Measures; the datapath's tracepoints have to be attached, and the calling thread is in the observed namespace.
pub fn measure(datapath: &mut Datapath) -> Result<Measured> {
    let number = Btf::of_kernel()?.typedef("btf_trace_kfree_skb").context("no tracepoint kfree_skb")?;
    let (empty, _link) = test_run::attach_empty_tracepoint(number)?;
    let _statistics = test_run::enable_statistics()?;
    filter()?;
    let mut costs = Vec::new();
    for (name, destination) in [("drop-filtered", FILTERED), ("drop-no-socket", REFUSED)] {
        costs.push((name, rounds(datapath, &empty, || flood(destination))?));
    }
    let foreign = || {
        let flooding = thread::spawn(|| {
            // SAFETY: no memory is involved.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                return Err(io::Error::last_os_error()).context("a foreign network namespace");
            }
            ip("link set lo up")?;
            filter()?;
            flood(FILTERED)
        });
        flooding.join().map_err(|_| anyhow::anyhow!("the flood panicked"))?
    };
    costs.push(("drop-not-ours", rounds(datapath, &empty, foreign)?));
    nft(storm::FILTER)?;
    let mut storm = Storm::new()?;
    costs.push(("drop-storm", rounds(datapath, &empty, || storm.rage())?));
    Ok(Measured { costs, storm_rate: storm.rate() })
}

fn rounds(datapath: &mut Datapath, empty: &impl AsFd, mut drops: impl FnMut() -> Result<()>) -> Result<Cost> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let before = [test_run::run_time(&datapath.tracepoint("kfree_skb")?)?, test_run::run_time(empty)?];
        drops()?;
        let after = [test_run::run_time(&datapath.tracepoint("kfree_skb")?)?, test_run::run_time(empty)?];
        let mean = |side: usize| {
            let runs = after[side].1 - before[side].1;
            (after[side].0 - before[side].0) as f64 / runs.max(1) as f64
        };
        if after[1].1 - before[1].1 < DROPS as u64 {
            bail!("only {} drops were seen", after[1].1 - before[1].1);
        }
        rounds.push(Round { program: mean(0), empty: mean(1) });
    }
    Ok(Cost::of(&rounds))
}

/// Discards UDP to a port in the calling thread's namespace, a policy that has nothing to do with sizes.
fn filter() -> Result<()> {
    nft("table inet bench { chain output { type filter hook output priority 0; udp dport 77 drop; }; }")
}

fn nft(rules: &str) -> Result<()> {
    let status = Command::new("nft").arg(rules).stdin(Stdio::null()).status();
    if !status.context("run nft (package nftables)")?.success() {
        bail!("nft {rules}");
    }
    Ok(())
}

/// Whether the kernel tells of a drop does not matter.
fn flood(destination: &str) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    for _ in 0..DROPS {
        let _ = socket.send_to(&[0; 100], destination);
    }
    Ok(())
}
