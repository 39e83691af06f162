//! What is known of one flow that met a limit.
use super::discovery;
use crate::model::finding::Reason;
use crate::model::flow::{Flow, Protocol};
use crate::model::packet::{Packet, Transport};
use crate::model::settings::Discovery;
use crate::model::{SECOND, Time};
use std::collections::BTreeMap;

/// An error that is on its way is missing only after this time.
pub const ERROR_TRAVELS: Time = SECOND / 2;

/// TCP that repeats the same segment so long after it was told ignores the error (contract: `icmp_ignored`).
pub const TOLD_MEANS: Time = 2 * SECOND;

/// A deliberate probe sends at most this many packets of one size (RFC 8899 section 5.1.2, `MAX_PROBES`).
pub const MAX_PROBES: u64 = 3;

/// What became of a flow's packets that met the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Too early to say.
    Pending,
    /// A few deliberate probes.
    Probed,
    /// Cut into fragments.
    Fragmented,
    /// Dropped; the sender was told and sends no more of them.
    Recovered,
    /// Dropped; the sender was told and goes on.
    ToldAndLost,
    /// Dropped, and the sender does not learn.
    Untold(Reason),
}

/// What identifies one packet on its way through this node: NAT changes neither identification, length nor sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PacketId {
    protocol: Protocol,
    id: u32,
    length: u32,
    seq: u32,
}

impl PacketId {
    /// Of a packet, or of the quote of one.
    pub fn of(packet: &Packet) -> Self {
        let seq = match &packet.transport {
            Transport::Tcp(tcp) => tcp.seq,
            Transport::Udp | Transport::PacketTooBig { .. } | Transport::Icmp { .. } | Transport::Opaque => 0,
        };
        Self { protocol: packet.flow.protocol, id: packet.id, length: packet.length, seq }
    }

    /// Whether it tells more than that two packets are alike.
    pub fn is_telling(&self) -> bool {
        self.id != 0 || self.seq != 0
    }

    /// Whether a fragment was cut from this packet: it keeps protocol and identification.
    pub fn is_fragment_of(&self, fragment: &Packet) -> bool {
        self.id != 0 && self.id == fragment.id && self.protocol == fragment.flow.protocol
    }

    /// A short name of the error about this packet that is the same at every stage. Where the packet's headers tell
    /// nothing of their own (UDP without identification), its flow does.
    pub fn name_of_error(original: &Packet, next_hop_mtu: u32) -> String {
        let id = Self::of(original);
        if id.is_telling() {
            super::short_id(&format!("{id:?} {next_hop_mtu}"))
        } else {
            super::short_id(&format!("{id:?} {next_hop_mtu} {}", original.flow))
        }
    }
}

/// What is known of one flow that met a limit.
#[derive(Clone, Debug)]
pub struct FlowEvidence {
    /// The flow, as the sender has it.
    pub flow: Flow,
    /// Packets that met the limit.
    pub packets: u64,
    /// Of them, packets that the kernel was seen to drop.
    pub drops: u64,
    /// Packets by size in bytes, the first few sizes.
    pub sizes: BTreeMap<u32, u64>,
    /// Largest in bytes.
    pub largest: u32,
    /// Smallest in bytes.
    pub smallest: u32,
    /// They had DF.
    pub df: bool,
    /// When the first met the limit.
    pub first: Time,
    /// When the last did.
    pub last: Time,
    /// When the last drop was.
    pub last_drop: Option<Time>,
    /// Packets of this flow that were cut into fragments, as seen or as its route says.
    pub fragmented: u64,
    /// Fragments were seen, or a counter moved.
    pub fragments_seen: bool,
    /// Errors about this flow that this node made, or that arrived.
    pub errors_made: u64,
    /// Errors that passed to the sender, and when the first did.
    pub errors_delivered: u64,
    /// When the first error passed to the sender.
    pub told_at: Option<Time>,
    /// Errors whose drop was witnessed.
    pub errors_dropped: u64,
    /// The sender's routing has learned a path MTU from an error about it.
    pub accepted: bool,
    /// Packets that met the limit long after the sender was told.
    pub after_told: u64,
    /// Retransmissions of the flow.
    pub retransmits: u64,
    /// The connection ended with everything acknowledged, after its last drop.
    pub got_through: bool,
    /// Large packets were all that was sent of its protocol around the first: no prober does that.
    pub alone: bool,
    /// What settings of the sender's namespace make of path MTU discovery; as it was last when it was not on.
    pub discovery: Discovery,
    /// Identities of the last few packets, to tie errors to them behind NAT.
    pub recent: Vec<PacketId>,
}

