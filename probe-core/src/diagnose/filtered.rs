//! Ordinary packets that filters and other people's programs drop: a sample, to tell what they go by.
//!
//! A policy drops small and large packets alike, and is none of our business. One that drops large segments again and
//! again while small packets between the same two addresses pass is a black hole (contract: `datapath_drop`); one that
//! drops whole packets as well as fragments is no filter of fragments.
use super::Diagnoser;
use super::drops::name_of;
use super::fault::{FaultKey, Joint};
use super::stalls::{HANDSHAKE, STANDS_STILL};
use super::subject;
use crate::model::finding::{Direction, Limit, LimitAt, LimitHow};
use crate::model::flow::{Flow, Protocol};
use crate::model::packet::{Packet, Transport};
use crate::model::size_drop::PacketDropped;
use crate::model::{SECOND, Time};
use std::collections::VecDeque;

/// Drops are remembered so long.
const REMEMBERED: Time = 60 * SECOND;
/// At most so many.
const MAX_REMEMBERED: usize = 1024;
/// Drops of one segment that make a stall.
const REPETITIONS: usize = 3;
/// No headers of IP and TCP together are longer.
const LARGEST_HEADERS: u32 = 120;

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

/// The last drops.
#[derive(Debug, Default)]
pub(super) struct Filtered {
    drops: VecDeque<(PacketDropped, Packet)>,
}

impl Filtered {
    fn add(&mut self, drop: &PacketDropped, packet: &Packet) {
        while self.drops.front().is_some_and(|(old, _)| old.time + REMEMBERED < drop.time)
            || self.drops.len() >= MAX_REMEMBERED
        {
            self.drops.pop_front();
        }
        self.drops.push_back((drop.clone(), packet.clone()));
    }

    /// What filters do to a segment that is repeated; known by its sequence number behind NAT.
    pub fn of_segment(&self, flow: &Flow, seq: u32) -> Filter<'_> {
        let is_it = |packet: &Packet| {
            let same_seq = matches!(&packet.transport, Transport::Tcp(header) if header.seq == seq);
            packet.flow.protocol == Protocol::Tcp && same_seq && packet.flow.dst_port == flow.dst_port
                || packet.flow == *flow
        };
        let Some((drop, packet)) = self.drops.iter().rev().find(|(_, packet)| is_it(packet)) else {
            return Filter::NotSeen;
        };
        if self.drops_small_packets(&packet.flow) { Filter::Policy } else { Filter::BySize(drop) }
    }

    /// Whether packets that carry next to nothing are dropped as well, in either direction.
    fn drops_small_packets(&self, flow: &Flow) -> bool {
        let reversed = flow.reversed();
        self.drops.iter().any(|(_, other)| {
            (other.flow == *flow || other.flow == reversed) && other.length <= LARGEST_HEADERS
        })
    }

    /// Whether the same filter dropped whole packets between two addresses lately.
    pub fn drops_whole_packets(&self, flow: &Flow, reason: &str, netns: u32) -> bool {
        self.drops.iter().any(|(drop, packet)| {
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
        self.drops.iter().filter(|(_, other)| is_it(other)).collect()
    }
}

impl Diagnoser {
    /// A filter or a program dropped an ordinary packet.
    pub(super) fn handle_filtered(&mut self, now: Time, drop: &PacketDropped, packet: &Packet) {
        self.filtered.add(drop, packet);
        let flow = packet.flow;
        let netns = drop.netns;
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

    /// What somebody beyond this node sends: its retransmissions are seen as drops of the same segment only.
    fn judge_remote_sender(&mut self, now: Time, drop: &PacketDropped, packet: &Packet) {
        let came_by = (drop.netns == self.topology.netns_inode).then_some(drop.ifindex);
        let subject = subject::of_packet(&self.topology, &packet.flow, came_by, drop.egress_ifindex);
        match subject.direction {
            Direction::ToPod | Direction::ToHost => {}
            Direction::FromPod | Direction::FromHost => return,
        }
        let repetitions = self.filtered.repetitions(packet);
        let Some(first) = repetitions.first().map(|(drop, _)| drop.time) else { return };
        let packets: u64 = repetitions.iter().map(|(drop, _)| u64::from(drop.packets.max(1))).sum();
        let is_stalled = repetitions.len() >= REPETITIONS && drop.time >= first + STANDS_STILL;
        // The handshake of a connection made since passed the same way.
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
