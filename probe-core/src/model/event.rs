//! Everything that the diagnosis hears of, in one place.
use super::Time;
use super::packet::Packet;
use super::packet_too_big::{HookDirection, PacketTooBigSeen};
use super::size_drop::{IcmpGenerated, PacketDropped};
use super::tcp::{TcpHole, TcpRetransmit, TcpStateChange};

/// An observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A packet larger than its egress, at a hook.
    Oversize(Oversize),
    /// An ICMP packet too big, at a hook.
    PacketTooBig(PacketTooBigSeen),
    /// A first fragment, at a hook.
    Fragment(FragmentSeen),
    /// The kernel freed a packet.
    Dropped(PacketDropped),
    /// The kernel makes a frag-needed.
    IcmpGenerated(IcmpGenerated),
    /// A socket retransmits.
    TcpRetransmit(TcpRetransmit),
    /// A socket is established or closes.
    TcpStateChange(TcpStateChange),
    /// A SYN or SYN-ACK announces a segment size, at a hook.
    TcpMss(MssSeen),
    /// A receiver in a pod reports a hole, and for some time nothing filled it.
    TcpHole(TcpHole),
    /// Evidence was lost.
    Lost(Lost),
}

/// Who says that a packet is larger than its egress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OversizeHow {
    /// Its route, asked before any NAT: a suspicion until an egress hook, a fragment or a drop confirms it.
    Route,
    /// The other end of the veth, which drops it without a word.
    Peer,
    /// The interface's own limit, at its egress hook.
    Device,
    /// The tunnel that its route leaves by.
    Tunnel,
}

/// A packet larger than its egress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oversize {
    /// When.
    pub time: Time,
    /// Packets of this flow that the record stands for.
    pub packets: u32,
    /// The hooked interface.
    pub ifindex: u32,
    /// Which way it passed the hook.
    pub direction: HookDirection,
    /// Size in bytes of the packet, or of a full segment.
    pub length: u32,
    /// Largest packet that the egress takes.
    pub limit: u32,
    /// Who says so.
    pub how: OversizeHow,
    /// The egress that its route names.
    pub egress_ifindex: Option<u32>,
    /// It is a segmentation-offload packet.
    pub gso: bool,
    /// Its headers.
    pub packet: Packet,
}

/// A first fragment at a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FragmentSeen {
    /// When.
    pub time: Time,
    /// Fragments of this flow that the record stands for.
    pub packets: u32,
    /// The hooked interface.
    pub ifindex: u32,
    /// Which way.
    pub direction: HookDirection,
    /// Its headers.
    pub packet: Packet,
}

/// A SYN or SYN-ACK at a pod's hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MssSeen {
    /// When.
    pub time: Time,
    /// The hooked interface.
    pub ifindex: u32,
    /// Which way.
    pub direction: HookDirection,
    /// Its headers.
    pub packet: Packet,
}

/// Evidence that was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// When it was noticed.
    pub time: Time,
    /// What: the name of a skip reason.
    pub what: String,
    /// How many.
    pub count: u64,
    /// The interface concerned.
    pub interface: Option<String>,
    /// Why, for people.
    pub why: String,
}
