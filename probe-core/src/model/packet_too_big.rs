//! ICMP packet too big at a TC hook.
use super::Time;
use super::packet::Packet;

/// Which way a packet passed a hook, from the interface's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HookDirection {
    /// Received by the interface.
    Ingress,
    /// Sent by the interface.
    Egress,
}

/// An ICMP packet too big seen at a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketTooBigSeen {
    /// When.
    pub time: Time,
    /// Errors about this flow that the record stands for.
    pub packets: u32,
    /// The hooked interface.
    pub ifindex: u32,
    /// Which way.
    pub direction: HookDirection,
    /// The ICMP packet; its transport is [`super::packet::Transport::PacketTooBig`].
    pub packet: Packet,
}
