//! TCP connections that stand still: large segments vanish beyond this node without a word.
//!
//! Retransmissions alone prove nothing. Three of one segment, while smaller segments to the same address are
//! acknowledged after the connection began to stand still, do (contract: `path_silent`).
mod contradiction;
mod healing;
mod paths;

use super::Diagnoser;
use super::acknowledged::{Acknowledged, Sizes};
use super::drops::name_of;
use super::fault::{FaultKey, Joint};
use super::filtered::Filter;
use super::subject::Subject;
use crate::model::finding::{Direction, Limit, LimitAt, LimitHow};
use crate::model::flow::{Flow, Protocol};
use crate::model::pod::Pod;
use crate::model::tcp::{TcpRetransmit, TcpStateChange};
use crate::model::{SECOND, Time};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Retransmissions of one segment that make a stall.
const RETRANSMISSIONS: u64 = 3;
/// A connection stands still only after so long: a few quick repetitions happen on a busy machine.
pub(super) const STANDS_STILL: Time = SECOND;
/// Stalls and acknowledgements are remembered so long.
const REMEMBERED: Time = 60 * SECOND;
/// A connection that repeated something so recently is looked at by other senses.
const LOOKED_AT: Time = 10 * SECOND;
/// At most so many of each.
const MAX_REMEMBERED: usize = 4096;
/// A segment that is not acknowledged is first repeated after this time or more (`TCP_RTO_MIN`; a tail loss probe of a
/// lone segment waits as long): where the timeout is not known, the stall began before that by at least this much.
const RTO_MIN: Time = SECOND / 5;
/// A timer fires up to an eighth of its time later (the granularity of the kernel's timer wheel) and this.
const TIMER_SLACK: Time = SECOND / 125;
/// Acknowledgements remembered per address.
const MAX_PER_ADDRESS: usize = 64;
/// Bytes of the packets of a handshake: they pass wherever a connection is established.
pub(super) const HANDSHAKE: u32 = 60;

/// Every path carries packets of this size in bytes (RFC 8200 section 5): none of them is what a path of more takes.
const SMALL: u32 = 1280;

/// A connection whose oldest segment is not acknowledged.
#[derive(Clone, Debug)]
struct Stall {
    netns: u32,
    /// The segment was sent between these two times: a timer fires late rather than early.
    unsent: Time,
    began: Time,
    last: Time,
    /// When the oldest segment was sent last.
    repeated_at: Time,
    /// When the last of its repetitions that are known to be lost was sent: it was repeated again.
    known_lost: Time,
    una: u32,
    /// Bytes that were acknowledged before.
    acked: u64,
    retransmissions: u64,
    /// Smallest size that is known to be lost.
    segment: u32,
    /// Size of the last repetition, which may get through yet.
    repeated: u32,
    /// The connection ended with everything acknowledged.
    got_through: bool,
}

impl Stall {
    /// What was acknowledged after this time proves something. A handshake must be later beyond doubt: the connection's
    /// own is followed by its first segment at once. So must what is not known to the moment.
    fn earliest_proof(&self, entry: &Acknowledged) -> Time {
        if entry.size > HANDSHAKE && entry.is_exact { self.unsent } else { self.began }
    }

    /// It was acknowledged before a segment went that is known to be lost: what passes only after the last of those may
    /// tell of the end of an outage.
    fn is_followed_by_loss(&self, entry: &Acknowledged) -> bool {
        entry.from <= self.known_lost
    }

    fn is_proved(&self) -> bool {
        self.retransmissions >= RETRANSMISSIONS && self.last >= self.began + STANDS_STILL
    }
}

/// What shows that the size is why a connection stands still.
struct Proof {
    /// The largest size below the stalled segment that was acknowledged while it stood still.
    passed: u32,
    /// As large ones arrive by another path.
    is_apart: bool,
}

impl Acknowledged {
    /// Whether it shows that the size is not why a connection between the same two hosts stands still: one that sends
    /// segments as large went on long after, and lost nothing.
    fn refutes(&self, flow: &Flow, stall: &Stall) -> bool {
        let is_whole = self.whole >= stall.segment && self.until > stall.began + STANDS_STILL;
        self.flow.src == flow.src && self.from <= stall.last && (is_whole || self.contradicts(stall))
    }
}

/// What is known of connections that stand still, and of those to the same addresses that do not.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    stalls: BTreeMap<(u32, Flow), Stall>,
    acknowledged: BTreeMap<IpAddr, Vec<Acknowledged>>,
    /// When connections were established.
    established: BTreeMap<(u32, Flow), Time>,
}

