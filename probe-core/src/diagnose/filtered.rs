//! Ordinary packets that filters and other people's programs drop: a sample, to tell what they go by.
//!
//! A policy drops small and large packets alike, and is none of our business. One that drops large segments again and
//! again while small packets between the same two addresses pass is a black hole (contract: `datapath_drop`); one that
//! drops whole packets as well as fragments is no filter of fragments.
use super::drops::name_of;
use super::exceptions::netns_of;
use super::fault::{FaultKey, Joint};
use super::stalls::{HANDSHAKE, STANDS_STILL};
use super::subject;
use super::{Diagnoser, Output};
use crate::model::event::Lost;
use crate::model::finding::{Direction, Limit, LimitAt, LimitHow};
use crate::model::flow::{Flow, Protocol};
use crate::model::packet::{Packet, Transport};
use crate::model::pod::PodKey;
use crate::model::size_drop::PacketDropped;
use crate::model::{SECOND, Time};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// Drops are remembered so long.
const REMEMBERED: Time = 60 * SECOND;
/// At most so many.
const MAX_REMEMBERED: usize = 1024;
/// Name of drops that were forgotten before their time, among what is lost.
pub(super) const FORGOTTEN: &str = "filtered_forgotten";
/// Sockets of receivers are asked for so long after a drop: a sender repeats a segment less and less often.
const ASKED: Time = 10 * SECOND;
/// At most so many receivers are remembered.
const MAX_RECEIVERS: usize = 256;
/// Drops of one segment that make a stall.
const REPETITIONS: usize = 3;
/// No headers of IP and TCP together are longer.
pub(super) const LARGEST_HEADERS: u32 = 120;

/// What filters do to a segment.
#[derive(Clone, Copy, Debug)]
pub(super) enum Filter<'a> {
    /// None was seen to drop it.
    NotSeen,
    /// It is dropped, and so is what is small.
    Policy,
    /// It is dropped, and nothing small was seen to be.
    BySize(&'a PacketDropped),
}

/// A drop and its packet.
type Sampled = (PacketDropped, Packet);

/// The last drops, by whose packets they were: a pod that many are dropped of takes no other's place.
#[derive(Debug, Default)]
pub(super) struct Filtered {
    drops: BTreeMap<PodKey, VecDeque<Sampled>>,
    /// How many are remembered in all.
    held: usize,
    /// How many were forgotten before their time.
    forgotten: u64,
    /// Of them, those that were told of.
    told: u64,
    /// Receivers of segments that are dropped again and again, by network namespace and the sender's address, and when the
    /// last was.
    received: BTreeMap<(u32, IpAddr), Time>,
}

impl Filtered {
    fn add(&mut self, owner: PodKey, drop: &PacketDropped, packet: &Packet) {
        let is_old = |(old, _): &Sampled| old.time + REMEMBERED < drop.time;
        let queue = self.drops.entry(owner).or_default();
        while queue.front().is_some_and(is_old) {
            queue.pop_front();
            self.held -= 1;
        }
        queue.push_back((drop.clone(), packet.clone()));
        self.held += 1;
        while self.held > MAX_REMEMBERED {
            let longest = self.drops.values_mut().max_by_key(|queue| queue.len());
            let Some(forgotten) = longest.and_then(VecDeque::pop_front) else { return };
            self.held -= 1;
            self.forgotten += u64::from(!is_old(&forgotten));
        }
        self.drops.retain(|_, queue| !queue.is_empty());
    }

