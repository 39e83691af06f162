//! From evidence to findings: the [`Diagnoser`].
//!
//! It is driven by values and times: [`Diagnoser::handle_event`], [`Diagnoser::handle_topology`],
//! [`Diagnoser::handle_counters`] and [`Diagnoser::handle_timeout`] go in, [`Diagnoser::poll_output`] comes out. It
//! reads no clock: the same input gives the same output, on any machine.
//!
//! # Layout
//! - [`place`]: what a drop means; [`evidence`]: one flow; `joint`: where; [`fault`]: one fault and its judgement.
//! - `newcomers`: what happened at links that are not read yet.
//! - `nat`, `drops`, `errors`, `ledger`, `fragments`, `reassembly`, `stalls`, `holes`: from events to faults; `mss`: what
//!   handshakes announce.
//! - [`coverage`]: what of a pod passes the hooks, so that absence means something.
//! - `losses`: lost evidence, so that absence means less.
//! - [`discovery`]: what settings make of path MTU discovery.
//! - [`probing`]: whether TCP's own probing rescued a flow, or would have.
//! - [`exceptions`]: path MTUs that were learned: proof that a sender was told, and those that nothing explains.
//! - [`latent`]: mismatches that no packet need have met; `standing`: when they are told; `changes`: what changed.
//! - [`rules`]: each kind in words; `publish`: from faults to findings; `causes`: what many have in common; `closing`: when
//!   one is over.
//! - `solitary`: senders of nothing but large packets, which no prober is.
//! - `counters`: what namespaces and devices count themselves; `sockets`: what connections that stand still tell; `tally`:
//!   what faults have come to, for whoever counts on.

mod acknowledged;
mod causes;
mod changes;
mod closing;
mod counters;
pub mod coverage;
pub mod discovery;
mod drops;
mod errors;
pub mod evidence;
pub mod exceptions;
pub mod fault;
mod filtered;
#[cfg(test)]
mod fixtures;
mod fragments;
mod holes;
mod joint;
pub mod latent;
mod ledger;
mod losses;
mod mss;
mod nat;
mod newcomers;
pub mod place;
pub mod probing;
mod publish;
mod reassembly;
mod report;
pub mod rules;
#[cfg(test)]
mod scenarios;
mod sockets;
mod solitary;
mod stalls;
mod standing;
mod subject;
mod tally;
mod verification;
mod vswitch;

pub use coverage::HookCounters;
pub(crate) use publish::latent_finding;
pub use report::{DropReport, NetnsCounters, Output, PacketTooBigReport, Senses, Stage, Verdict};
pub use tally::Tally;

use crate::model::change::Change;
use crate::model::event::Event;
use crate::model::finding::{Certainty, Finding, Limit, Severity, State};
use crate::model::pod::Pod;
use crate::model::topology::Topology;
use crate::model::{SECOND, Time};
use counters::Counters;
use coverage::Coverages;
use exceptions::Exceptions;
use fault::{Fault, FaultKey, Joint};
use filtered::Filtered;
use latent::Mismatch;
use ledger::SeenError;
use losses::Losses;
use mss::Announcements;
use nat::Nat;
use newcomers::Newcomers;
use publish::Published;
use reassembly::Reassemblies;
use sockets::Sockets;
use stalls::Stalls;
use standing::ToldMismatch;
use std::collections::{BTreeMap, VecDeque};

/// A fault that nothing met for so long is closed (contract, section 2).
const IDLE: Time = 600 * SECOND;
/// Faults are judged again so often while they are young.
const TICK: Time = SECOND / 4;
/// A fault closed so long ago is forgotten.
const FORGET: Time = 3600 * SECOND;
/// A change explains what begins up to so long after it.
const CHANGE_EXPLAINS: Time = 600 * SECOND;

/// The diagnosis.
#[derive(Debug)]
pub struct Diagnoser {
    senses: Senses,
    topology: Topology,
    faults: BTreeMap<FaultKey, Fault>,
    published: BTreeMap<FaultKey, Published>,
    latent: BTreeMap<String, ToldMismatch>,
    mismatches: Vec<Mismatch>,
    retracted: BTreeMap<FaultKey, Finding>,
    errors: VecDeque<SeenError>,
    nat: Nat,
    newcomers: Newcomers,
    coverages: Coverages,
    stalls: Stalls,
    sockets: Sockets,
    filtered: Filtered,
    reassemblies: Reassemblies,
    announcements: Announcements,
    exceptions: Exceptions,
    counters: Counters,
    changes: VecDeque<Change>,
    output: VecDeque<Output>,
    losses: Losses,
    next_tick: Option<Time>,
}

