//! The search of a path MTU by probing (RFC 8899 and RFC 4821): which size next, and what the answers prove.
//!
//! A state machine without input or output. [`Search::poll`] says what to do next; answers and the passing of time are
//! handed in. A size that nobody answers counts as too big only after [`ATTEMPTS`] probes of it were lost while small
//! control probes between them were answered: loss is not size. What an ICMP error announces is a hint; the next two
//! probes prove it or refute it.
mod pace;
mod probe;
mod result;
mod step;
mod trace;

pub use result::{Found, IcmpVerdict};
pub use step::{Step, StepVerdict, TooBig};
pub use trace::{Hop, Trace, TraceAction, Vanishing};

use crate::model::Time;
use crate::model::flow::Family;
use pace::Pace;
use probe::{Fate, Probe};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// Losses of one size, each with an answered control probe after it, that prove it too big. RFC 8899 section 5.1.2 has
/// three at least (`MAX_PROBES`); five keep the error below 1 in 10,000 where a tenth of everything is lost.
pub const ATTEMPTS: u32 = 5;
/// Control probes lost in a row that mean the destination does not answer at all.
const CONTROLS_LOST: u32 = 8;
/// The same before anything was answered: where a tenth of everything is lost, four in a row are one case in 10,000.
const FIRST_LOST: u32 = 4;
/// Bytes of a control probe: room for every header, and as small as an ordinary acknowledgement.
pub const CONTROL_SIZE: u32 = 128;
/// Where bisecting begins (RFC 8899 section 5.1.2, `BASE_PLPMTU`; IPv6 guarantees 1280).
const BASE_SIZES: [(Family, u32); 2] = [(Family::Ipv4, 1200), (Family::Ipv6, 1280)];
/// Linux takes no smaller path MTU over IPv4 (`net.ipv4.route.min_pmtu`).
const IPV4_MIN_PMTU: u32 = 552;

/// What a search keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Address family.
    pub family: Family,
    /// Largest packet that the sender's own route and device take.
    pub ceiling: u32,
    /// A size that every path carries: if it vanishes, it is for what the probes are, and nothing is found.
    pub least: u32,
    /// Packets sent at most.
    pub packets: u32,
    /// When it gives up.
    pub end: Time,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a probe of this size in bytes at layer 3.
    Send {
        /// Its number, which no other probe of this search has.
        probe: u16,
        /// Bytes at layer 3.
        size: u32,
    },
    /// Wait for answers until then.
    Wait(Time),
    /// It is over.
    Done,
}