    fn note_receiver(&mut self, time: Time, netns: Option<u32>, sender: IpAddr) {
        let Some(netns) = netns else { return };
        if self.received.len() >= MAX_RECEIVERS {
            self.received.retain(|_, last| *last + ASKED > time);
        }
        if self.received.len() < MAX_RECEIVERS {
            self.received.insert((netns, sender), time);
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Sampled> {
        self.drops.values().flatten()
    }

    /// What filters do to a segment that is repeated; known by its sequence number behind NAT.
    pub fn of_segment(&self, flow: &Flow, seq: u32) -> Filter<'_> {
        let is_it = |packet: &Packet| {
            let same_seq = matches!(&packet.transport, Transport::Tcp(header) if header.seq == seq);
            packet.flow.protocol == Protocol::Tcp && same_seq && packet.flow.dst_port == flow.dst_port
                || packet.flow == *flow
        };
        let seen = self.iter().filter(|(_, packet)| is_it(packet)).max_by_key(|(drop, _)| drop.time);
        let Some((drop, packet)) = seen else { return Filter::NotSeen };
        if self.drops_small_packets(&packet.flow) { Filter::Policy } else { Filter::BySize(drop) }
    }

    /// Whether packets that carry next to nothing are dropped as well, in either direction.
    fn drops_small_packets(&self, flow: &Flow) -> bool {
        let reversed = flow.reversed();
        self.iter().any(|(_, other)| {
            (other.flow == *flow || other.flow == reversed) && other.length <= LARGEST_HEADERS
        })
    }

    /// The connections that show whether others of the same sender pass.
    pub fn remotes(&self, now: Time) -> impl Iterator<Item = (u32, IpAddr)> + '_ {
        let recent = self.received.iter().filter(move |(_, last)| **last + ASKED > now);
        recent.map(|(remote, _)| *remote)
    }

    /// The last drop of each flow of a sender.
    fn of_sender(&self, sender: IpAddr) -> Vec<Sampled> {
        let mut last: BTreeMap<Flow, &Sampled> = BTreeMap::new();
        for sampled in self.iter().filter(|(_, packet)| packet.flow.src == sender) {
            last.insert(sampled.1.flow, sampled);
        }
        last.into_values().cloned().collect()
    }

    /// Whether the same filter dropped whole packets between two addresses lately.
    pub fn drops_whole_packets(&self, flow: &Flow, reason: &str, netns: u32) -> bool {
        self.iter().any(|(drop, packet)| {
            packet.flow.protocol == flow.protocol
                && packet.flow.src == flow.src
                && packet.flow.dst == flow.dst
                && drop.reason == reason
                && drop.netns == netns
        })
    }

    /// The drops of one segment, by the same sequence number; none if small packets of its flow are dropped as well.
    fn repetitions(&self, packet: &Packet) -> Vec<&(PacketDropped, Packet)> {
        if self.drops_small_packets(&packet.flow) {
            return Vec::new();
        }
        let seq = |packet: &Packet| match &packet.transport {
            Transport::Tcp(header) => Some(header.seq),
            Transport::Udp | Transport::PacketTooBig { .. } | Transport::Icmp { .. } | Transport::Opaque => {
                None
            }
        };
        let is_it =
            |other: &Packet| other.flow == packet.flow && seq(other).is_some() && seq(other) == seq(packet);
        self.iter().filter(|(_, other)| is_it(other)).collect()
    }
}

impl Diagnoser {
    /// A filter or a program dropped an ordinary packet.
    pub(super) fn handle_filtered(&mut self, now: Time, drop: &PacketDropped, packet: &Packet) {
        let flow = packet.flow;
        let netns = drop.netns;
        let came_by = self.came_by(drop, &flow);
        let owner = match self.topology.pod_in_netns(netns) {
            Some(pod) => pod.key(),
            None => subject::of_packet(&self.topology, &flow, came_by, drop.egress_ifindex).key(),
        };
        self.filtered.add(owner, drop, packet);
        self.exonerate_at(
            now,
            |joint| *joint == Joint::FragmentFilter(netns),
            |other| other.protocol == flow.protocol && other.src == flow.src && other.dst == flow.dst,
        );
        if flow.protocol != Protocol::Tcp || packet.length <= LARGEST_HEADERS {
            return;
        }
        // It may have been taken for a silent path before this was seen.
        self.judge_stalls(now, flow.dst);
        self.judge_remote_sender(now, drop, packet);
    }

