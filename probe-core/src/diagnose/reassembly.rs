//! Fragments that arrive and are never put together, because others of the same datagram are missing.
//!
//! A lost packet takes a whole datagram with it, so that some datagrams time out says nothing. That next to all of them do
//! is no random loss. What is whole is counted by the namespace that puts it together, and at the hooks before it first
//! fragments are seen; both tell how many there were in all.
use super::drops::name_of;
use super::fault::{FaultKey, Joint};
use super::place::stem;
use super::subject::Subject;
use super::{Diagnoser, subject};
use crate::model::event::FragmentSeen;
use crate::model::finding::{Direction, Limit, LimitAt, LimitHow};
use crate::model::flow::Family;
use crate::model::packet::Packet;
use crate::model::packet_too_big::HookDirection;
use crate::model::size_drop::PacketDropped;
use crate::model::{SECOND, Time};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// Fewer datagrams that time out may be chance.
const ENOUGH: u64 = 5;
/// Evidence is remembered so long: twice as long as IPv6 waits for fragments (`IPV6_FRAG_TIMEOUT`).
const REMEMBERED: Time = 120 * SECOND;
/// How long the kernel waits for fragments where nothing shows it (`IP_FRAG_TIME`).
const USUAL_WAIT: Time = 30 * SECOND;
/// Clocks of two records differ by less.
const SLACK: Time = SECOND / 10;
/// Series of first fragments kept.
const MAX_SERIES: usize = 256;
/// First fragments remembered per series.
const MAX_SEEN: usize = 512;
/// Datagrams that timed out, remembered per fault.
const MAX_EXPIRED: usize = 512;

/// First fragments between two addresses at one hook.
type Hook = (IpAddr, IpAddr, u32, HookDirection);

/// The first fragment of a datagram, at a hook.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    time: Time,
    id: u32,
    packets: u64,
}

/// A datagram that was given up.
#[derive(Clone, Debug)]
struct Expired {
    time: Time,
    /// When its first fragment came.
    arrived: Time,
    packet: Packet,
    packets: u64,
    place: String,
    /// What of it is in the fault already.
    is_told: bool,
}

/// The datagrams that were given up of one pod, direction and family, in one namespace.
#[derive(Debug)]
struct Tally {
    subject: Subject,
    expired: VecDeque<Expired>,
    /// How long the kernel waited for fragments, where that was seen.
    wait: Option<Time>,
    /// A place that does not count what it puts together (`nf_ct_frag6_gather`).
    uncounted: bool,
}

/// What is known of fragments on their way to where they are put together.
#[derive(Debug, Default)]
pub(super) struct Reassemblies {
    arrivals: BTreeMap<Hook, VecDeque<Arrival>>,
    tallies: BTreeMap<FaultKey, Tally>,
}

/// Whether all datagrams are lost, or a few by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    Unknown,
    Some,
    NextToAll,
}

impl Share {
    fn of(lost: u64, all: u64) -> Self {
        if lost < ENOUGH {
            Self::Unknown
        } else if lost * 20 >= all * 19 {
            Self::NextToAll
        } else if lost * 2 < all {
            Self::Some
        } else {
            Self::Unknown
        }
    }
}

impl Reassemblies {
    /// A first fragment passed a hook.
    pub fn note(&mut self, seen: &FragmentSeen) {
        let flow = &seen.packet.flow;
        let hook = (flow.src, flow.dst, seen.ifindex, seen.direction);
        if self.arrivals.len() >= MAX_SERIES && !self.arrivals.contains_key(&hook) {
            self.arrivals.retain(|_, series| {
                series.back().is_some_and(|last| last.time + REMEMBERED / 2 >= seen.time)
            });
            if self.arrivals.len() >= MAX_SERIES {
                return;
            }
        }
        let series = self.arrivals.entry(hook).or_default();
        while series.len() >= MAX_SEEN
            || series.front().is_some_and(|first| first.time + REMEMBERED < seen.time)
        {
            series.pop_front();
        }
        let (id, packets) = (seen.packet.id, u64::from(seen.packets.max(1)));
        series.push_back(Arrival { time: seen.time, id, packets });
    }

    /// The series that have the first fragment of a datagram that was given up, and when it came. NAT may have changed the
    /// destination since.
    fn arrivals_of(&self, expired: &Expired) -> impl Iterator<Item = (&VecDeque<Arrival>, Time)> {
        let (src, id, until) = (expired.packet.flow.src, expired.packet.id, expired.time);
        self.arrivals.iter().filter(move |((from, ..), _)| *from == src).filter_map(move |(_, series)| {
            let is_it = |arrival: &&Arrival| arrival.id == id && arrival.time <= until;
            Some((series, series.iter().rev().find(is_it)?.time))
        })
    }

