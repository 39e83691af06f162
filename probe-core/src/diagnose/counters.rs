//! What network namespaces and devices count themselves: a second source, and the only one where hooks are passed by.
//!
//! A counter proves nothing by itself: each mixes packets of all kinds. It bears out a fault that packets showed, and it
//! tells whether an error arrived in a pod whose hook does not see what is sent to it.
use super::evidence::{ERROR_TRAVELS, FlowEvidence};
use super::fault::{Fault, FaultKey, Joint};
use super::{Diagnoser, NetnsCounters};
use crate::model::finding::{Direction, Reason};
use crate::model::flow::{Family, Protocol};
use crate::model::interface::{Interface, Role};
use crate::model::topology::Topology;
use crate::model::{SECOND, Time};
use std::collections::{BTreeMap, VecDeque};

/// Readings older than this are of no use: faults that young are judged by them.
const REMEMBERED: Time = 60 * SECOND;

/// Errors about IPv4 packets that the namespace took in, with destination unreachables of all other codes: IPv4 has no
/// counter of its own for them (`icmp_unreach`).
const ERRORS_IN_V4: &str = "IcmpInDestUnreachs";
/// Packets too big that the namespace took in.
const ERRORS_IN_V6: &str = "Icmp6InPktTooBigs";
/// Errors that TCP refused for their sequence number (`tcp_v4_err`). A late one in a healthy connection counts as well.
const REFUSED: &str = "TcpExtOutOfWindowIcmps";
/// Black holes that TCP's probing found its way out of (`tcp_mtup_probe_success`).
const PROBED: &str = "TcpExtTCPMTUPSuccess";

/// The counters of a namespace at one time.
#[derive(Debug)]
struct Reading {
    time: Time,
    values: BTreeMap<String, u64>,
}

impl Reading {
    fn value(&self, name: &str) -> Option<u64> {
        self.values.get(name).copied()
    }
}

/// Readings by namespace: the index of a pod's host interface, `None` for the observed one.
#[derive(Debug, Default)]
pub(super) struct Counters {
    readings: BTreeMap<Option<u32>, VecDeque<Reading>>,
}

impl Counters {
    fn add(&mut self, now: Time, read: NetnsCounters) {
        let readings = self.readings.entry(read.pod_host_ifindex).or_default();
        // One reading before the remembered time stays: what happened since is counted from there.
        while readings.get(1).is_some_and(|reading| reading.time + REMEMBERED < now) {
            readings.pop_front();
        }
        readings.push_back(Reading { time: now, values: read.values });
    }

    /// How much a counter grew since the last reading before a time, if it was read after another time.
    pub fn growth_within(&self, namespace: Option<u32>, name: &str, since: Time, until: Time) -> Option<u64> {
        let last = self.readings.get(&namespace)?.back()?.time;
        (last >= until).then(|| self.growth(namespace, name, since))?.map(|(_, grew)| grew)
    }

    /// How much a counter grew since the last reading before a time, or since the first of all, and when that was.
    pub fn growth(&self, namespace: Option<u32>, name: &str, since: Time) -> Option<(Time, u64)> {
        let readings = self.readings.get(&namespace)?;
        let before = readings.iter().rev().find(|reading| reading.time <= since).or(readings.front())?;
        Some((before.time, readings.back()?.value(name)?.saturating_sub(before.value(name)?)))
    }
}

impl Diagnoser {
    /// Takes counters of a namespace in.
    pub fn handle_counters(&mut self, now: Time, counters: NetnsCounters) {
        let namespace = counters.pod_host_ifindex;
        let gone =
            |ifindex: &Option<u32>| ifindex.is_some_and(|ifindex| self.topology.interface(ifindex).is_none());
        self.counters.readings.retain(|ifindex, _| !gone(ifindex));
        if gone(&namespace) {
            return;
        }
        self.counters.add(now, counters);
        self.note_solitary_senders(now, namespace);
        match namespace {
            Some(ifindex) => self.count_in_pod(now, ifindex),
            None => self.count_on_node(now),
        }
        self.judge_reassemblies(now, namespace);
    }

    /// Whether errors arrived in a pod, and what its TCP made of them.
    fn count_in_pod(&mut self, now: Time, ifindex: u32) {
        let mut touched = Vec::new();
        for (key, fault) in &mut self.faults {
            let is_its = fault.pod.as_ref().is_some_and(|pod| pod.host_ifindex == Some(ifindex));
            if !is_its || fault.closed.is_some() || key.direction != Direction::FromPod {
                continue;
            }
            let since = fault.first_seen.max(now.saturating_sub(REMEMBERED));
            let mut note = |name: &str, what: String| {
                let grew = self.counters.growth(Some(ifindex), name, since);
                if grew.is_some_and(|(_, grew)| grew > 0) && fault.counted.insert(what) {
                    touched.push(key.clone());
                }
            };
            if matches!(key.joint, Joint::Veth(_)) {
                let device = fault.pod.as_ref().and_then(|pod| pod.pod_interface.clone()).unwrap_or_default();
                note(&format!("Dev:{device}:tx_dropped"), format!("tx_dropped of the pod's {device}"));
            }
            let mut flows = fault.flows.values();
            let ignores = flows.any(|flow| flow.flow.protocol == Protocol::Tcp && flow.after_told > 0);
            if ignores {
                note(REFUSED, format!("{REFUSED} of the pod"));
            }
            if fault.flows.values().any(|flow| flow.got_through) {
                note(PROBED, format!("{PROBED} of the pod"));
            }
            let tells = matches!(key.joint, Joint::Egress(..) | Joint::Router(..));
            if fault.errors_observable || !tells {
                continue;
            }
            // Past the hook: what the pod took in tells whether the errors arrived.
            let name = match key.family {
                Family::Ipv4 => ERRORS_IN_V4,
                Family::Ipv6 => ERRORS_IN_V6,
            };
            let Some((from, grew)) = self.counters.growth(Some(ifindex), name, since) else { continue };
            fault.counted_within = Some((from, now));
            if grew > 0 {
                fault.counted.insert(format!("{name} of the pod"));
                for flow in fault.flows.values_mut().filter(|flow| flow.drops > 0 && flow.told_at.is_none()) {
                    flow.told_at = Some(now);
                    flow.errors_delivered += grew.min(flow.drops);
                }
            }
            touched.push(key.clone());
        }
        for key in touched {
            self.touch(now, &key);
        }
    }

