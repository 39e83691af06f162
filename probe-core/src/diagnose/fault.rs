//! One fault: a pod, a direction, a family and a limiting joint, with all evidence about it.
use super::evidence::{ERROR_TRAVELS, Fate, FlowEvidence, MAX_PROBES, TOLD_MEANS};
pub use super::joint::{FaultKey, Joint};
use crate::model::finding::{Certainty, Direction, Kind, Limit, Outcome, Reason, Severity};
use crate::model::flow::{Family, Flow, Protocol};
use crate::model::pod::Pod;
use crate::model::{SECOND, Time};
use std::collections::{BTreeMap, BTreeSet};

/// Flows kept per fault; more are counted.
const MAX_FLOWS: usize = 256;

/// A flow is stalled when it has met the limit for so long.
const STALL: Time = 3 * SECOND;

/// A fault with all evidence about it.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What tells it from others.
    pub key: FaultKey,
    /// The pod; `None` for the node itself.
    pub pod: Option<Pod>,
    /// The limit.
    pub limit: Limit,
    /// Flows that met it, as the sender has them.
    pub flows: BTreeMap<Flow, FlowEvidence>,
    /// Packets of flows that were not kept.
    pub packets_beyond: u64,
    /// What the kernel said and where, e.g. `PKT_TOO_BIG in ip_forward`.
    pub witnesses: BTreeSet<String>,
    /// Counters of namespaces and devices that grew as well.
    pub counted: BTreeSet<String>,
    /// Where errors about it were dropped.
    pub error_drops: BTreeSet<String>,
    /// Errors to the sender of this fault would have been seen.
    pub errors_observable: bool,
    /// The sender's own counters were read at these two times: they tell whether errors arrived in between.
    pub counted_within: Option<(Time, Time)>,
    /// A second sense bears out what is said of a silent path, or of fragments that never arrive.
    pub seconded: bool,
    /// When a silent path was proved.
    pub proved: Option<Time>,
    /// Of a silent path: others to the same address carry what it loses.
    pub one_of_several: bool,
    /// An announcement made an exception in the sender's routing.
    pub took_effect: bool,
    /// Drops on this node would have been seen: the sense works, and no records were lost since shortly before it began.
    pub drops_observable: bool,
    /// A hook saw the packets as well.
    pub seen_at_hook: bool,
    /// No drop was witnessed: a hook saw packets that cannot pass, and drops cannot be observed.
    pub inferred: bool,
    /// When the first packet met it.
    pub first_seen: Time,
    /// When the last did.
    pub last_seen: Time,
    /// When it ended, and why.
    pub closed: Option<(Time, String)>,
    /// Time since a packet met it for the first time after it was closed last.
    pub reopened: bool,
    /// The joint that is to be repaired (see `causes::root`).
    pub root: Joint,
    /// The configuration kind that shows it as well.
    pub configured: Option<Kind>,
}

/// Where errors cannot be seen to pass, the sender itself shows whether it learned: TCP repeats the same segment, or not.
fn unobserved_fate(flow: &FlowEvidence, now: Time) -> Fate {
    match flow.flow.protocol {
        Protocol::Tcp if flow.last_drop.is_some_and(|last| last >= flow.first + TOLD_MEANS) => {
            Fate::Untold(Reason::IcmpIgnored)
        }
        Protocol::Tcp if now < flow.last + TOLD_MEANS => Fate::Pending,
        Protocol::Tcp => Fate::Recovered,
        Protocol::Udp | Protocol::Icmp | Protocol::Icmpv6 | Protocol::Other(_) => {
            if flow.packets > MAX_PROBES { Fate::ToldAndLost } else { Fate::Recovered }
        }
    }
}

/// What the evidence amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Kind.
    pub kind: Kind,
    /// Reason of a black hole.
    pub reason: Option<Reason>,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub certainty: Certainty,
    /// Worst outcome.
    pub outcome: Outcome,
}