impl Stalls {
    fn add_retransmit(&mut self, event: &TcpRetransmit) {
        if self.stalls.len() >= MAX_REMEMBERED {
            self.forget(event.time);
        }
        let packets = u64::from(event.packets.max(1));
        let timeout = event.timeout.unwrap_or(RTO_MIN);
        let unsent = event.time.saturating_sub(timeout + timeout / 8 + TIMER_SLACK);
        // Only the oldest segment tells of a stall; a tail loss probe may repeat the last one, which may be smaller.
        let is_oldest = event.seq == event.snd_una;
        let segment = if is_oldest { event.segment } else { u32::MAX };
        let stall = self.stalls.entry((event.netns, event.flow)).or_insert(Stall {
            netns: event.netns,
            unsent,
            began: event.time.saturating_sub(timeout),
            last: event.time,
            repeated_at: unsent,
            known_lost: unsent,
            una: event.snd_una,
            acked: event.bytes_acked,
            retransmissions: 0,
            segment,
            repeated: segment,
            got_through: false,
        });
        if stall.una != event.snd_una {
            *stall = Stall {
                unsent,
                began: event.time.saturating_sub(timeout),
                repeated_at: unsent,
                known_lost: unsent,
                una: event.snd_una,
                acked: event.bytes_acked,
                retransmissions: 0,
                segment,
                repeated: segment,
                got_through: false,
                ..stall.clone()
            };
        }
        if is_oldest {
            stall.retransmissions += stall.repetitions(packets, event.time);
            stall.known_lost = stall.known_lost.max(stall.repeated_at);
            stall.repeated_at = event.time;
            // What is repeated once more did not arrive. TCP that probes (RFC 4821) makes its segments smaller meanwhile.
            stall.segment = stall.segment.min(stall.repeated);
            stall.repeated = event.segment;
        }
        stall.last = event.time;
    }

    fn add_established(&mut self, event: &TcpStateChange) {
        if self.established.len() >= MAX_REMEMBERED {
            self.forget(event.time);
        }
        self.established.insert((event.netns, event.flow), event.time);
        let flow = event.flow;
        self.add_acknowledged(Acknowledged {
            flow,
            from: event.time,
            until: event.time,
            is_exact: true,
            size: HANDSHAKE,
            whole: 0,
            stood_still: false,
        });
    }

    fn add_closed(&mut self, event: &TcpStateChange) {
        let established = self.established.remove(&(event.netns, event.flow));
        let Some(until) = event.last_ack else { return };
        // With data in flight its last acknowledgement may be an old one, repeated on what the other side sends.
        if event.bytes_acked <= 1 || event.data_segments_out == 0 || event.unacked > 0 {
            return;
        }
        let segments = u64::from(event.data_segments_out);
        let sizes = Sizes::of(event.bytes_acked, segments, event.mss, event.header_len);
        let from = established.unwrap_or(until);
        self.add_acknowledged(Acknowledged {
            flow: event.flow,
            from,
            until,
            is_exact: true,
            size: sizes.surely,
            whole: if event.total_retrans == 0 { sizes.likely } else { 0 },
            stood_still: false,
        });
    }

    pub(super) fn add_acknowledged(&mut self, mut acknowledged: Acknowledged) {
        let now = acknowledged.until;
        acknowledged.stood_still = self.stands_still(&acknowledged.flow);
        let entries = self.acknowledged.entry(acknowledged.flow.dst).or_default();
        entries.retain(|entry| entry.until + REMEMBERED >= now);
        if entries.len() < MAX_PER_ADDRESS {
            entries.push(acknowledged);
        }
        if self.acknowledged.len() > MAX_REMEMBERED {
            self.forget(now);
        }
    }