/// A search.
#[derive(Debug)]
pub struct Search {
    bounds: Bounds,
    pace: Pace,
    probes: BTreeMap<u16, Probe>,
    next_probe: u16,
    sent: u32,
    /// Sizes to send next, without waiting for answers in between.
    queue: VecDeque<u32>,
    steps: Vec<Step>,
    /// The step in work, by its size; `None` before the next is chosen.
    current: Option<u32>,
    controls_lost: u32,
    hints: Vec<u32>,
    over: bool,
    unreachable: Option<(IpAddr, &'static str)>,
}

impl Search {
    /// Begins with a control probe: without an answer to it nothing else means anything.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            pace: Pace::default(),
            probes: BTreeMap::new(),
            next_probe: 1,
            sent: 0,
            queue: VecDeque::new(),
            steps: Vec::new(),
            current: None,
            controls_lost: 0,
            hints: Vec::new(),
            over: false,
            unreachable: None,
        }
    }

    /// What to do now.
    pub fn poll(&mut self, now: Time) -> Action {
        self.expire(now);
        self.over |= self.smallest_failed().is_some_and(|size| size <= self.bounds.least);
        loop {
            if self.over {
                return Action::Done;
            }
            let deadline = self.first_deadline();
            let may_send = self.sent < self.bounds.packets && now < self.bounds.end;
            if self.queue.is_empty() && deadline.is_none() && may_send {
                self.plan();
            }
            match (self.queue.front(), deadline) {
                (Some(&size), _) if may_send => {
                    if let Some(wait) = self.pace.wait(now) {
                        return Action::Wait(wait);
                    }
                    self.queue.pop_front();
                    return self.send(now, size);
                }
                (_, Some(deadline)) => return Action::Wait(deadline),
                (_, None) => self.over = true,
            }
        }
    }

    /// A probe was answered by its destination.
    pub fn handle_answer(&mut self, now: Time, probe: u16) {
        let Some(known) = self.probes.get_mut(&probe) else { return };
        if std::mem::replace(&mut known.fate, Fate::Answered) == Fate::Answered {
            return;
        }
        let known = *known;
        self.pace.answered(now, now.saturating_sub(known.sent));
        if known.size == CONTROL_SIZE {
            self.controls_lost = 0;
        }
        self.step(known.size).answered += 1;
        self.refute(known.size);
        self.count_losses();
    }

    /// A router, or the destination, says that a probe was too big. The quote is of that probe.
    pub fn handle_too_big(&mut self, probe: u16, router: IpAddr, next_hop_mtu: u32) {
        let Some(size) = self.size_of(probe) else { return };
        if self.note_too_big(size, router, next_hop_mtu) {
            self.settle(probe, Fate::Announced);
            self.hints.extend([next_hop_mtu + 1, next_hop_mtu]);
        }
    }

    /// A size is said to be too big, in answer to whichever packet; true if that can be.
    pub fn note_too_big(&mut self, size: u32, router: IpAddr, next_hop_mtu: u32) -> bool {
        let implausible = self.implausible(size, next_hop_mtu);
        self.step(size).note_too_big(TooBig { router, next_hop_mtu, count: 1, implausible });
        implausible.is_none()
    }

    /// The sender's own kernel refuses the size (`EMSGSIZE`).
    pub fn handle_refused(&mut self, probe: u16) {
        let Some(size) = self.size_of(probe) else { return };
        self.sent = self.sent.saturating_sub(1);
        let step = self.step(size);
        step.sent = step.sent.saturating_sub(1);
        step.refused = true;
        self.settle(probe, Fate::Refused);
    }

    /// A router says that the destination cannot be reached at all.
    pub fn handle_unreachable(&mut self, probe: u16, router: IpAddr, what: &'static str) {
        if self.probes.contains_key(&probe) {
            self.unreachable.get_or_insert((router, what));
            self.over |= self.largest_answered().is_none();
        }
    }

    /// The size of a probe that was sent.
    pub fn size_of(&self, probe: u16) -> Option<u32> {
        self.probes.get(&probe).map(|known| known.size)
    }

    /// The probe that an answer without a number means: the smallest that is still unanswered and not older than
    /// `horizon`, so that no size is taken to have passed that may have not.
    pub fn unnumbered(&self, since: Time) -> Option<u16> {
        let is_open = |probe: &Probe| !matches!(probe.fate, Fate::Answered | Fate::Refused);
        let open = self.probes.iter().filter(|(_, probe)| is_open(probe) && probe.sent >= since);
        open.min_by_key(|(_, probe)| probe.size).map(|(&number, _)| number)
    }

    /// The sizes probed so far, in the order in which they were first.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Packets sent.
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// The number after the last probe's.
    pub fn next_probe(&self) -> u16 {
        self.next_probe
    }

    /// Who said that the destination cannot be reached, and how.
    pub fn unreachable(&self) -> Option<(IpAddr, &'static str)> {
        self.unreachable
    }

    /// What the answers amount to; `None` as long as nothing was answered.
    pub fn found(&self) -> Option<Found> {
        result::found(&self.bounds, &self.steps).filter(|found| found.mtu >= self.bounds.least)
    }

    /// Whether any size was answered.
    pub fn is_answered(&self) -> bool {
        self.largest_answered().is_some()
    }

    /// Ends it before it is done.
    pub fn stop(&mut self) {
        self.over = true;
    }

    fn send(&mut self, now: Time, size: u32) -> Action {
        let probe = self.next_probe;
        self.next_probe += 1;
        if size == CONTROL_SIZE {
            for earlier in self.probes.values_mut().filter(|earlier| Some(earlier.size) == self.current) {
                earlier.control.get_or_insert(probe);
            }
        }
        let fate = Fate::Waiting(now + self.pace.timeout());
        self.probes.insert(probe, Probe { size, sent: now, fate, control: None });
        self.sent += 1;
        self.step(size).sent += 1;
        self.pace.sent(now);
        Action::Send { probe, size }
    }

    fn first_deadline(&self) -> Option<Time> {
        let deadline = |probe: &Probe| match probe.fate {
            Fate::Waiting(deadline) => Some(deadline),
            Fate::Answered | Fate::Announced | Fate::Refused | Fate::Lost => None,
        };
        self.probes.values().filter_map(deadline).min()
    }

    /// Puts into the queue what is to be sent next; nothing once the border is found.
    fn plan(&mut self) {
        let Some(low) = self.largest_answered() else {
            self.queue.push_back(CONTROL_SIZE);
            return;
        };
        if let Some(size) = self.current.filter(|&size| size > low && !self.is_settled(size)) {
            let unpaired = |probe: &Probe| probe.size == size && probe.control.is_none();
            let lost = self.step(size).lost;
            if self.probes.values().any(unpaired) {
                self.queue.push_back(CONTROL_SIZE);
            } else if lost == 0 {
                self.queue.push_back(size);
            } else {
                // It is likely too big: the rest of the proof without waiting for each loss.
                let pairs = if self.pace.is_slow() { 1 } else { ATTEMPTS - lost };
                self.queue.extend((0..pairs).flat_map(|_| [size, CONTROL_SIZE]));
            }
            return;
        }
        // What the own device refuses is asked first: it costs no packet.
        let above = self.bounds.ceiling + 1;
        let is_asked = above > u32::from(u16::MAX) || self.steps.iter().any(|step| step.size == above);
        self.current = if is_asked { self.choose(low) } else { Some(above) };
        self.queue.extend(self.current);
    }

    fn choose(&mut self, low: u32) -> Option<u32> {
        let high = self.smallest_failed().unwrap_or(self.bounds.ceiling + 1).min(self.bounds.ceiling + 1);
        if high <= low + 1 {
            return None;
        }
        let within = |size: u32| size > low && size < high;
        while let Some(hint) = self.hints.pop() {
            if within(hint) {
                return Some(hint);
            }
        }
        if high == self.bounds.ceiling + 1 {
            return Some(self.bounds.ceiling);
        }
        let base = BASE_SIZES.iter().find(|(family, _)| *family == self.bounds.family).map(|(_, size)| *size);
        base.filter(|&base| within(base)).or(Some(low + (high - low) / 2))
    }

    /// What was not answered in time is lost.
    fn expire(&mut self, now: Time) {
        let mut controls = 0;
        let mut is_any = false;
        for probe in self.probes.values_mut() {
            if matches!(probe.fate, Fate::Waiting(deadline) if deadline <= now) {
                probe.fate = Fate::Lost;
                is_any = true;
                controls += u32::from(probe.size == CONTROL_SIZE);
            }
        }
        if !is_any {
            return;
        }
        for _ in 0..controls {
            self.controls_lost += 1;
            self.pace.control_lost(now);
        }
        let enough = if self.largest_answered().is_some() { CONTROLS_LOST } else { FIRST_LOST };
        self.over |= self.controls_lost >= enough;
        self.count_losses();
    }

    /// Waits no longer for a probe.
    fn settle(&mut self, probe: u16, fate: Fate) {
        if let Some(known) = self.probes.get_mut(&probe).filter(|known| known.fate != Fate::Answered) {
            known.fate = fate;
        }
        self.count_losses();
    }

    /// Counts for each size what was lost while the control probe right after it was answered: what was lost beside a lost
    /// control probe says nothing about size.
    fn count_losses(&mut self) {
        let counts = |probe: &Probe| {
            let control = probe.control.and_then(|control| self.probes.get(&control));
            probe.fate == Fate::Lost && control.is_some_and(|control| control.fate == Fate::Answered)
        };
        for step in &mut self.steps {
            let lost = self.probes.values().filter(|probe| probe.size == step.size && counts(probe)).count();
            step.lost = u32::try_from(lost).unwrap_or(u32::MAX);
        }
        if self.current.is_some_and(|size| self.is_settled(size)) {
            self.queue.clear();
        }
    }

    /// An answered packet of this size refutes every announcement of less, and what was believed for it.
    fn refute(&mut self, size: u32) {
        for too_big in self.steps.iter_mut().flat_map(|step| &mut step.too_big) {
            if too_big.next_hop_mtu < size && too_big.implausible.is_none() {
                too_big.implausible = Some("larger packets pass");
            }
        }
    }

    /// Why an announcement cannot be true, if it cannot.
    fn implausible(&self, size: u32, next_hop_mtu: u32) -> Option<&'static str> {
        let floor = self.bounds.family.minimum_mtu();
        if next_hop_mtu == 0 {
            Some("announces no size")
        } else if next_hop_mtu < floor {
            Some("announces less than every link must carry")
        } else if next_hop_mtu >= size {
            Some("announces no less than the packet's size")
        } else if self.largest_answered().is_some_and(|low| next_hop_mtu < low) {
            Some("larger packets pass")
        } else {
            None
        }
    }

    fn largest_answered(&self) -> Option<u32> {
        self.steps.iter().filter(|step| step.answered > 0).map(|step| step.size).max()
    }

    fn smallest_failed(&self) -> Option<u32> {
        let low = self.largest_answered().unwrap_or(0);
        let failed = self.steps.iter().filter(|step| step.size > low && step.verdict().fails());
        failed.map(|step| step.size).min()
    }

    fn is_settled(&self, size: u32) -> bool {
        self.steps.iter().any(|step| step.size == size && step.verdict() != StepVerdict::Open)
    }

    fn step(&mut self, size: u32) -> &mut Step {
        let known = self.steps.iter().position(|step| step.size == size);
        let index = known.unwrap_or_else(|| {
            self.steps.push(Step::new(size));
            self.steps.len() - 1
        });
        &mut self.steps[index]
    }
}

#[cfg(test)]
mod tests;