    /// The device of this node that a packet came by; what is dropped on its way out has that of its way out already.
    fn came_by(&self, drop: &PacketDropped, flow: &Flow) -> Option<u32> {
        let leaves_by_it = drop.egress_ifindex == Some(drop.ifindex)
            || self
                .topology
                .pod_behind(drop.ifindex)
                .is_some_and(|pod| pod.addresses.contains(&flow.dst) && !pod.addresses.contains(&flow.src));
        (drop.netns == self.topology.netns_inode && !leaves_by_it).then_some(drop.ifindex)
    }

    /// More is known of what passes from a sender.
    pub(super) fn judge_filtered_sender(&mut self, now: Time, sender: IpAddr) {
        for (drop, packet) in self.filtered.of_sender(sender) {
            if packet.flow.protocol == Protocol::Tcp && packet.length > LARGEST_HEADERS {
                self.judge_remote_sender(now, &drop, &packet);
            }
        }
    }

    /// Says how many drops were forgotten before their time, for there were too many of them.
    pub(super) fn tell_forgotten_drops(&mut self, now: Time) {
        let count = self.filtered.forgotten - self.filtered.told;
        if count == 0 {
            return;
        }
        self.filtered.told = self.filtered.forgotten;
        let why = "more packets were dropped by filters than are remembered; of each pod the last are kept";
        let lost =
            Lost { time: now, what: FORGOTTEN.to_owned(), count, interface: None, why: why.to_owned() };
        self.losses.add(&lost);
        self.output.push_back(Output::Lost(lost));
    }

    /// What this diagnosis itself lost of the evidence that it was given, by name.
    pub fn forgotten(&self) -> Option<(&'static str, u64)> {
        (self.filtered.forgotten > 0).then_some((FORGOTTEN, self.filtered.forgotten))
    }

    /// What somebody beyond this node sends: its retransmissions are seen as drops of the same segment only.
    fn judge_remote_sender(&mut self, now: Time, drop: &PacketDropped, packet: &Packet) {
        let came_by = self.came_by(drop, &packet.flow);
        let subject = subject::of_packet(&self.topology, &packet.flow, came_by, drop.egress_ifindex);
        match subject.direction {
            Direction::ToPod | Direction::ToHost => {}
            Direction::FromPod | Direction::FromHost => return,
        }
        let repetitions = self.filtered.repetitions(packet);
        let Some(first) = repetitions.first().map(|(drop, _)| drop.time) else { return };
        let packets: u64 = repetitions.iter().map(|(drop, _)| u64::from(drop.packets.max(1))).sum();
        let is_stalled = repetitions.len() >= REPETITIONS && drop.time >= first + STANDS_STILL;
        if repetitions.len() > 1 {
            let netns = netns_of(&self.topology, subject.pod.as_ref());
            self.filtered.note_receiver(drop.time, netns, packet.flow.src);
        }
        // The handshake of a connection made since passed the same way, or what one acknowledges.
        if !is_stalled || !self.stalls.is_served_since(&packet.flow, first) {
            return;
        }
        let key = FaultKey {
            pod: subject.key(),
            direction: subject.direction,
            family: packet.family(),
            joint: Joint::Program(drop.ifindex),
        };
        let limit = Limit {
            mtu: None,
            between: Some((HANDSHAKE, packet.length)),
            at: LimitAt::Node,
            interface: (!drop.device.is_empty()).then(|| drop.device.clone()),
            router: None,
            how: LimitHow::Bounds,
        };
        let fault = self.fault(key.clone(), subject.pod, limit, first);
        fault.witnesses.insert(format!("{} in {}", drop.reason, name_of(&drop.location)));
        if let Some((_, high)) = &mut fault.limit.between {
            *high = (*high).min(packet.length);
        }
        if let Some(flow) = fault.flow(packet.flow, first, 0) {
            flow.add_drops(drop.time, packet, packet.length, 1);
            flow.drops = flow.drops.max(packets);
            flow.packets = flow.drops;
        }
        self.touch(now, &key);
    }
}

#[cfg(test)]
#[path = "filtered/tests.rs"]
mod tests;
