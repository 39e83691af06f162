//! Packets that the kernel dropped, and the ones it is about to answer with frag-needed.
use super::Time;
use super::packet::Packet;

/// A packet freed by the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketDropped {
    /// When.
    pub time: Time,
    /// Packets of this flow that the record stands for.
    pub packets: u32,
    /// Name of the drop reason without `SKB_DROP_REASON_`, e.g. `PKT_TOO_BIG`; a number if the kernel has no name.
    pub reason: String,
    /// Symbol of the place without offset, e.g. `__dev_forward_skb2`; empty where it is not known.
    pub location: String,
    /// Inode of the namespace of the packet's device (0: unknown).
    pub netns: u32,
    /// Index of the packet's device in that namespace; 0 without device.
    pub ifindex: u32,
    /// Name of the device.
    pub device: String,
    /// If the device is a veth whose other end is in our namespace: that end.
    pub peer_ifindex: Option<u32>,
    /// MTU of the device.
    pub device_mtu: u32,
    /// MTU of the other end of a veth.
    pub peer_mtu: Option<u32>,
    /// Device that the packet's route leaves by.
    pub egress_ifindex: Option<u32>,
    /// MTU of that device.
    pub egress_mtu: Option<u32>,
    /// Inode of that device's namespace.
    pub egress_netns: Option<u32>,
    /// MTU metric of the route.
    pub route_mtu: Option<u32>,
    /// Bytes of the whole buffer, layer 2 included where the place is below layer 3.
    pub skb_len: u32,
    /// Segment payload of a segmentation-offload packet.
    pub gso_size: Option<u32>,
    /// The packet; `None` if it is not IP or not readable.
    pub packet: Option<Packet>,
}

/// A frag-needed that the kernel is about to make (`icmp:icmp_send`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcmpGenerated {
    /// When.
    pub time: Time,
    /// Inode of the namespace that makes it.
    pub netns: u32,
    /// Index of the offending packet's device.
    pub ifindex: u32,
    /// If that device is a veth whose other end is in our namespace: that end.
    pub peer_ifindex: Option<u32>,
    /// Device that the packet's route leaves by.
    pub egress_ifindex: Option<u32>,
    /// MTU of that device.
    pub egress_mtu: Option<u32>,
    /// MTU metric of the route.
    pub route_mtu: Option<u32>,
    /// The offending packet.
    pub packet: Option<Packet>,
}