    /// The network namespaces of connections that stand still.
    pub fn namespaces(&self, now: Time) -> impl Iterator<Item = u32> + '_ {
        let recent = self.stalls.values().filter(move |stall| stall.last + LOOKED_AT > now);
        recent.map(|stall| stall.netns)
    }

    /// The same with the addresses of their other ends.
    pub fn remotes(&self, now: Time) -> impl Iterator<Item = (u32, IpAddr)> + '_ {
        let recent = self.stalls.iter().filter(move |(_, stall)| stall.last + LOOKED_AT > now);
        recent.map(|((netns, flow), _)| (*netns, flow.dst))
    }

    /// The size of the segment at which a connection stands still, and the bytes that were acknowledged before.
    pub fn stalled_at(&self, netns: u32, flow: &Flow) -> Option<(u32, u64)> {
        let stall = self.stalls.get(&(netns, *flow)).filter(|stall| stall.segment != u32::MAX)?;
        Some((stall.segment, stall.acked))
    }

    /// A connection went on.
    pub fn forget_stall(&mut self, netns: u32, flow: &Flow) {
        self.stalls.remove(&(netns, *flow));
    }

    fn forget(&mut self, now: Time) {
        self.stalls.retain(|_, stall| stall.last + REMEMBERED >= now);
        self.acknowledged.retain(|_, entries| entries.iter().any(|entry| entry.until + REMEMBERED >= now));
        // Long connections are forgotten first: they lose the beginning of their interval only.
        self.established.retain(|_, time| *time + REMEMBERED >= now);
    }

    /// What shows that the size is why a connection stands still; `None` if nothing smaller was acknowledged meanwhile, or
    /// if segments of that size stand still as well. What is acknowledged later proves nothing: the path may have been
    /// repaired.
    fn proof(&self, flow: &Flow, stall: &Stall) -> Option<Proof> {
        let remote = flow.dst;
        if stall.segment <= contradiction::every_path_carries(flow.family()) {
            return None;
        }
        let acknowledged = self.acknowledged.get(&remote)?;
        // What passes by another path tells nothing of this one.
        let is_refuted = acknowledged.iter().any(|entry| entry.refutes(flow, stall));
        let is_apart = is_refuted && self.takes_another_path(flow, stall);
        if is_refuted && !is_apart {
            return None;
        }
        let small = if is_apart { SMALL } else { HANDSHAKE };
        let passed = acknowledged
            .iter()
            .filter(|entry| {
                entry.until > stall.earliest_proof(entry)
                    && stall.is_followed_by_loss(entry)
                    && entry.size < stall.segment
                    && (!is_apart || entry.size <= SMALL)
            })
            .map(|entry| entry.size)
            .max();
        // Connections are made by that path, too: they stand still only then.
        let passed = passed.or(is_apart.then_some(HANDSHAKE))?;
        let small_ones_stall_too = self.stalls.iter().any(|((_, flow), other)| {
            flow.dst == remote && other.retransmissions >= 2 && other.segment <= passed.max(small)
        });
        (!small_ones_stall_too).then_some(Proof { passed, is_apart })
    }
}

impl Stalls {
    /// The stalled connections to an address whose size is not the reason.
    pub(super) fn refuted(&self, remote: IpAddr) -> Vec<Flow> {
        let entries = self.acknowledged.get(&remote);
        let is_refuted = |flow: &Flow, stall: &Stall| {
            entries.is_some_and(|entries| entries.iter().any(|entry| entry.refutes(flow, stall)))
        };
        let stalls = self.stalls.iter().filter(|((_, flow), _)| flow.dst == remote);
        let refuted = stalls.filter(|((_, flow), stall)| is_refuted(flow, stall));
        let alike = refuted.filter(|((_, flow), stall)| !self.takes_another_path(flow, stall));
        alike.map(|((_, flow), _)| *flow).collect()
    }

    /// The largest size below `lost` that the sender of a flow got through to its other end for the same service, after
    /// a time; `None` if nothing got through, or if `lost` itself did.
    ///
    /// What filters on this node drop is compared with this: policies go by addresses and ports.
    pub(super) fn passed_for_service(&self, flow: &Flow, lost: u32, since: Time) -> Option<u32> {
        let largest = self.for_service(flow, since).map(|entry| entry.size).max()?;
        (largest < lost).then_some(largest)
    }

    /// Whether a connection for the same service was made or used after a time, by the receiver of a flow.
    pub(super) fn is_served_since(&self, flow: &Flow, since: Time) -> bool {
        self.for_service(&flow.reversed(), since).next().is_some()
    }

    fn for_service<'a>(&'a self, flow: &'a Flow, since: Time) -> impl Iterator<Item = &'a Acknowledged> {
        self.acknowledged.get(&flow.dst).into_iter().flatten().filter(move |entry| {
            let other = &entry.flow;
            entry.until > since
                && other.src == flow.src
                && (other.src_port == flow.src_port || other.dst_port == flow.dst_port)
        })
    }
}

impl Diagnoser {
    pub(super) fn handle_tcp_retransmit(&mut self, now: Time, event: &TcpRetransmit) {
        if !event.established {
            return;
        }
        if self.explain_retransmit(event) {
            return;
        }
        // Its oldest segment went through after all, as large as it was: the size was not the reason.
        let stall = self.stalls.stalls.get(&(event.netns, event.flow));
        let claimed = self.claimed_lost(&event.flow);
        if stall
            .is_some_and(|stall| stall.una != event.snd_una && event.segment >= stall.segment.max(claimed))
        {
            self.note_arrival(now, &event.flow);
        }
        self.stalls.add_retransmit(event);
        self.judge_stalls(now, event.flow.dst);
    }

