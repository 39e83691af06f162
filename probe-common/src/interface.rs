//! What the TC programs know about an interface, and what they count there.
use crate::size_bucket::BUCKETS;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `Array<InterfaceConfig>` of [`CONFIG_SLOTS`], indexed by `ifindex & (CONFIG_SLOTS - 1)`.
pub const INTERFACES: &str = "INTERFACES";
/// `HashMap<u32, InterfaceConfig>`: the interfaces whose place in [`INTERFACES`] is taken (ifindexes only grow).
pub const INTERFACES_BEYOND: &str = "INTERFACES_BEYOND";
/// `PerCpuArray<InterfaceStats>`, indexed by `slot * 2 + direction`.
pub const INTERFACE_STATS: &str = "INTERFACE_STATS";
/// `HashMap<u32, u32>`: inode of a network namespace that belongs to this node (pods) → 1.
pub const NETNS: &str = "NETNS";
/// `Array<u32>` of 1: grows with every change of links and routes, so that cached verdicts end.
pub const GENERATION: &str = "GENERATION";

/// Places in [`INTERFACES`]; a power of two.
pub const CONFIG_SLOTS: u32 = 4096;

/// No limit is known: no packet is a candidate.
pub const NO_LIMIT: u32 = u32::MAX;

/// `InterfaceConfig::role`; the contract's roles.
pub mod role {
    /// The host side of a pod's veth.
    pub const POD: u32 = 1;
    /// A tunnel device.
    pub const OVERLAY: u32 = 2;
    /// A bridge device.
    pub const BRIDGE: u32 = 3;
    /// A bridge port that is no pod's.
    pub const PORT: u32 = 4;
    /// A device of a default or gateway route, or a tunnel's underlay.
    pub const UPLINK: u32 = 5;
    /// Everything else that is observed.
    pub const LINK: u32 = 6;
}

/// How the programs treat an interface.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct InterfaceConfig {
    /// The whole ifindex, compared because the place is shared; 0 is a free place.
    pub ifindex: u32,
    /// Where its counters are.
    pub slot: u32,
    /// One of [`role`].
    pub role: u32,
    /// Largest packet, in bytes, that every way out takes, for packets this interface receives (index 0) and sends
    /// (index 1); [`NO_LIMIT`] where nothing limits.
    pub limit: [u32; 2],
    /// For a veth: largest packet, in bytes, that the other end takes (its MTU and the 4 bytes of slack that
    /// `is_skb_forwardable` grants); [`NO_LIMIT`] for any other device.
    pub peer_limit: u32,
    /// MTU in bytes of the pod behind it; [`NO_LIMIT`] where there is none.
    pub pod_mtu: u32,
    /// Until when its TCP packets are watched, in jiffies (the lower half); 0 is not at all. The programs set it, see
    /// [`crate::tcp_hole`].
    pub watched_until: u32,
}
const _: () = assert!(size_of::<InterfaceConfig>() == 32);

/// Index into `InterfaceStats::by_protocol`: family (IPv4 0, IPv6 4) plus one of these.
pub mod protocol_class {
    /// TCP.
    pub const TCP: usize = 0;
    /// UDP.
    pub const UDP: usize = 1;
    /// ICMP or ICMPv6.
    pub const ICMP: usize = 2;
    /// Any other IP protocol, and fragments after the first.
    pub const OTHER: usize = 3;
    /// Added for IPv6.
    pub const IPV6: usize = 4;
    /// Number of classes.
    pub const COUNT: usize = 8;
}

/// Counters of one interface and direction, per CPU, added up by user space. Segmentation-offload packets count as the
/// segments that they become.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct InterfaceStats {
    /// Packets (segments) per size bucket; their sum is the number of packets.
    pub buckets: [u64; BUCKETS],
    /// Packets (segments) by family and protocol, see [`protocol_class`].
    pub by_protocol: [u64; protocol_class::COUNT],
    /// Bytes at layer 3, each segment with its own headers.
    pub bytes: u64,
    /// Packets as the device counts them: a segmentation-offload packet is one.
    pub skbs: u64,
    /// IPv4 packets (segments) with DF.
    pub df: u64,
    /// First fragments.
    pub fragments_first: u64,
    /// Fragments after the first.
    pub fragments_more: u64,
    /// Frames that are not IP.
    pub not_ip: u64,
    /// Packets (segments) above the interface's smallest limit.
    pub candidates: u64,
    /// Candidates whose own egress was asked and is smaller.
    pub oversize: u64,
    /// Candidates above the MTU of the pod behind the interface.
    pub above_pod_mtu: u64,
    /// Largest packet (segment) in bytes.
    pub largest: u64,
}
const _: () = assert!(size_of::<InterfaceStats>() == 8 * (BUCKETS + 8 + 10));

impl InterfaceStats {
    /// All zero.
    pub const ZERO: Self = Self {
        buckets: [0; BUCKETS],
        by_protocol: [0; protocol_class::COUNT],
        bytes: 0,
        skbs: 0,
        df: 0,
        fragments_first: 0,
        fragments_more: 0,
        not_ip: 0,
        candidates: 0,
        oversize: 0,
        above_pod_mtu: 0,
        largest: 0,
    };

    /// Packets (segments) in all.
    pub fn packets(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Adds another CPU's counters.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in self.buckets.iter_mut().zip(other.buckets) {
            *sum += count;
        }
        for (sum, count) in self.by_protocol.iter_mut().zip(other.by_protocol) {
            *sum += count;
        }
        self.bytes += other.bytes;
        self.skbs += other.skbs;
        self.df += other.df;
        self.fragments_first += other.fragments_first;
        self.fragments_more += other.fragments_more;
        self.not_ip += other.not_ip;
        self.candidates += other.candidates;
        self.oversize += other.oversize;
        self.above_pod_mtu += other.above_pod_mtu;
        self.largest = self.largest.max(other.largest);
    }
}

impl Default for InterfaceStats {
    fn default() -> Self {
        Self::ZERO
    }
}
