//! A packet at a TC hook that is larger than its own egress takes.
use crate::record::{PacketBytes, RecordHeader};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `PerCpuArray<FittingDestination>` of [`FITTING_SLOTS`]: verdicts on candidates that fit, by hash of interface and
/// addresses.
pub const FITTING: &str = "FITTING";
/// Places in [`FITTING`]; a power of two.
pub const FITTING_SLOTS: u32 = 512;

/// `OversizeRecord::how`: who says that the packet is too big.
pub mod how {
    /// `bpf_fib_lookup` answered FRAG_NEEDED for this packet's route (asked before any NAT).
    pub const ROUTE: u32 = 1;
    /// The other end of the veth takes less (`is_skb_forwardable`).
    pub const PEER: u32 = 2;
    /// The interface's own limit, at its egress hook.
    pub const DEVICE: u32 = 3;
    /// The route leaves by a tunnel, and the packet with the tunnel's overhead is larger than the underlay's MTU.
    pub const TUNNEL: u32 = 4;
}

/// A packet larger than its egress.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct OversizeRecord {
    /// Interface and direction of the hook, time, packets.
    pub header: RecordHeader,
    /// Size in bytes of the packet, or of each full segment of a segmentation-offload packet.
    pub length: u32,
    /// Largest packet in bytes that the egress takes.
    pub limit: u32,
    /// One of [`how`].
    pub how: u32,
    /// The egress interface that the route names; 0 where no route was asked.
    pub egress_ifindex: u32,
    /// Segment payload of a segmentation-offload packet; 0 for an ordinary one.
    pub gso_size: u32,
    /// EtherType in host order.
    pub ethertype: u32,
    /// The packet from its network header on.
    pub packet: PacketBytes,
}
const _: () = assert!(size_of::<OversizeRecord>() == 24 + 24 + 192);

/// A destination whose route takes larger packets than the interface's smallest limit.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FittingDestination {
    /// Source and destination address; IPv4 in the first four bytes of each.
    pub addresses: [u8; 32],
    /// The hooked interface.
    pub ifindex: u32,
    /// Value of the generation when the route was asked.
    pub generation: u32,
    /// Packets up to this many bytes fit.
    pub fits: u32,
    /// EtherType in host order.
    pub ethertype: u32,
}
const _: () = assert!(size_of::<FittingDestination>() == 48);

/// `HashMap<u32, TunnelLimit>`: ifindex of a tunnel device → what it takes.
pub const TUNNEL_LIMITS: &str = "TUNNEL_LIMITS";

/// What a tunnel device takes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TunnelLimit {
    /// Largest inner packet in bytes: MTU of the underlay less the overhead.
    pub limit: u32,
}