impl Fault {
    /// A fault without evidence yet.
    pub fn new(key: FaultKey, pod: Option<Pod>, limit: Limit, now: Time) -> Self {
        Self {
            root: key.joint.clone(),
            configured: None,
            key,
            pod,
            limit,
            flows: BTreeMap::new(),
            packets_beyond: 0,
            witnesses: BTreeSet::new(),
            counted: BTreeSet::new(),
            error_drops: BTreeSet::new(),
            errors_observable: true,
            drops_observable: true,
            counted_within: None,
            seconded: false,
            proved: None,
            one_of_several: false,
            took_effect: false,
            seen_at_hook: false,
            inferred: false,
            first_seen: now,
            last_seen: now,
            closed: None,
            reopened: false,
        }
    }

    /// The evidence about a flow; `None` if too many flows are kept already.
    pub fn flow(&mut self, flow: Flow, now: Time, packets: u64) -> Option<&mut FlowEvidence> {
        self.last_seen = self.last_seen.max(now);
        // Records of packets from before the end come a moment after it.
        if self.closed.take_if(|(ended, _)| now > *ended).is_some() {
            self.reopened = true;
            // What met it before it was repaired tells nothing of it now.
            self.packets_beyond += self.flows.values().map(|flow| flow.packets).sum::<u64>();
            self.flows.clear();
        }
        if self.flows.len() >= MAX_FLOWS && !self.flows.contains_key(&flow) {
            self.packets_beyond += packets;
            return None;
        }
        Some(self.flows.entry(flow).or_insert_with(|| FlowEvidence::new(flow, now)))
    }

    /// What became of a flow.
    pub fn fate(&self, flow: &FlowEvidence, now: Time) -> Fate {
        if flow.drops == 0 {
            return if flow.fragments_seen { Fate::Fragmented } else { Fate::Pending };
        }
        if flow.looks_like_probing() && !self.many_of_a_size(flow) {
            return Fate::Probed;
        }
        if matches!(self.key.joint, Joint::SilentPath) {
            return Fate::Untold(Reason::PathSilent);
        }
        if matches!(self.key.joint, Joint::Program(_)) {
            return Fate::Untold(Reason::DatapathDrop);
        }
        // One that got through is enough.
        if flow.errors_dropped > 0 && !flow.accepted {
            return Fate::Untold(Reason::IcmpFiltered);
        }
        // Elsewhere no error can come, or its way does not lead past the sender's hook.
        let passes_hook = matches!(self.key.joint, Joint::Egress(..) | Joint::Router(..));
        let is_unobserved = matches!(self.key.joint, Joint::PodDevice(..))
            || passes_hook && flow.told_at.is_none() && !self.are_errors_observed(flow);
        // Whether it arrives or not: the sender's kernel does not take it.
        if flow.refuses_errors() && (is_unobserved || flow.told_at.is_some()) {
            return Fate::Untold(Reason::IcmpIgnored);
        }
        if is_unobserved {
            return unobserved_fate(flow, now);
        }
        if flow.told_at.is_some() {
            return match flow.flow.protocol {
                Protocol::Tcp if flow.after_told > 0 => Fate::Untold(Reason::IcmpIgnored),
                Protocol::Tcp => Fate::Recovered,
                Protocol::Udp | Protocol::Icmp | Protocol::Icmpv6 | Protocol::Other(_) => {
                    if flow.packets > MAX_PROBES { Fate::ToldAndLost } else { Fate::Recovered }
                }
            };
        }
        match self.key.joint {
            Joint::Veth(_) | Joint::Port(_) => Fate::Untold(Reason::SilentLinkDrop),
            // The error goes to the tunnel's own outer address; the node's own sockets learn from it.
            Joint::Tunnel(_) if self.pod.is_none() => Fate::Recovered,
            Joint::Tunnel(_) => Fate::Untold(Reason::IcmpMisdirected),
            Joint::Egress(..) | Joint::PodDevice(..) | Joint::Router(..) => {
                if now < flow.last_drop.unwrap_or(flow.last) + ERROR_TRAVELS && flow.drops < 2
                    || now < flow.first + ERROR_TRAVELS
                {
                    Fate::Pending
                } else {
                    Fate::Untold(Reason::IcmpLost)
                }
            }
            Joint::SilentPath => Fate::Untold(Reason::PathSilent),
            Joint::Program(_) => Fate::Untold(Reason::DatapathDrop),
            Joint::FragmentFilter(_) | Joint::Reassembly(_) | Joint::Announcement(_) => Fate::ToldAndLost,
        }
    }

