//! ICMP fragmentation needed and ICMPv6 packet too big at a TC hook.
use crate::record::{PacketBytes, RecordHeader};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An ICMP packet too big at a hook (RFC 792 type 3 code 4, RFC 4443 type 2).
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PacketTooBigRecord {
    /// Interface and direction of the hook, time.
    pub header: RecordHeader,
    /// Size in bytes of the ICMP packet.
    pub length: u32,
    /// EtherType in host order.
    pub ethertype: u32,
    /// The ICMP packet from its network header on: reporter, next-hop MTU and the original datagram.
    pub packet: PacketBytes,
}
const _: () = assert!(size_of::<PacketTooBigRecord>() == 24 + 8 + 192);
