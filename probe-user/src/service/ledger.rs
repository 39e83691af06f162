//! Counters that outlive pods and interfaces: what the kernel side and the diagnosis count begins anew with each pod, what
//! Prometheus reads must not.
//!
//! Everything comes in as a difference to the reading before, so a series never falls. A pod keeps its series for
//! [`RETENTION`] after it went. There are places for so many pods; the others share the series of [`Owner::overflow`], and
//! so do interfaces beyond [`MAX_INTERFACES`].
mod coverage;
mod hooks;
mod owner;
mod page;
mod standing;

pub use owner::{Owner, RETENTION};
pub use page::PageSettings;

use crate::datapath::interfaces::Counted;
use coverage::Coverage;
use hooks::{Hooks, Interfaced};
use owner::Census;
use probe_core::diagnose::{Output, Stage, Tally, Verdict};
use probe_core::model::Time;
use probe_core::model::finding::Direction;
use probe_core::model::flow::{Family, Protocol};
use probe_core::model::topology::Topology;
use std::collections::BTreeMap;

/// Interfaces that are no pod's and have series of their own.
pub const MAX_INTERFACES: usize = 256;

/// A packet too big of somebody: family, stage, verdict.
type ErrorKey = (Owner, Family, Stage, Verdict);
/// Packets that met a limit: direction, protocol, DF.
type OversizeKey = (Owner, Direction, &'static str, bool);

/// All counters.
#[derive(Debug)]
pub struct Ledger {
    census: Census,
    hooks: Hooks,
    coverage: Coverage,
    oversize: BTreeMap<OversizeKey, u64>,
    drops: BTreeMap<(Owner, Direction, &'static str), u64>,
    errors: BTreeMap<ErrorKey, u64>,
    changes: BTreeMap<&'static str, u64>,
    /// What each fault had come to when it was read last.
    tallied: BTreeMap<String, Tally>,
}

impl Ledger {
    /// Empty; `max_pods` is the number of pods with series of their own.
    pub fn new(max_pods: usize) -> Self {
        Self {
            census: Census::new(max_pods),
            hooks: Hooks::default(),
            coverage: Coverage::default(),
            oversize: BTreeMap::new(),
            drops: BTreeMap::new(),
            errors: BTreeMap::new(),
            changes: BTreeMap::new(),
            tallied: BTreeMap::new(),
        }
    }

    /// Another number of places; pods that have one keep it.
    pub fn set_max_pods(&mut self, max_pods: usize) {
        self.census.set_ceiling(max_pods);
    }

    /// Takes in what the diagnosis says.
    pub fn hear(&mut self, now: Time, output: &Output) {
        match output {
            Output::PacketTooBig(report) => {
                let owner = self.census.owner(now, report.pod.as_ref());
                *self.errors.entry((owner, report.family, report.stage, report.verdict)).or_default() += 1;
            }
            Output::Change(change) => *self.changes.entry(change.what.name()).or_default() += 1,
            // Findings are counted as they stand, drops as the findings have them, losses where they are counted.
            Output::Finding(_) | Output::Drop(_) | Output::Coverage(_) | Output::Lost(_) => {}
        }
    }

    /// Takes in what the hooks counted: first the last counts of what went, then those of what is there.
    pub fn read_hooks(
        &mut self,
        now: Time,
        topology: &Topology,
        departed: Vec<Counted>,
        counted: Vec<Counted>,
    ) {
        for last in departed {
            self.hooks.depart(last);
        }
        for pod in topology.pods.iter().map(Some).chain([None]) {
            let owner = self.census.owner(now, pod);
            // There from the beginning: `increase` does not see the first step of a series that begins with it.
            for family in Family::ALL {
                self.errors.entry((owner.clone(), family, Stage::Dropped, Verdict::Plausible)).or_default();
            }
        }
        for counts in counted {
            let Some(interface) = topology.interface(counts.ifindex) else { continue };
            let owner = self.census.owner(now, topology.pod_behind(counts.ifindex));
            let of = Interfaced { owner, role: interface.role, name: interface.name.clone() };
            self.hooks.read(of, counts);
        }
        self.forget(now);
    }

    /// Compares what devices and hooks counted; to be called right after the devices were read.
    pub fn read_coverage(
        &mut self,
        topology: &Topology,
        counted: &[Counted],
        is_attached: impl Fn(u32) -> Option<bool>,
    ) {
        self.coverage.read(topology, counted, is_attached);
    }

    /// Takes in what faults have come to.
    pub fn read_tallies(&mut self, now: Time, tallies: Vec<Tally>) {
        let mut tallied = BTreeMap::new();
        for tally in tallies {
            let before = self.tallied.remove(&tally.finding);
            let owner = self.census.owner(now, tally.pod.as_ref());
            for (&(protocol, df), &packets) in &tally.packets {
                let known = before.as_ref().and_then(|before| before.packets.get(&(protocol, df)));
                let key = (owner.clone(), tally.direction, protocol_label(protocol), df);
                *self.oversize.entry(key).or_default() += growth(known.copied().unwrap_or(0), packets);
            }
            let known = before.as_ref().map_or(0, |before| before.dropped);
            let key = (owner, tally.direction, tally.at.name());
            *self.drops.entry(key).or_default() += growth(known, tally.dropped);
            tallied.insert(tally.finding.clone(), tally);
        }
        // Faults that were forgotten begin at zero if they come again.
        self.tallied = tallied;
    }

    /// Drops the series of pods that went long ago.
    fn forget(&mut self, now: Time) {
        let gone = self.census.forget(now);
        if gone.is_empty() {
            return;
        }
        self.hooks.forget(&gone);
        self.oversize.retain(|key, _| !gone.contains(&key.0));
        self.drops.retain(|key, _| !gone.contains(&key.0));
        self.errors.retain(|key, _| !gone.contains(&key.0));
    }
}

/// A counter that fell began anew.
fn growth(before: u64, now: u64) -> u64 {
    if now < before { now } else { now - before }
}

fn protocol_label(protocol: Option<Protocol>) -> &'static str {
    match protocol {
        Some(Protocol::Tcp) => "tcp",
        Some(Protocol::Udp) => "udp",
        Some(Protocol::Icmp) => "icmp",
        Some(Protocol::Icmpv6) => "icmpv6",
        Some(Protocol::Other(_)) | None => "other",
    }
}

#[cfg(test)]
#[path = "ledger/tests.rs"]
mod tests;