    /// Several flows to one remote address lost so many packets of one size that no prober sends them. A flow that steps
    /// through sizes is a prober, however many of them there are.
    fn many_of_a_size(&self, flow: &FlowEvidence) -> bool {
        let remote = |flow: &Flow| match self.key.direction {
            Direction::FromPod | Direction::FromHost => flow.dst,
            Direction::ToPod | Direction::ToHost => flow.src,
        };
        let steps = |flow: &FlowEvidence| flow.sizes.len() > 1;
        let is_step = steps(flow);
        flow.sizes.keys().filter(|_| !is_step).any(|size| {
            let packets: u64 = self
                .flows
                .values()
                .filter(|other| {
                    !steps(other)
                        && other.flow.protocol == flow.flow.protocol
                        && remote(&other.flow) == remote(&flow.flow)
                })
                .filter_map(|other| other.sizes.get(size))
                .sum();
            packets > MAX_PROBES
        })
    }

    /// What the evidence amounts to; `None` while it is too early to say.
    pub fn judge(&self, now: Time) -> Option<Judgement> {
        if self.key.joint.loses_fragments() {
            return Some(self.judge_fragments());
        }
        if matches!(self.key.joint, Joint::Announcement(_)) {
            return Some(self.judge_announcement());
        }
        let fates: Vec<(&FlowEvidence, Fate)> =
            self.flows.values().map(|flow| (flow, self.fate(flow, now))).collect();
        if let Some(reason) = self.worst_reason(&fates) {
            return Some(self.judge_black_hole(&fates, reason));
        }
        let any = |fate: Fate| fates.iter().any(|(_, other)| *other == fate);
        let beyond = matches!(self.key.joint, Joint::Router(..));
        let (kind, severity, outcome) = if any(Fate::ToldAndLost) {
            (Kind::OversizeDropped, Severity::Warning, Outcome::Lost)
        } else if any(Fate::Recovered) {
            let severity = if beyond { Severity::Info } else { Severity::Warning };
            (Kind::OversizeDropped, severity, Outcome::Recovered)
        } else if any(Fate::Fragmented) {
            (Kind::OversizeFragmented, Severity::Warning, Outcome::Fragmented)
        } else if any(Fate::Probed) {
            return Some(self.judge_few_packets(&fates));
        } else {
            return None;
        };
        let certainty =
            if beyond && !self.seen_at_hook { Certainty::Suspected } else { Certainty::Confirmed };
        Some(Judgement { kind, reason: None, severity, certainty, outcome })
    }

    /// So few packets may be deliberate probes of the path: nothing to be loud about, and nothing is claimed of errors
    /// that were not seen.
    fn judge_few_packets(&self, fates: &[(&FlowEvidence, Fate)]) -> Judgement {
        let told = fates.iter().any(|(flow, _)| flow.told_at.is_some());
        let (kind, reason) = if self.key.joint.is_silent() {
            (Kind::PmtuBlackHole, Some(Reason::SilentLinkDrop))
        } else {
            (Kind::OversizeDropped, None)
        };
        Judgement {
            kind,
            reason,
            severity: Severity::Info,
            certainty: Certainty::Confirmed,
            outcome: if told { Outcome::Recovered } else { Outcome::Lost },
        }
    }

    fn worst_reason(&self, fates: &[(&FlowEvidence, Fate)]) -> Option<Reason> {
        let has = |reason| fates.iter().any(|(_, fate)| *fate == Fate::Untold(reason));
        // A witnessed cause explains more than an absence.
        [
            Reason::IcmpFiltered,
            Reason::DatapathDrop,
            Reason::SilentLinkDrop,
            Reason::IcmpMisdirected,
            Reason::IcmpIgnored,
            Reason::IcmpLost,
            Reason::PathSilent,
        ]
        .into_iter()
        .find(|reason| has(*reason))
    }