    /// How many datagrams passed the hooks in the time in which those of a tally came.
    fn passed(&self, tally: &Tally) -> Option<u64> {
        let (first, last) = (tally.expired.front()?, tally.expired.back()?);
        let passed = self.arrivals_of(last).map(|(series, arrived)| {
            let within =
                |arrival: &&Arrival| arrival.time + SLACK >= first.arrived && arrival.time <= arrived + SLACK;
            series.iter().filter(within).map(|arrival| arrival.packets).sum::<u64>()
        });
        passed.max()
    }
}

impl Diagnoser {
    /// The kernel gives up on a datagram whose first fragment came. It frees the others as well: each datagram counts once.
    pub(super) fn handle_reassembly_expired(&mut self, now: Time, drop: &PacketDropped, packet: &Packet) {
        if packet.fragment.is_none_or(|fragment| fragment.offset != 0) {
            return;
        }
        let subject = self.subject_of_fragment(drop, packet);
        let key = FaultKey {
            pod: subject.key(),
            direction: subject.direction,
            family: packet.family(),
            joint: Joint::Reassembly(drop.netns),
        };
        if self.is_fragment_explained(&key, packet) {
            return;
        }
        let mut expired = Expired {
            time: drop.time,
            arrived: drop.time,
            packet: packet.clone(),
            packets: u64::from(drop.packets.max(1)),
            place: format!("{} in {}", drop.reason, name_of(&drop.location)),
            is_told: false,
        };
        let arrived = self.reassemblies.arrivals_of(&expired).map(|(_, arrived)| arrived).min();
        let new = || Tally { subject, expired: VecDeque::new(), wait: None, uncounted: false };
        let tally = self.reassemblies.tallies.entry(key.clone()).or_insert_with(new);
        tally.wait = arrived.map(|arrived| drop.time.saturating_sub(arrived)).or(tally.wait);
        expired.arrived = drop.time.saturating_sub(tally.wait.unwrap_or(USUAL_WAIT));
        while tally.expired.len() >= MAX_EXPIRED
            || tally.expired.front().is_some_and(|first| first.time + REMEMBERED < drop.time)
        {
            tally.expired.pop_front();
        }
        tally.uncounted |= stem(&drop.location) == "nf_ct_frag6_expire";
        tally.expired.push_back(expired);
        self.judge_reassembly(now, &key);
    }

    /// Other packets between the same two addresses were seen to be lost: that is why fragments are missing.
    fn is_fragment_explained(&self, key: &FaultKey, packet: &Packet) -> bool {
        let (src, dst) = (packet.flow.src, packet.flow.dst);
        self.faults.iter().any(|(other, fault)| {
            (&other.pod, other.direction, other.family) == (&key.pod, key.direction, key.family)
                && !matches!(other.joint, Joint::Reassembly(_))
                && fault.closed.is_none()
                && fault
                    .flows
                    .values()
                    .any(|flow| flow.drops > 0 && flow.flow.src == src && flow.flow.dst == dst)
        })
    }

    /// Judges what was given up in a namespace anew: its counters were read.
    pub(super) fn judge_reassemblies(&mut self, now: Time, namespace: Option<u32>) {
        self.reassemblies
            .tallies
            .retain(|_, tally| tally.expired.back().is_some_and(|last| last.time + REMEMBERED >= now));
        let netns = match namespace {
            None => Some(self.topology.netns_inode),
            Some(ifindex) => self.topology.pod_behind(ifindex).and_then(|pod| pod.netns_inode),
        };
        let Some(netns) = netns else { return };
        let keys: Vec<FaultKey> = self.reassemblies.tallies.keys().cloned().collect();
        for key in keys.iter().filter(|key| key.joint == Joint::Reassembly(netns)) {
            self.judge_reassembly(now, key);
        }
        if let Some(ifindex) = namespace {
            self.count_given_up(now, ifindex, netns);
        }
    }

    fn judge_reassembly(&mut self, now: Time, key: &FaultKey) {
        match self.share_of_given_up(key) {
            Share::NextToAll => {}
            Share::Some => return self.retract(now, key),
            Share::Unknown if self.faults.contains_key(key) => {}
            Share::Unknown => return,
        }
        let Some(tally) = self.reassemblies.tallies.get_mut(key) else { return };
        let mut news = Vec::new();
        for one in tally.expired.iter_mut().filter(|one| !one.is_told) {
            one.is_told = true;
            news.push(one.clone());
        }
        let Some(first) = news.first() else { return };
        let (pod, began) = (tally.subject.pod.clone(), first.arrived);
        let src = first.packet.flow.src;
        let is_local = self.topology.is_own_address(src) || self.topology.pod_with_address(src).is_some();
        let at = if is_local || !self.senses.kfree_skb { LimitAt::Unknown } else { LimitAt::Path };
        let fault = self.fault(key.clone(), pod, unknown_limit(at), began);
        fault.seconded = true;
        for one in news {
            fault.witnesses.insert(one.place);
            if let Some(flow) = fault.flow(one.packet.flow, one.time, one.packets) {
                flow.add_drops(one.time, &one.packet, one.packet.length, one.packets);
            }
        }
        self.touch(now, key);
    }

