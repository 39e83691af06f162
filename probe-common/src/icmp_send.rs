//! The kernel makes an ICMP frag-needed (`icmp:icmp_send`); there is no such tracepoint for ICMPv6.
use crate::record::{PacketBytes, RecordHeader};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A frag-needed that the kernel is about to make.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct IcmpSendRecord {
    /// `ifindex` is that of the offending packet's device, time.
    pub header: RecordHeader,
    /// Inode of the network namespace that makes it.
    pub netns: u32,
    /// For a veth whose other end is in our namespace: that end's ifindex; else 0.
    pub peer_ifindex: u32,
    /// The device that the offending packet's route leaves by; 0 without route.
    pub egress_ifindex: u32,
    /// MTU of that device; 0 without route.
    pub egress_mtu: u32,
    /// MTU metric of the route (RTAX_MTU); 0 if it has none.
    pub route_mtu: u32,
    /// EtherType in host order.
    pub ethertype: u32,
    /// The offending packet from its network header on.
    pub packet: PacketBytes,
}
const _: () = assert!(size_of::<IcmpSendRecord>() == 24 + 24 + 192);
