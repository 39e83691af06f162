//! Flows on the other side of NAT.
//!
//! At the uplink a masqueraded pod's packets carry the node's address. Whose they are only connection tracking knows:
//! what cannot be told without it waits until the table was read, then is taken in as the pod has it.
use super::Diagnoser;
use super::filtered::LARGEST_HEADERS;
use super::place::{self, Place};
use crate::model::event::Event;
use crate::model::flow::Flow;
use crate::model::nat::NatEntry;
use crate::model::packet::{Packet, Transport};
use crate::model::packet_too_big::HookDirection;
use crate::model::{SECOND, Time};
use std::collections::{BTreeMap, VecDeque};

/// An event waits at most so long for the table.
const PATIENCE: Time = SECOND;
/// At most so many wait; more are taken in as they are.
const MAX_WAITING: usize = 1024;

/// What is known of NAT.
#[derive(Debug, Default)]
pub(super) struct Nat {
    /// A packet's flow behind NAT → the same flow as its sender or receiver here has it.
    table: BTreeMap<Flow, Flow>,
    waiting: VecDeque<(Time, Event)>,
}

impl Diagnoser {
    /// Whether connection tracking should be read now: evidence waits for [`Self::handle_nat`].
    pub fn wants_nat(&self) -> bool {
        !self.nat.waiting.is_empty()
    }

    /// Takes the translated connections in, and the evidence that waited for them.
    pub fn handle_nat(&mut self, now: Time, entries: &[NatEntry]) {
        self.nat.table.clear();
        for entry in entries {
            let outside = entry.reply.reversed();
            if outside != entry.original {
                self.nat.table.insert(outside, entry.original);
                self.nat.table.insert(entry.reply, entry.original.reversed());
            }
        }
        for (_, event) in std::mem::take(&mut self.nat.waiting) {
            let event = self.translate(event);
            self.take_in(now, event);
        }
    }

    /// Lets an event wait for the table if only that can tell whose it is; gives it back if not.
    pub(super) fn wait_for_nat(&mut self, event: Event) -> Option<Event> {
        let Some((time, flow)) = self.flow_of_unknown_owner(&event) else { return Some(event) };
        if self.nat.table.contains_key(&flow) {
            return Some(self.translate(event));
        }
        if !self.senses.conntrack || self.nat.waiting.len() >= MAX_WAITING {
            return Some(event);
        }
        self.nat.waiting.push_back((time, event));
        None
    }

    /// Evidence that waited in vain is taken in as it is.
    pub(super) fn end_waiting_for_nat(&mut self, now: Time) {
        while self.nat.waiting.front().is_some_and(|(time, _)| time + PATIENCE < now) {
            if let Some((_, event)) = self.nat.waiting.pop_front() {
                self.take_in(now, event);
            }
        }
    }

    /// The flow of an event that carries this node's address where a masqueraded pod's would.
    fn flow_of_unknown_owner(&self, event: &Event) -> Option<(Time, Flow)> {
        let ours =
            |flow: &Flow| self.topology.is_own_address(flow.src) || self.topology.is_own_address(flow.dst);
        let (time, packet) = match event {
            Event::PacketTooBig(seen) if seen.direction == HookDirection::Ingress => {
                (seen.time, &seen.packet)
            }
            Event::Dropped(drop) => {
                let packet = drop.packet.as_ref()?;
                match place::classify(drop) {
                    Place::Veth | Place::Error | Place::Reassembly => (drop.time, packet),
                    // Before the translation of what comes in. Many wait in a storm; they take no other's place.
                    Place::Filtered if self.nat.waiting.len() < MAX_WAITING / 4 && carries_data(packet) => {
                        (drop.time, packet)
                    }
                    Place::Bridge
                    | Place::Forward
                    | Place::Fragmentation
                    | Place::Tunnel
                    | Place::Vswitch
                    | Place::Fragment
                    | Place::Filtered
                    | Place::Unrelated => return None,
                }
            }
            Event::PacketTooBig(_)
            | Event::Oversize(_)
            | Event::Fragment(_)
            | Event::IcmpGenerated(_)
            | Event::TcpRetransmit(_)
            | Event::TcpStateChange(_)
            | Event::TcpMss(_)
            | Event::TcpHole(_)
            | Event::Lost(_) => return None,
        };
        let flow = concerned(packet).flow;
        ours(&flow).then_some((time, flow))
    }

    /// The event as its owner has it.
    fn translate(&self, mut event: Event) -> Event {
        match &mut event {
            Event::PacketTooBig(seen) => self.translate_packet(&mut seen.packet),
            Event::Dropped(drop) => {
                if let Some(packet) = &mut drop.packet {
                    self.translate_packet(packet);
                }
            }
            Event::Oversize(_)
            | Event::Fragment(_)
            | Event::IcmpGenerated(_)
            | Event::TcpRetransmit(_)
            | Event::TcpStateChange(_)
            | Event::TcpMss(_)
            | Event::TcpHole(_)
            | Event::Lost(_) => {}
        }
        event
    }

    fn translate_packet(&self, packet: &mut Packet) {
        let concerned = match &mut packet.transport {
            Transport::PacketTooBig { original: Some(original), .. } => original,
            Transport::PacketTooBig { original: None, .. }
            | Transport::Tcp(_)
            | Transport::Udp
            | Transport::Icmp { .. }
            | Transport::Opaque => packet,
        };
        if let Some(flow) = self.nat.table.get(&concerned.flow) {
            concerned.flow = *flow;
        }
    }
}

/// A TCP segment that is larger than any headers: what filters by size drop.
fn carries_data(packet: &Packet) -> bool {
    matches!(packet.transport, Transport::Tcp(_)) && packet.length > LARGEST_HEADERS
}

/// The packet that it is about: the quoted one of an error.
fn concerned(packet: &Packet) -> &Packet {
    match &packet.transport {
        Transport::PacketTooBig { original: Some(original), .. } => original,
        Transport::PacketTooBig { original: None, .. }
        | Transport::Tcp(_)
        | Transport::Udp
        | Transport::Icmp { .. }
        | Transport::Opaque => packet,
    }
}
