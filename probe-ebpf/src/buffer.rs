//! A socket buffer (`struct sk_buff`) as the tracepoints get it.
use crate::kernel::{Address, Trusted, offset};
use probe_common::record::PacketBytes;

/// Bits of `_skb_refdst` and of `_metrics` that are no part of the address.
const POINTER: u64 = !3;
/// `RTAX_MTU`, the place of the MTU in the metrics, counted from 1.
const RTAX_MTU: u64 = 2;

/// Where a packet's route leaves.
#[derive(Clone, Copy, Default)]
pub struct Egress {
    /// The device; 0 without route.
    pub ifindex: u32,
    /// Its MTU.
    pub mtu: u32,
    /// Inode of its network namespace.
    pub netns: u32,
    /// MTU metric of the route; 0 if it has none.
    pub route_mtu: u32,
}

/// A socket buffer.
#[derive(Clone, Copy)]
pub struct Buffer(pub Trusted);

impl Buffer {
    /// Its length in bytes (`skb->len`).
    #[inline(always)]
    pub fn len(self) -> u32 {
        self.0.number(&offset::SK_BUFF_LEN)
    }

    /// EtherType in host order; 0 where the network header is not set.
    #[inline(always)]
    pub fn ethertype(self) -> u16 {
        u16::from_be(self.0.number(&offset::SK_BUFF_PROTOCOL))
    }

    /// Segment payload of a segmentation-offload packet; 0 for an ordinary one.
    #[inline(always)]
    pub fn gso_size(self) -> u32 {
        let end: u32 = self.0.number(&offset::SK_BUFF_END);
        Address(self.head() + u64::from(end)).read::<u16>(&offset::SHARED_INFO_GSO_SIZE).into()
    }

    /// Copies at most `MOST` bytes of the packet from its network header on, as far as it lies in the linear part; gives
    /// their number.
    #[inline(always)]
    pub fn copy_packet<const MOST: u32>(self, into: *mut PacketBytes) -> u32 {
        let network = u32::from(self.0.number::<u16>(&offset::SK_BUFF_NETWORK_HEADER));
        let tail: u32 = self.0.number(&offset::SK_BUFF_TAIL);
        if network == u32::from(u16::MAX) || tail <= network {
            return 0;
        }
        Address(self.head() + u64::from(network)).copy_packet::<MOST>(into, tail - network)
    }

    /// The route that it has.
    #[inline(always)]
    pub fn route(self) -> Address {
        Address(self.0.number::<u64>(&offset::SK_BUFF_REFDST) & POINTER)
    }

    #[inline(always)]
    fn head(self) -> u64 {
        self.0.number(&offset::SK_BUFF_HEAD)
    }
}

/// The device and the MTU metric of a route.
#[inline(always)]
pub fn egress(route: Address) -> Egress {
    if route.0 == 0 {
        return Egress::default();
    }
    let device = route.follow(&offset::DST_ENTRY_DEV);
    let metrics = route.read::<u64>(&offset::DST_ENTRY_METRICS) & POINTER;
    let mut route_mtu = 0u32;
    if metrics != 0 {
        Address(metrics + (RTAX_MTU - 1) * 4).copy(&raw mut route_mtu);
    }
    Egress {
        ifindex: device.read(&offset::NET_DEVICE_IFINDEX),
        mtu: device.read(&offset::NET_DEVICE_MTU),
        netns: device.follow(&offset::NET_DEVICE_NET).read(&offset::NET_INUM),
        route_mtu,
    }
}
