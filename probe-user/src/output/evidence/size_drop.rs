//! Packets that the kernel dropped, and frag-needed that it makes.
use super::mirror::{Time, mirror};
use super::packet::Packet;
use super::veil::InterfaceName;
use probe_core::model::size_drop;

mirror! {
    PacketDropped = size_drop::PacketDropped {
        time: Time,
        packets: u32,
        reason: String,
        location: String,
        netns: u32,
        ifindex: u32,
        device: InterfaceName,
        peer_ifindex: Option<u32>,
        device_mtu: u32,
        peer_mtu: Option<u32>,
        egress_ifindex: Option<u32>,
        egress_mtu: Option<u32>,
        egress_netns: Option<u32>,
        route_mtu: Option<u32>,
        skb_len: u32,
        gso_size: Option<u32>,
        packet: Option<Packet>,
    }
}

mirror! {
    IcmpGenerated = size_drop::IcmpGenerated {
        time: Time,
        netns: u32,
        ifindex: u32,
        peer_ifindex: Option<u32>,
        egress_ifindex: Option<u32>,
        egress_mtu: Option<u32>,
        route_mtu: Option<u32>,
        packet: Option<Packet>,
    }
}
