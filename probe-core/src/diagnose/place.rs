//! What a drop means, from the kernel's reason and the place where the packet was freed.
//!
//! `PKT_TOO_BIG` covers only `ip_forward`, `ip6_forward` and the Open vSwitch output action; veth, bridge and
//! `ip_fragment` free as `NOT_SPECIFIED`, and only the place tells what it was.
use crate::model::packet::{Packet, Transport};
use crate::model::size_drop::PacketDropped;

/// What a drop means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A veth whose receiving end takes less (`is_skb_forwardable`).
    Veth,
    /// A bridge port that takes less (`br_dev_queue_push_xmit`, `br_nf_dev_queue_xmit`).
    Bridge,
    /// Forwarding to a smaller device or route (`ip_forward`, `ip6_forward`).
    Forward,
    /// A packet with DF, or any IPv6 packet, that would need fragments on its way out (`ip_fragment`, `ip6_fragment`).
    Fragmentation,
    /// A tunnel device that refuses an inner packet.
    Tunnel,
    /// An Open vSwitch port that takes less (`ovs_vport_send`).
    Vswitch,
    /// An ICMP packet too big, dropped on its way.
    Error,
    /// A fragment, dropped on its way.
    Fragment,
    /// Fragments that were not put together in time.
    Reassembly,
    /// An ordinary packet, dropped by a filter or somebody's program: a sample of what that drops.
    Filtered,
    /// Nothing that concerns sizes.
    Unrelated,
}

/// Places that free packets for their size under `NOT_SPECIFIED`, by the beginning of the symbol.
const SIZE_PLACES: &[(&str, Place)] = &[
    ("__dev_forward_skb", Place::Veth),
    ("dev_forward_skb", Place::Veth),
    ("veth_", Place::Veth),
    ("br_", Place::Bridge),
    ("ovs_", Place::Vswitch),
    ("ip_forward", Place::Forward),
    ("ip6_forward", Place::Forward),
    ("ip_fragment", Place::Fragmentation),
    ("ip_do_fragment", Place::Fragmentation),
    ("ip6_fragment", Place::Fragmentation),
    ("ip_finish_output", Place::Fragmentation),
    ("__ip_finish_output", Place::Fragmentation),
    ("ip6_finish_output", Place::Fragmentation),
    ("__ip6_finish_output", Place::Fragmentation),
    ("ip_tunnel_xmit", Place::Tunnel),
    ("ip_md_tunnel_xmit", Place::Tunnel),
    ("ip6_tnl_xmit", Place::Tunnel),
    ("ipip_tunnel_xmit", Place::Tunnel),
    ("ipip6_tunnel_xmit", Place::Tunnel),
    ("sit_tunnel_xmit", Place::Tunnel),
    ("ipgre_xmit", Place::Tunnel),
    ("gre_tap_xmit", Place::Tunnel),
    ("vxlan_xmit", Place::Tunnel),
    ("geneve_xmit", Place::Tunnel),
    ("wg_xmit", Place::Tunnel),
    ("tun_net_xmit", Place::Tunnel),
];

/// What a drop means.
pub fn classify(drop: &PacketDropped) -> Place {
    let Some(packet) = &drop.packet else { return Place::Unrelated };
    let by_location = SIZE_PLACES
        .iter()
        .find(|(symbol, _)| drop.location.starts_with(symbol))
        .map_or(Place::Unrelated, |(_, place)| *place);
    match drop.reason.as_str() {
        "PKT_TOO_BIG" if by_location == Place::Unrelated => Place::Forward,
        "PKT_TOO_BIG" => by_location,
        "FRAG_REASM_TIMEOUT" | "FRAG_TOO_FAR" => Place::Reassembly,
        // Also what `kfree_skb` without a reason says.
        "NOT_SPECIFIED" => by_location,
        _ => by_packet(packet),
    }
}

/// Any other reason (a filter, rp_filter, somebody's program …) matters for what is needed to survive a small MTU.
fn by_packet(packet: &Packet) -> Place {
    if matches!(packet.transport, Transport::PacketTooBig { .. }) {
        Place::Error
    } else if packet.fragment.is_some() {
        Place::Fragment
    } else {
        Place::Filtered
    }
}

/// Size in bytes at layer 3 of a dropped packet: the header's length, or the buffer's for BIG TCP.
pub fn length(drop: &PacketDropped) -> u32 {
    match &drop.packet {
        Some(packet) if packet.length != 0 => packet.length,
        Some(_) | None => drop.skb_len,
    }
}