/// Sizes told apart per flow; a prober that steps through more is still one.
const MAX_SIZES: usize = 64;
/// Packets remembered per flow.
const MAX_RECENT: usize = 16;

impl FlowEvidence {
    /// A flow that has met nothing yet.
    pub fn new(flow: Flow, now: Time) -> Self {
        Self {
            flow,
            packets: 0,
            drops: 0,
            sizes: BTreeMap::new(),
            largest: 0,
            smallest: u32::MAX,
            df: false,
            first: now,
            last: now,
            last_drop: None,
            fragmented: 0,
            fragments_seen: false,
            errors_made: 0,
            errors_delivered: 0,
            told_at: None,
            errors_dropped: 0,
            accepted: false,
            after_told: 0,
            retransmits: 0,
            got_through: false,
            alone: false,
            discovery: Discovery::On,
            recent: Vec::new(),
        }
    }

    /// Packets of one size met the limit.
    pub fn add(&mut self, time: Time, packet: &Packet, length: u32, packets: u64) {
        self.packets += packets;
        self.largest = self.largest.max(length);
        self.smallest = self.smallest.min(length);
        self.df |= packet.df;
        self.last = self.last.max(time);
        if self.sizes.len() < MAX_SIZES || self.sizes.contains_key(&length) {
            *self.sizes.entry(length).or_default() += packets;
        }
        // Without DF they are cut up and arrive.
        if packet.df && self.told_at.is_some_and(|told| time >= told + TOLD_MEANS) {
            self.after_told += packets;
        }
        let id = PacketId::of(packet);
        if id.is_telling() && !self.recent.contains(&id) {
            if self.recent.len() == MAX_RECENT {
                self.recent.remove(0);
            }
            self.recent.push(id);
        }
    }

    /// The kernel dropped packets of one size.
    pub fn add_drops(&mut self, time: Time, packet: &Packet, length: u32, packets: u64) {
        self.add(time, packet, length, packets);
        self.drops += packets;
        self.last_drop = Some(time);
        self.got_through = false;
    }

    /// Each error that passed to the sender is about a packet that was lost, seen or not.
    pub fn count_losses_by_errors(&mut self) {
        let unseen = self.errors_delivered.saturating_sub(self.drops);
        if self.drops > 0 && unseen > 0 {
            self.drops += unseen;
            self.packets += unseen;
            *self.sizes.entry(self.largest).or_default() += unseen;
        }
    }

    /// Whether an error that quotes this packet is about this flow, seen from either side of NAT.
    pub fn is_quoted_by(&self, original: &Packet) -> bool {
        let flow = &original.flow;
        let same_sender = self.flow.protocol == flow.protocol
            && self.flow.src == flow.src
            && self.flow.src_port == flow.src_port;
        self.flow == *flow
            || same_sender && (self.flow.dst == flow.dst || self.recent.contains(&PacketId::of(original)))
            || PacketId::of(original).is_telling() && self.recent.contains(&PacketId::of(original))
    }

    /// The sender's kernel throws errors about this flow away.
    pub fn refuses_errors(&self) -> bool {
        discovery::refuses_errors(self.discovery, self.flow.protocol)
    }

    /// At most a few packets of each size, by a protocol whose applications probe.
    pub fn looks_like_probing(&self) -> bool {
        self.flow.protocol != Protocol::Tcp
            && !self.alone
            && self.sizes.values().all(|packets| *packets <= MAX_PROBES)
    }
}