    /// How many of all datagrams were given up: by what the namespace put together, else by what passed the hooks.
    fn share_of_given_up(&self, key: &FaultKey) -> Share {
        let Some(tally) = self.reassemblies.tallies.get(key) else { return Share::Unknown };
        let (Some(first), Joint::Reassembly(netns)) = (tally.expired.front(), &key.joint) else {
            return Share::Unknown;
        };
        let lost: u64 = tally.expired.iter().map(|expired| expired.packets).sum();
        let namespace = if *netns == self.topology.netns_inode {
            Some(None)
        } else {
            self.topology.pod_in_netns(*netns).map(|pod| pod.host_ifindex)
        };
        let grew = |name: &str| {
            let namespace = namespace.filter(|_| !tally.uncounted)?;
            self.counters.growth_within(namespace, &counter(key.family, name), first.arrived, first.time)
        };
        let whole = grew("ReasmOKs");
        // Bursts leave fewer records than datagrams.
        let given_up = grew("ReasmTimeout").unwrap_or(0).max(lost);
        if let Some(whole) = whole
            && Share::of(given_up, given_up + whole) == Share::NextToAll
        {
            return Share::NextToAll;
        }
        // Others may send datagrams that arrive. What passed the hooks is known only if no record of it was lost.
        match self.reassemblies.passed(tally) {
            Some(passed) if !self.losses.since(first.arrived) => Share::of(lost, passed),
            Some(_) | None => whole.map_or(Share::Unknown, |whole| Share::of(given_up, given_up + whole)),
        }
    }

    /// A pod gave datagrams up of which not even the first fragment came: nothing is known of them but their number.
    fn count_given_up(&mut self, now: Time, ifindex: u32, netns: u32) {
        let Some(pod) = self.topology.pod_behind(ifindex).cloned() else { return };
        let since = now.saturating_sub(REMEMBERED / 2);
        for family in [Family::Ipv4, Family::Ipv6] {
            let grew = |name: &str| self.counters.growth(Some(ifindex), &counter(family, name), since);
            let (Some((began, given_up)), Some((_, whole))) = (grew("ReasmTimeout"), grew("ReasmOKs")) else {
                continue;
            };
            // Connection tracking puts IPv6 together before the counting.
            let is_counted = grew("ReasmReqds").is_some_and(|(_, arrived)| arrived > 0);
            let subject = subject::of_pod(Some(&pod), Direction::ToPod);
            let key = FaultKey {
                pod: subject.key(),
                direction: subject.direction,
                family,
                joint: Joint::Reassembly(netns),
            };
            let is_told = |(other, fault): (&FaultKey, &super::fault::Fault)| {
                (&other.pod, other.direction, other.family) == (&key.pod, key.direction, key.family)
                    && fault.closed.is_none()
                    && (*other != key || !fault.flows.is_empty())
            };
            let is_known = self.reassemblies.tallies.contains_key(&key) || self.faults.iter().any(is_told);
            let before = self.faults.get(&key).map_or(0, |fault| fault.packets_beyond);
            if whole > 0 || given_up < ENOUGH || given_up <= before || is_known || !is_counted {
                continue;
            }
            let fault = self.fault(key.clone(), subject.pod, unknown_limit(LimitAt::Unknown), began);
            fault.packets_beyond = given_up;
            fault.last_seen = now;
            fault.counted.insert(format!("{} of the pod", counter(family, "ReasmTimeout")));
            self.touch(now, &key);
        }
    }

    /// Whose fragment the kernel freed: the namespace tells it, else its addresses.
    pub(super) fn subject_of_fragment(&self, drop: &PacketDropped, packet: &Packet) -> Subject {
        let came_by = (drop.netns == self.topology.netns_inode).then_some(drop.ifindex);
        match self.pod_of_drop(drop) {
            Some(pod) => {
                let from = pod.addresses.contains(&packet.flow.src);
                subject::of_pod(Some(&pod), if from { Direction::FromPod } else { Direction::ToPod })
            }
            None => subject::of_packet(&self.topology, &packet.flow, came_by, drop.egress_ifindex),
        }
    }
}

/// The name of a counter of IP.
fn counter(family: Family, name: &str) -> String {
    match family {
        Family::Ipv4 => format!("Ip{name}"),
        Family::Ipv6 => format!("Ip6{name}"),
    }
}

fn unknown_limit(at: LimitAt) -> Limit {
    Limit { mtu: None, between: None, at, interface: None, router: None, how: LimitHow::Bounds }
}

#[cfg(test)]
#[path = "reassembly/tests.rs"]
mod tests;
