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

/// Functions that free packets for their size, mostly under `NOT_SPECIFIED`; names as [`stem`] leaves them.
const SIZE_FUNCTIONS: &[(Place, &[&str])] = &[
    // Whatever hands a packet to another device (`is_skb_forwardable`).
    (Place::Veth, &["dev_forward_skb", "dev_forward_skb_nomtu", "veth_xmit"]),
    // With and without br_netfilter.
    (Place::Bridge, &["br_dev_queue_push_xmit", "br_nf_dev_queue_xmit", "br_nf_ip_fragment"]),
    // `ovs_vport_send` frees in a tail call, for which its callers are told, perhaps inlined into each other.
    (
        Place::Vswitch,
        &["ovs_vport_send", "do_output", "do_execute_actions", "ovs_execute_actions", "ovs_fragment"],
    ),
    (Place::Forward, &["ip_forward", "ip6_forward"]),
    // Also the outer packets of tunnels.
    (
        Place::Fragmentation,
        &["ip_fragment", "ip_do_fragment", "ip_finish_output", "ip6_fragment", "ip6_finish_output"],
    ),
    // XDP programs that drop, of whom no reason tells.
    (
        Place::Filtered,
        &[
            "do_xdp_generic",
            "netif_receive_generic_xdp",
            "bpf_prog_run_generic_xdp",
            "veth_xdp_rcv_skb",
            "veth_xdp_rcv",
        ],
    ),
    // Kernels before 6.2 give no reason here.
    (Place::Reassembly, &["ip_expire", "ip6_frag_expire", "ip6frag_expire_frag_queue", "nf_ct_frag6_expire"]),
    (
        Place::Tunnel,
        &[
            "ip_tunnel_xmit",
            "ip_md_tunnel_xmit",
            "ip6_tnl_xmit",
            "ip6_tnl_start_xmit",
            "ipip_tunnel_xmit",
            "ipip6_tunnel_xmit",
            "sit_tunnel_xmit",
            "ipgre_xmit",
            "ip6gre_tunnel_xmit",
            "gre_tap_xmit",
            "erspan_xmit",
            "ip6erspan_tunnel_xmit",
            "vxlan_xmit",
            "vxlan_xmit_one",
            "geneve_xmit",
            "bareudp_xmit",
            "vti_tunnel_xmit",
            "vti6_tnl_xmit",
            "wg_xmit",
            "xfrmi_xmit",
            "ipvlan_queue_xmit",
            "macvlan_start_xmit",
            "tun_net_xmit",
        ],
    ),
];

/// The function of a symbol as the kernel prints it, without offset and module and without what the compiler or a
/// variant of the same function adds (`__dev_forward_skb2`, `ip_fragment.constprop.0+0x8a/0xa0 [mod]`).
pub fn stem(symbol: &str) -> &str {
    let end = symbol.find(['+', '.', ' ', '[']).unwrap_or(symbol.len());
    let function = symbol.get(..end).unwrap_or(symbol);
    function.trim_start_matches('_').trim_end_matches(|letter: char| letter.is_ascii_digit())
}

/// What it means that a packet is freed in a function without a reason that says so; `None` if nothing about sizes.
pub fn of_symbol(symbol: &str) -> Option<Place> {
    let stem = stem(symbol);
    SIZE_FUNCTIONS.iter().find(|(_, functions)| functions.contains(&stem)).map(|(place, _)| *place)
}

