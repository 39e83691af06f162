//! Packets that the kernel freed (`skb:kfree_skb`) for their size, and the drops that break path MTU discovery: of ICMP
//! errors and of fragments.
use crate::record::{PacketBytes, RecordHeader};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `Array<u32>` of [`REASON_SLOTS`]: drop reason → [`class`]. Numbers differ from kernel to kernel: filled from BTF.
pub const REASON_CLASSES: &str = "REASON_CLASSES";
/// Places in [`REASON_CLASSES`]; reasons of subsystems (above) count as [`class::FILTER`].
pub const REASON_SLOTS: u32 = 512;

/// What the kernel side does with a drop for this reason.
pub mod class {
    /// Never reported.
    pub const IGNORED: u32 = 0;
    /// Always reported (`PKT_TOO_BIG`).
    pub const SIZE: u32 = 1;
    /// The location decides (`NOT_SPECIFIED`).
    pub const LOCATION: u32 = 2;
    /// Reported if the packet is an ICMP packet too big or a fragment (`IP_RPFILTER` …).
    pub const ICMP_OR_FRAGMENT: u32 = 3;
    /// Always reported: fragments that were not put together (`FRAG_REASM_TIMEOUT` …).
    pub const FRAGMENT: u32 = 4;
    /// Reported as [`ICMP_OR_FRAGMENT`] is; of all other packets a sample, so that a filter that drops everything is told
    /// from one that drops what is large or cut (`NETFILTER_DROP`, `TC_INGRESS` …).
    pub const FILTER: u32 = 5;
}

/// A packet freed by the kernel.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SizeDropRecord {
    /// `ifindex` is that of the packet's device in its own namespace (0: no device), time, packets.
    pub header: RecordHeader,
    /// Address of the place where it was freed.
    pub location: u64,
    /// Drop reason, a number of this kernel.
    pub reason: u32,
    /// Inode of the network namespace of the device, else of the route's device, else of the socket.
    pub netns: u32,
    /// For a veth whose other end is in our namespace: that end's ifindex; else 0.
    pub peer_ifindex: u32,
    /// MTU of the packet's device; 0 without device.
    pub device_mtu: u32,
    /// MTU of the other end of a veth; 0 if the device is none.
    pub peer_mtu: u32,
    /// The device that the packet's route leaves by, in its namespace; 0 without route.
    pub egress_ifindex: u32,
    /// MTU of that device; 0 without route.
    pub egress_mtu: u32,
    /// MTU metric of the route (RTAX_MTU); 0 if it has none.
    pub route_mtu: u32,
    /// `skb->len`: layer 2 included where the place is below layer 3.
    pub skb_len: u32,
    /// Segment payload of a segmentation-offload packet; 0 for an ordinary one.
    pub gso_size: u32,
    /// EtherType (`skb->protocol`) in host order.
    pub ethertype: u32,
    /// Inode of the network namespace of the route's device; 0 without route.
    pub egress_netns: u32,
    /// Name of the packet's device, zero-padded.
    pub device: [u8; 16],
    /// The packet from its network header on.
    pub packet: PacketBytes,
}
const _: () = assert!(size_of::<SizeDropRecord>() == 24 + 8 + 48 + 16 + 192);
