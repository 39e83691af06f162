//! What every ring record begins with.
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Name of the ring buffer map.
pub const RING: &str = "RING";

/// Bytes of a packet, from its network header on, that a record carries at most: an IPv6 error about a tunnelled IPv6
/// packet is readable down to the inner ports (40 + 8 + 40 + 8 + 8 + 14 + 40 + 20).
pub const SNAP: usize = 192;

/// `RecordHeader::kind`.
pub mod kind {
    /// A packet larger than its own egress: [`crate::oversize::OversizeRecord`].
    pub const OVERSIZE: u16 = 1;
    /// An ICMP packet too big at a hook: [`crate::packet_too_big::PacketTooBigRecord`].
    pub const PACKET_TOO_BIG: u16 = 2;
    /// A first fragment at a hook: [`crate::fragment::FragmentRecord`].
    pub const FRAGMENT: u16 = 3;
    /// `kfree_skb` for size, of an ICMP error, or of a fragment: [`crate::size_drop::SizeDropRecord`].
    pub const SIZE_DROP: u16 = 4;
    /// A code location of `kfree_skb` not met before: [`crate::location::LocationRecord`].
    pub const LOCATION: u16 = 5;
    /// The kernel makes a frag-needed: [`crate::icmp_send::IcmpSendRecord`].
    pub const ICMP_SEND: u16 = 6;
    /// TCP retransmits: [`crate::tcp_retransmit::TcpRetransmitRecord`].
    pub const TCP_RETRANSMIT: u16 = 7;
    /// A TCP connection closes: [`crate::tcp_close::TcpCloseRecord`].
    pub const TCP_CLOSE: u16 = 8;
    /// A SYN or SYN-ACK announces a segment size: [`crate::tcp_mss::TcpMssRecord`].
    pub const TCP_MSS: u16 = 9;
}

/// Where a TC record was made, from the point of view of the hooked interface.
pub mod direction {
    /// Received by the interface (TC ingress).
    pub const INGRESS: u8 = 0;
    /// Sent by the interface (TC egress).
    pub const EGRESS: u8 = 1;
    /// Not at a TC hook (tracepoints).
    pub const NONE: u8 = 2;
}

/// The beginning of every ring record.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct RecordHeader {
    /// One of [`kind`].
    pub kind: u16,
    /// One of [`direction`].
    pub direction: u8,
    /// Bytes before the network header in the hooked packet (Ethernet 14, in-line VLAN tags 4 each, none 0).
    pub l2_len: u8,
    /// The hooked interface, or the device of the packet where a tracepoint tells one; 0 is unknown.
    pub ifindex: u32,
    /// When, in nanoseconds of `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    /// Packets that this record stands for: itself and those of the same flow that the gate held back before it.
    pub packets: u32,
    /// Valid bytes of the record's packet copy.
    pub captured: u32,
}
const _: () = assert!(size_of::<RecordHeader>() == 24);

/// A copy of the first bytes of a packet, from its network header on.
pub type PacketBytes = [u8; SNAP];