/// What a drop means.
pub fn classify(drop: &PacketDropped) -> Place {
    let Some(packet) = &drop.packet else { return Place::Unrelated };
    let by_location = of_symbol(&drop.location).unwrap_or(Place::Unrelated);
    match drop.reason.as_str() {
        "PKT_TOO_BIG" if by_location == Place::Unrelated => Place::Forward,
        "PKT_TOO_BIG" => by_location,
        "FRAG_REASM_TIMEOUT" | "FRAG_TOO_FAR" => Place::Reassembly,
        // Also what `kfree_skb` without a reason says.
        "NOT_SPECIFIED" if by_location == Place::Filtered => by_packet(packet),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::fixtures::{flow, forward_drop, packet};
    use crate::model::flow::Protocol;
    use crate::model::packet::Fragment;

    /// The place of a drop of an ordinary packet.
    fn at(reason: &str, location: &str) -> Place {
        classify(&dropped(reason, location, false))
    }

    fn dropped(reason: &str, location: &str, fragment: bool) -> PacketDropped {
        let mut packet = packet(flow(Protocol::Udp, "10.244.1.11", 4000, "203.0.113.10", 53), 1500, 9, true);
        packet.fragment = fragment.then_some(Fragment { id: 9, offset: 1480, more: false });
        let (reason, location) = (reason.to_owned(), location.to_owned());
        PacketDropped { reason, location, ..forward_drop(0, packet, 1400) }
    }

    #[test]
    fn symbols_are_told_whatever_the_compiler_adds() {
        for (symbol, place) in [
            ("__dev_forward_skb2", Place::Veth),
            ("__dev_forward_skb2+0x1a/0x90", Place::Veth),
            ("dev_forward_skb_nomtu", Place::Veth),
            ("br_dev_queue_push_xmit.part.0+0x10/0x20 [bridge]", Place::Bridge),
            ("br_nf_dev_queue_xmit [br_netfilter]", Place::Bridge),
            ("ip_fragment.constprop.0+0x8a/0xa0", Place::Fragmentation),
            ("__ip_finish_output", Place::Fragmentation),
            ("ip6_fragment.isra.0", Place::Fragmentation),
            ("ip6_forward+0x1/0x2", Place::Forward),
            ("ovs_vport_send+0x1/0x2 [openvswitch]", Place::Vswitch),
            ("vxlan_xmit_one.cold", Place::Tunnel),
            ("geneve_xmit", Place::Tunnel),
            ("ip6_tnl_start_xmit", Place::Tunnel),
            ("ip6gre_tunnel_xmit", Place::Tunnel),
            ("wg_xmit [wireguard]", Place::Tunnel),
        ] {
            assert_eq!(of_symbol(symbol), Some(place), "{symbol}");
            assert_eq!(at("NOT_SPECIFIED", symbol), place, "{symbol}");
        }
        for symbol in
            ["", "ip6_mc_input", "ip_forward_finish", "br_handle_frame", "xip_forward", "veth_close"]
        {
            assert_eq!(of_symbol(symbol), None, "{symbol}");
        }
    }

    #[test]
    fn a_reason_that_names_the_size_needs_no_place() {
        assert_eq!(at("PKT_TOO_BIG", "ip_forward"), Place::Forward);
        assert_eq!(at("PKT_TOO_BIG", "do_output [openvswitch]"), Place::Vswitch);
        assert_eq!(at("PKT_TOO_BIG", ""), Place::Forward);
    }

    #[test]
    fn filters_are_told_by_what_they_drop() {
        for reason in ["NETFILTER_DROP", "TC_INGRESS", "TC_EGRESS", "XDP", "IP_RPFILTER", "OPENVSWITCH"] {
            assert_eq!(classify(&dropped(reason, "ip_fragment", true)), Place::Fragment, "{reason}");
            // A filter that happens to sit in a function of the table is a filter all the same.
            assert_eq!(at(reason, "ip_forward"), Place::Filtered, "{reason}");
        }
        assert_eq!(at("NOT_SPECIFIED", "ip6_mc_input"), Place::Unrelated);
        assert_eq!(at("NOT_SPECIFIED", "do_xdp_generic"), Place::Filtered);
        assert_eq!(classify(&dropped("NOT_SPECIFIED", "do_xdp_generic", true)), Place::Fragment);
        assert_eq!(at("FRAG_REASM_TIMEOUT", "ip_expire"), Place::Reassembly);
        assert_eq!(at("NOT_SPECIFIED", "ip6_frag_expire"), Place::Reassembly);
    }
}