    /// What the node's own IP counts bears out what packets showed.
    fn count_on_node(&mut self, now: Time) {
        let mut touched: Vec<FaultKey> = Vec::new();
        for (key, fault) in &mut self.faults {
            if fault.closed.is_some() {
                continue;
            }
            let cut = fault.flows.values().any(|flow| flow.fragments_seen);
            let lost = fault.flows.values().any(|flow| flow.drops > 0);
            let names: &[&str] = match (&key.joint, key.family, cut, lost) {
                (Joint::Egress(..) | Joint::Tunnel(_), Family::Ipv4, true, _) => &["IpFragCreates"],
                (Joint::Egress(..) | Joint::Port(_), Family::Ipv4, false, true) => &["IpFragFails"],
                (Joint::Egress(..), Family::Ipv6, _, true) => &["Ip6InTooBigErrors", "Ip6FragFails"],
                (Joint::FragmentFilter(_), Family::Ipv4, _, true) => &["IpReasmFails"],
                (Joint::FragmentFilter(_), Family::Ipv6, _, true) => &["Ip6ReasmFails"],
                (_, _, _, _) => &[],
            };
            let since = fault.first_seen.max(now.saturating_sub(REMEMBERED));
            for name in names {
                let grew = self.counters.growth(None, name, since);
                let witness = || format!("{name} of the node");
                if grew.is_some_and(|(_, grew)| grew > 0) && fault.counted.insert(witness()) {
                    touched.push(key.clone());
                }
            }
        }
        for key in touched {
            self.touch(now, &key);
        }
    }

    /// The devices' own counters bear out what a link swallows, and that a neighbour sends more than the uplink takes.
    pub(super) fn count_at_devices(&mut self, now: Time, before: &Topology) {
        let mut touched = Vec::new();
        for (key, fault) in &mut self.faults {
            if fault.closed.is_some() {
                continue;
            }
            let witness = match key.joint {
                Joint::Veth(ifindex) => veth_witness(before, &self.topology, ifindex, key.direction),
                Joint::SilentPath if matches!(key.direction, Direction::ToPod | Direction::ToHost) => {
                    too_long(before, &self.topology)
                }
                Joint::SilentPath
                | Joint::Port(_)
                | Joint::Egress(..)
                | Joint::Tunnel(_)
                | Joint::PodDevice(..)
                | Joint::Router(..)
                | Joint::FragmentFilter(_)
                | Joint::Reassembly(_)
                | Joint::Announcement(_)
                | Joint::Program(_) => None,
            };
            if let Some(witness) = witness
                && fault.counted.insert(witness)
            {
                fault.seconded |= key.joint == Joint::SilentPath;
                touched.push(key.clone());
            }
        }
        for key in touched {
            self.touch(now, &key);
        }
    }
}

/// The receiving end of a veth counts what it does not take as dropped (`veth_xmit`).
fn veth_witness(before: &Topology, after: &Topology, ifindex: u32, direction: Direction) -> Option<String> {
    let (old, new) = (before.interface(ifindex)?, after.interface(ifindex)?);
    let sent_by_pod = direction == Direction::FromPod;
    let is_ours_to_receive = sent_by_pod == (new.role == Role::Pod);
    let count = |interface: &Interface| {
        if is_ours_to_receive { interface.counters.rx_dropped } else { interface.counters.tx_dropped }
    };
    let name = if is_ours_to_receive { "rx_dropped" } else { "tx_dropped" };
    (count(new) > count(old)).then(|| format!("{name} of {}", new.name))
}

/// Frames longer than an uplink takes came in. `rx_dropped` would grow for many other reasons, so it is not asked.
fn too_long(before: &Topology, after: &Topology) -> Option<String> {
    after.with_role(Role::Uplink).find_map(|new| {
        let old = before.interface(new.ifindex)?;
        let grew = [
            ("rx_length_errors", new.counters.rx_length_errors, old.counters.rx_length_errors),
            ("rx_over_errors", new.counters.rx_over_errors, old.counters.rx_over_errors),
        ];
        let (name, ..) = grew.into_iter().find(|(_, new, old)| new > old)?;
        Some(format!("{name} of {} (a neighbour sends frames longer than it takes)", new.name))
    })
}

impl Fault {
    /// Errors about a flow would have been seen to pass, or were counted by the sender's own namespace: that counter has no
    /// blind spot.
    pub fn are_errors_observed(&self, flow: &FlowEvidence) -> bool {
        let counted = |(from, until): (Time, Time)| {
            let covers = |lost: Time| lost >= from && lost + ERROR_TRAVELS <= until;
            covers(flow.first) || flow.last_drop.is_some_and(covers)
        };
        self.errors_observable || self.counted_within.is_some_and(counted)
    }

    /// The reason rests on the sender's own counters: nothing is known of the hook that errors would pass.
    pub fn rests_on_counters(&self, reason: Reason) -> bool {
        reason == Reason::IcmpLost && !self.errors_observable && self.counted_within.is_some()
    }
}

#[cfg(test)]
#[path = "counters/tests.rs"]
mod tests;