    fn judge_black_hole(&self, fates: &[(&FlowEvidence, Fate)], reason: Reason) -> Judgement {
        let untold: Vec<&FlowEvidence> =
            fates.iter().filter(|(_, fate)| matches!(fate, Fate::Untold(_))).map(|(flow, _)| *flow).collect();
        let losses: u64 = untold.iter().map(|flow| flow.drops).sum();
        let several_sends = untold.len() > 1 || untold.iter().any(|flow| flow.last > flow.first);
        let stalled = untold.iter().any(|flow| flow.last >= flow.first + STALL);
        let all_got_through = untold.iter().all(|flow| flow.got_through);
        let by_counters = self.rests_on_counters(reason);
        let unobservable = reason == Reason::IcmpLost && !self.errors_observable && !by_counters;
        let severity = if unobservable {
            Severity::Info
        } else if all_got_through || !(losses >= 3 && several_sends || stalled) {
            Severity::Warning
        } else {
            Severity::Critical
        };
        // Both rest on a drop that was not witnessed: that means something only where it would have been.
        let by_absence = matches!(reason, Reason::PathSilent | Reason::IcmpLost) && !self.drops_observable;
        let one_sense = reason == Reason::PathSilent && untold.len() < 2 && !self.seconded;
        let inferred = self.inferred && self.counted.is_empty();
        let suspected = unobservable || by_absence || one_sense || inferred;
        Judgement {
            kind: Kind::PmtuBlackHole,
            reason: Some(reason),
            severity,
            certainty: if suspected { Certainty::Suspected } else { Certainty::Confirmed },
            outcome: if all_got_through { Outcome::Recovered } else { Outcome::Lost },
        }
    }

    fn judge_fragments(&self) -> Judgement {
        let losses = self.packets_beyond + self.flows.values().map(|flow| flow.drops).sum::<u64>();
        let several_sends = self.flows.len() > 1 || self.last_seen > self.first_seen;
        // That reassembly timed out is the kernel's own word; that it always does needs a second source.
        let suspected = matches!(self.key.joint, Joint::Reassembly(_)) && !self.seconded;
        let severity = if losses >= 3 && several_sends { Severity::Critical } else { Severity::Warning };
        Judgement {
            kind: Kind::FragmentsLost,
            reason: None,
            severity,
            certainty: if suspected { Certainty::Suspected } else { Certainty::Confirmed },
            outcome: Outcome::Lost,
        }
    }

    fn judge_announcement(&self) -> Judgement {
        // Accepted below the sender's floor means a path MTU below every real one.
        let lowered = self.took_effect
            || self.flows.values().any(|flow| flow.told_at.is_some())
                && self.limit.mtu.is_some_and(|mtu| mtu < super::errors::IPV4_MIN_PMTU)
                && self.key.family == Family::Ipv4;
        Judgement {
            kind: Kind::PacketTooBigImplausible,
            reason: None,
            severity: if lowered { Severity::Warning } else { Severity::Info },
            certainty: Certainty::Confirmed,
            outcome: Outcome::Delivered,
        }
    }

    /// What became of a flow, in the words of the contract.
    pub fn outcome(&self, flow: &FlowEvidence, now: Time) -> Outcome {
        match self.fate(flow, now) {
            Fate::Pending => Outcome::Delivered,
            Fate::Probed if flow.told_at.is_none() => Outcome::Lost,
            Fate::Probed | Fate::Recovered => Outcome::Recovered,
            Fate::Fragmented => Outcome::Fragmented,
            Fate::Untold(_) if flow.got_through => Outcome::Recovered,
            Fate::ToldAndLost | Fate::Untold(_) if matches!(self.key.joint, Joint::Announcement(_)) => {
                Outcome::Delivered
            }
            Fate::ToldAndLost | Fate::Untold(_) => Outcome::Lost,
        }
    }
}