impl Diagnoser {
    /// A diagnosis that has seen nothing yet.
    pub fn new(senses: Senses) -> Self {
        Self {
            senses,
            topology: Topology::default(),
            faults: BTreeMap::new(),
            published: BTreeMap::new(),
            latent: BTreeMap::new(),
            mismatches: Vec::new(),
            retracted: BTreeMap::new(),
            errors: VecDeque::new(),
            nat: Nat::default(),
            newcomers: Newcomers::default(),
            coverages: Coverages::default(),
            stalls: Stalls::default(),
            sockets: Sockets::default(),
            filtered: Filtered::default(),
            reassemblies: Reassemblies::default(),
            announcements: Announcements::default(),
            exceptions: Exceptions::default(),
            counters: Counters::default(),
            changes: VecDeque::new(),
            output: VecDeque::new(),
            losses: Losses::default(),
            next_tick: None,
        }
    }

    /// The topology that the diagnosis works with.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Takes an observation in.
    pub fn handle_event(&mut self, now: Time, event: Event) {
        let known = self.wait_for_interface(now, event);
        if let Some(event) = known.and_then(|event| self.wait_for_nat(event)) {
            self.take_in(now, event);
        }
        self.next_tick.get_or_insert(now + TICK);
    }

    fn take_in(&mut self, now: Time, event: Event) {
        match event {
            Event::Oversize(oversize) => self.handle_oversize(now, &oversize),
            Event::PacketTooBig(seen) => self.handle_packet_too_big(now, &seen),
            Event::Fragment(seen) => self.handle_fragment(now, &seen),
            Event::Dropped(drop) => self.handle_dropped(now, &drop),
            Event::IcmpGenerated(generated) => self.handle_icmp_generated(&generated),
            Event::TcpRetransmit(retransmit) => self.handle_tcp_retransmit(now, &retransmit),
            Event::TcpStateChange(change) => self.handle_tcp_state_change(now, &change),
            Event::TcpHole(hole) => self.handle_tcp_hole(now, &hole),
            Event::TcpMss(seen) => self.handle_tcp_mss(now, &seen),
            Event::Lost(lost) => {
                self.exceptions.doubt(now);
                self.losses.add(&lost);
                self.output.push_back(Output::Lost(lost));
            }
        }
    }

    /// Takes the state of links, routes and pods in; differences to the one before become `change` lines.
    pub fn handle_topology(&mut self, now: Time, topology: Topology) {
        let before = std::mem::replace(&mut self.topology, topology);
        if !before.interfaces.is_empty() {
            for change in changes::between(now, &before, &self.topology) {
                self.changes.push_back(change.clone());
                self.output.push_back(Output::Change(change));
            }
        }
        while self.changes.front().is_some_and(|change| change.time + CHANGE_EXPLAINS < now) {
            self.changes.pop_front();
        }
        self.exceptions.begin(now);
        self.take_newcomers(now);
        self.count_at_devices(now, &before);
        self.name_pods(now);
        self.tell_of_stacked_pods();
        self.find_mismatches();
        self.close_what_is_gone(now, &before);
        self.tell_mismatches(now);
    }

    /// Lets time pass: waits for evidence end, findings close.
    pub fn handle_timeout(&mut self, now: Time) {
        self.next_tick = None;
        self.take_newcomers(now);
        self.end_waiting_for_nat(now);
        self.miss_errors(now);
        self.forget_errors(now);
        self.tell_forgotten_drops(now);
        for flow in self.faults.values_mut().flat_map(|fault| fault.flows.values_mut()) {
            flow.count_losses_by_errors();
        }
        let keys: Vec<FaultKey> = self.faults.keys().cloned().collect();
        for key in keys {
            self.judge(now, &key);
        }
        self.close_what_is_idle(now);
        let waits = !self.errors.is_empty() || self.wants_nat() || self.has_newcomers();
        if waits || self.faults.values().any(|fault| fault.closed.is_none()) {
            self.next_tick = Some(now + TICK);
        }
    }