    /// The smallest size that a finding says was lost of a flow on a silent path; 0 if none does. What arrives is no
    /// refutation if it is smaller: TCP that probes comes down to what passes.
    pub(super) fn claimed_lost(&self, flow: &Flow) -> u32 {
        let silent = self.faults.iter().filter(|(key, _)| key.joint == Joint::SilentPath);
        silent.filter_map(|(_, fault)| fault.flows.get(flow)).map(|flow| flow.smallest).max().unwrap_or(0)
    }

    /// A retransmission of a flow whose packets are known to be lost belongs to that fault; one between the same two
    /// addresses meets the same limit.
    fn explain_retransmit(&mut self, event: &TcpRetransmit) -> bool {
        let mut explained = false;
        // What is nested in a pod has other addresses behind the pod's own NAT.
        let nested_in = self
            .topology
            .pod_in_netns(event.netns)
            .filter(|pod| !pod.addresses.is_empty() && !pod.addresses.contains(&event.flow.src));
        let nested_in = nested_in.map(Pod::key);
        for (key, fault) in &mut self.faults {
            if matches!(
                key.joint,
                Joint::SilentPath | Joint::Program(_) | Joint::Announcement(_) | Joint::FragmentFilter(_)
            ) {
                continue;
            }
            explained |= fault.limit.mtu.is_some_and(|mtu| mtu < event.segment)
                && fault.flows.values().any(|flow| {
                    let same_sender = flow.flow.src == event.flow.src
                        || nested_in.as_ref().is_some_and(|pod| *pod == key.pod);
                    flow.drops > 0 && same_sender && flow.flow.dst == event.flow.dst
                });
            let sender = |flow: &Flow| {
                flow.protocol == Protocol::Tcp
                    && flow.src == event.flow.src
                    && flow.src_port == event.flow.src_port
            };
            for flow in fault.flows.values_mut().filter(|flow| sender(&flow.flow) && flow.drops > 0) {
                flow.retransmits += u64::from(event.packets.max(1));
                explained = true;
            }
        }
        if explained {
            self.stalls.stalls.remove(&(event.netns, event.flow));
        }
        explained
    }

    pub(super) fn handle_tcp_state_change(&mut self, now: Time, event: &TcpStateChange) {
        for fault in self.faults.values_mut() {
            if let Some(flow) = fault.flows.get_mut(&event.flow) {
                let after = event.last_ack.zip(flow.last_drop).is_some_and(|(ack, drop)| ack > drop);
                let is_acknowledged = event.unacked == 0 && (after || fault.key.counts_as_sent());
                flow.got_through |= !event.established && is_acknowledged;
            }
        }
        if event.established {
            self.stalls.add_established(event);
        } else {
            let stall = self.stalls.stalls.get(&(event.netns, event.flow));
            let all_arrived = event.unacked == 0
                && event.last_ack.is_some_and(|ack| {
                    stall.is_some_and(|stall| {
                        let lost = stall.segment.max(self.claimed_lost(&event.flow));
                        ack > stall.last && event.mss + event.header_len >= lost
                    })
                });
            if all_arrived {
                self.note_arrival(now, &event.flow);
                self.stalls.stalls.remove(&(event.netns, event.flow));
            }
            // What proves the silent path may be this very end of the connection.
            if let Some(stall) = self.stalls.stalls.get_mut(&(event.netns, event.flow)) {
                stall.got_through = event.unacked == 0;
            }
            self.stalls.add_closed(event);
            let refuted = self.stalls.refuted(event.flow.dst);
            self.exonerate(now, |flow| refuted.contains(flow));
        }
        self.judge_stalls(now, event.flow.dst);
    }

    /// A path was taken for silent before its word was seen: the limit between these two addresses is known now.
    pub(super) fn retract_silent_path(&mut self, now: Time, known: Flow) {
        let between = |flow: &Flow| flow.src == known.src && flow.dst == known.dst;
        self.stalls.stalls.retain(|(_, flow), _| !between(flow));
        self.exonerate(now, between);
    }

    /// Takes flows out of what is said of silent paths; a finding that rested on them alone is retracted.
    pub(super) fn exonerate(&mut self, now: Time, is_innocent: impl Fn(&Flow) -> bool) {
        self.exonerate_at(now, |joint| matches!(joint, Joint::SilentPath | Joint::Program(_)), is_innocent);
    }

    /// The same for the faults of some joints.
    pub(super) fn exonerate_at(
        &mut self,
        now: Time,
        concerns: impl Fn(&Joint) -> bool,
        is_innocent: impl Fn(&Flow) -> bool,
    ) {
        let mut refuted = Vec::new();
        for (key, fault) in &mut self.faults {
            if !concerns(&key.joint) || !fault.flows.keys().any(&is_innocent) {
                continue;
            }
            if fault.flows.keys().all(&is_innocent) {
                refuted.push(key.clone());
            } else {
                fault.flows.retain(|flow, _| !is_innocent(flow));
            }
        }
        for key in refuted {
            self.retract(now, &key);
        }
    }

    pub(super) fn judge_stalls(&mut self, now: Time, remote: IpAddr) {
        self.retract_contradicted(now, remote);
        let proved: Vec<(Flow, Stall, Proof)> = self
            .stalls
            .stalls
            .iter()
            .filter(|((_, flow), stall)| flow.dst == remote && stall.is_proved())
            .filter_map(|((_, flow), stall)| Some((*flow, stall.clone(), self.stalls.proof(flow, stall)?)))
            .collect();
        for (flow, stall, proof) in proved {
            self.learn_of_silent_path(now, flow, &stall, &proof);
        }
    }

    fn learn_of_silent_path(&mut self, now: Time, flow: Flow, stall: &Stall, proof: &Proof) {
        let passed = proof.passed;
        let pod = if stall.netns == self.topology.netns_inode {
            None
        } else {
            let pod =
                self.topology.pod_in_netns(stall.netns).or_else(|| self.topology.pod_with_address(flow.src));
            let Some(pod) = pod else { return };
            Some(pod.clone())
        };
        let direction = if pod.is_some() { Direction::FromPod } else { Direction::FromHost };
        let subject = Subject { pod, direction };
        let (joint, at, interface, witness, passed) = match self.filtered.of_segment(&flow, stall.una) {
            Filter::NotSeen if !self.senses.kfree_skb => {
                (Joint::SilentPath, LimitAt::Unknown, None, None, passed)
            }
            Filter::NotSeen => (Joint::SilentPath, LimitAt::Path, None, None, passed),
            Filter::Policy => return,
            Filter::BySize(drop) => {
                // The timer may have begun with the last acknowledgement, which proves nothing.
                let since = stall.began + RTO_MIN;
                let passed = self.stalls.passed_for_service(&flow, stall.segment, since);
                let Some(passed) = passed else { return };
                let place = format!("{} in {}", drop.reason, name_of(&drop.location));
                let device = (!drop.device.is_empty()).then(|| drop.device.clone());
                (Joint::Program(drop.ifindex), LimitAt::Node, device, Some(place), passed)
            }
        };
        if joint != Joint::SilentPath {
            self.exonerate_at(now, |joint| *joint == Joint::SilentPath, |other| *other == flow);
        }
        let key = FaultKey { pod: subject.key(), direction, family: flow.family(), joint };
        let between = Some((passed, stall.segment));
        let limit = Limit { mtu: None, between, at, interface, router: None, how: LimitHow::Bounds };
        let fault = self.fault(key.clone(), subject.pod, limit, stall.began);
        fault.witnesses.extend(witness);
        fault.proved.get_or_insert(now);
        let is_apart_now = proof.is_apart && !std::mem::replace(&mut fault.one_of_several, proof.is_apart);
        let passed = if fault.one_of_several { passed.min(SMALL) } else { passed };
        if let Some((low, high)) = &mut fault.limit.between {
            *high = (*high).min(stall.segment);
            if is_apart_now {
                // What was said before may have passed by another path.
                *low = passed;
            }
            if passed < *high {
                // Another address may be reached by a wider path.
                *low = if *low < *high { (*low).max(passed) } else { passed };
            }
        }
        if let Some(evidence) = fault.flow(flow, stall.last, 0) {
            evidence.first = evidence.first.min(stall.began);
            evidence.last = evidence.last.max(stall.last);
            evidence.last_drop = Some(stall.last);
            evidence.got_through |= stall.got_through;
            evidence.drops = evidence.drops.max(stall.retransmissions);
            evidence.packets = evidence.drops;
            evidence.retransmits = evidence.drops;
            evidence.largest = evidence.largest.max(stall.segment);
            evidence.smallest = evidence.smallest.min(stall.segment);
            evidence.df = true;
            evidence.sizes.insert(stall.segment, stall.retransmissions);
        }
        self.touch(now, &key);
    }
}