    /// When [`Self::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.next_tick
    }

    /// The next output, if there is one.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// Draws the last conclusions from the evidence at hand and returns all findings in their final form.
    pub fn finish(&mut self, now: Time) -> Vec<Finding> {
        self.handle_timeout(now);
        let traffic = self.faults.keys().filter_map(|key| self.finding(now, key));
        let stands_again = |key: &FaultKey| self.faults.contains_key(key);
        let retracted =
            self.retracted.iter().filter(|(key, _)| !stands_again(key)).map(|(_, finding)| finding);
        let mut findings: Vec<Finding> =
            traffic.chain(self.untold_mismatches().cloned()).chain(retracted.cloned()).collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        findings
    }

    /// The fault with a key, new if need be.
    fn fault(&mut self, key: FaultKey, pod: Option<Pod>, limit: Limit, time: Time) -> &mut Fault {
        let root = causes::root(&self.topology, &key.joint);
        self.faults.entry(key.clone()).or_insert_with(|| Fault { root, ..Fault::new(key, pod, limit, time) })
    }

    /// There is new evidence about a fault.
    fn touch(&mut self, now: Time, key: &FaultKey) {
        self.judge(now, key);
        let tick = now + TICK;
        self.next_tick = Some(self.next_tick.map_or(tick, |next| next.min(tick)));
    }

    /// Judges a fault and publishes what is new about it.
    fn judge(&mut self, now: Time, key: &FaultKey) {
        self.note_discovery(key);
        self.note_losses(key);
        let Some(fault) = self.faults.get(key) else { return };
        let Some(judgement) = fault.judge(now) else { return };
        let state = if fault.closed.is_some() { State::Closed } else { State::Open };
        let published = Published { judgement, state, limit: fault.limit.clone() };
        let is_news = self.published.get(key).is_none_or(|before| {
            before.judgement != judgement || before.state != state || before.limit != fault.limit
        });
        if !is_news {
            return;
        }
        self.name_configuration(key);
        if let Some(finding) = self.finding(now, key) {
            let before = self.published.insert(key.clone(), published);
            self.output.push_back(Output::Finding(finding));
            if before.is_none_or(|before| before.state != state) {
                self.tell_mismatches(now);
            }
        }
    }

    /// Takes a published finding back: further evidence refuted it.
    fn retract(&mut self, now: Time, key: &FaultKey) {
        let finding = self.finding(now, key);
        self.faults.remove(key);
        if self.published.remove(key).is_none() {
            return;
        }
        let Some(mut finding) = finding else { return };
        finding.state = State::Retracted;
        finding.severity = Severity::Info;
        finding.certainty = Certainty::Suspected;
        finding.ended = Some(now);
        finding.explanation.push_str(" Retracted: further evidence explains the loss otherwise.");
        self.retracted.insert(key.clone(), finding.clone());
        self.output.push_back(Output::Finding(finding));
    }

    fn finding(&self, now: Time, key: &FaultKey) -> Option<Finding> {
        let fault = self.faults.get(key)?;
        let judgement = fault.judge(now)?;
        let cause = causes::of_fault(&self.topology, &self.faults, fault, self.change_before(fault));
        publish::finding(&self.topology, fault, judgement, cause, now)
    }

    /// The last change before a fault began that concerns its interface.
    fn change_before(&self, fault: &Fault) -> Option<String> {
        let interface = if let Joint::Veth(ifindex) = fault.key.joint {
            self.topology.interface(ifindex).map(|near| near.name.as_str())
        } else if matches!(fault.key.joint, Joint::PodDevice(..)) {
            fault.pod.as_ref().and_then(|pod| pod.host_interface.as_deref())
        } else {
            fault.limit.interface.as_deref()
        };
        let setting = fault.setting_to_blame();
        let concerns = |change: &Change| {
            let is_of_setting = || setting.as_ref().is_some_and(|setting| change.object == *setting);
            is_of_setting() || interface.is_some_and(|interface| changes::is_about(change, interface))
        };
        let change = self.changes.iter().rev().find(|change| {
            change.time <= fault.first_seen + SECOND
                && change.time + CHANGE_EXPLAINS >= fault.first_seen
                && concerns(change)
        })?;
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        Some(format!(
            "{} {} {} -> {}",
            change.object,
            change.what.name(),
            text(&change.from),
            text(&change.to)
        ))
    }

    /// Names that became known later belong to the faults of before; what was told without them is told again.
    fn name_pods(&mut self, now: Time) {
        let mut renamed = Vec::new();
        for (key, fault) in &mut self.faults {
            let Some(pod) = &mut fault.pod else { continue };
            let mut pods = self.topology.pods.iter().chain(&self.topology.departed);
            let Some(current) = pods.find(|other| other.key() == fault.key.pod) else { continue };
            if pod.called() != current.called() {
                renamed.push(key.clone());
            }
            pod.clone_from(current);
        }
        renamed.retain(|key| self.published.contains_key(key));
        let findings: Vec<Finding> = renamed.iter().filter_map(|key| self.finding(now, key)).collect();
        self.output.extend(findings.into_iter().map(Output::Finding));
    }
}

/// A short opaque name for something: the first 24 bits of FNV-1a.
pub(crate) fn short_id(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{:06x}", (hash ^ (hash >> 32)) & 0xff_ffff)
}
