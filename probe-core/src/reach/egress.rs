//! The joints that a packet meets behind a route.
use super::joint::{Beyond, Joint, Place};
use super::switch;
use crate::model::flow::Family;
use crate::model::interface::{Interface, OuterDf, Role};
use crate::model::route::Route;
use crate::model::topology::Topology;
use crate::model::vswitch;

/// Tunnels within tunnels that are followed: a bound for a loop in a configuration that is wrong.
const DEPTH: usize = 4;

/// Who looks a route up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The sender's own kernel.
    Sender,
    /// A node on the way.
    Forwarder,
}

/// MTU in bytes of a device for a family.
pub fn mtu(interface: &Interface, family: Family) -> u32 {
    match (family, interface.ipv6_mtu) {
        (Family::Ipv6, Some(mtu)) => mtu.min(interface.mtu),
        (Family::Ipv6, None) | (Family::Ipv4, _) => interface.mtu,
    }
}

/// The MTU metric of a route where it counts: a forwarder of IPv6 takes it only if it is locked
/// (`ip6_dst_mtu_maybe_forward`, `ip_dst_mtu_maybe_forward`).
pub fn route_mtu(route: &Route, by: By) -> Option<u32> {
    let counts = match (by, route.family) {
        (By::Sender, _) | (By::Forwarder, Family::Ipv4) => true,
        (By::Forwarder, Family::Ipv6) => route.mtu_locked,
    };
    route.mtu.filter(|_| counts)
}

/// A device as a joint, alone.
pub fn device(interface: &Interface, family: Family, place: Place, beyond: Beyond) -> Joint {
    Joint {
        interface: interface.name.clone(),
        ifindex: interface.ifindex,
        place,
        is_pod_interface: false,
        mtu: mtu(interface, family),
        route_mtu: None,
        overhead: 0,
        padding: None,
        overhead_unknown: false,
        beyond,
    }
}

/// The joints from a route's device on.
pub fn joints(topology: &Topology, route: &Route, place: Place, by: By) -> Vec<Joint> {
    let Some(interface) = route.oif.and_then(|oif| topology.interface(oif)) else { return Vec::new() };
    let beyond = match by {
        By::Sender => Beyond::Refused,
        By::Forwarder => Beyond::Told,
    };
    let mut chain =
        vec![Joint { route_mtu: route_mtu(route, by), ..device(interface, route.family, place, beyond) }];
    behind(topology, interface, &mut chain);
    chain
}

/// The joints from a port of a bridge on.
pub fn port(topology: &Topology, port: &Interface, family: Family) -> Vec<Joint> {
    let mut chain = vec![device(port, family, Place::Node, Beyond::Silent)];
    behind(topology, port, &mut chain);
    chain
}

/// Tunnels that compare with their underlay's path themselves, and tell the sender (`tnl_update_pmtu`, `ip6_tnl_xmit`).
fn tells_senders(kind: &str) -> bool {
    matches!(kind, "ipip" | "sit" | "gre" | "gretap" | "ip6gre" | "ip6gretap" | "ip6tnl")
}

/// What comes after a chain's last joint, a device: a bridge's port to the outside, or a tunnel's underlay.
fn behind(topology: &Topology, device_of_joint: &Interface, chain: &mut Vec<Joint>) {
    let mut interface = device_of_joint;
    for _ in 0..DEPTH {
        if interface.kind == "bridge" {
            let outward = topology
                .interfaces
                .values()
                .find(|port| port.master == Some(interface.ifindex) && port.up && port.role == Role::Uplink);
            if let Some(outward) = outward {
                chain.push(device(outward, Family::Ipv4, Place::Node, Beyond::Silent));
            }
            return;
        }
        if interface.kind == vswitch::KIND {
            let outward =
                topology.switched_to(interface, None).find(|port| port.up && switch::is_outward(port));
            if let Some(outward) = outward {
                chain.push(device(outward, Family::Ipv4, Place::Node, Beyond::Silent));
            }
            return;
        }
        let (Some(tunnel), Some(last)) = (&interface.tunnel, chain.last_mut()) else { return };
        last.overhead = tunnel.overhead.unwrap_or(0);
        last.overhead_unknown = tunnel.overhead.is_none();
        last.padding = tunnel.padding;
        let place = last.place;
        let Some(underlay) = tunnel.underlay.and_then(|underlay| topology.interface(underlay)) else {
            return;
        };
        if tunnel.overhead.is_none() {
            // What a process adds is not known: its device's own MTU is all that can be told.
            return;
        }
        let beyond = match tunnel.df {
            _ if tells_senders(&interface.kind) => Beyond::Told,
            OuterDf::Unset => Beyond::Fragmented,
            OuterDf::Set | OuterDf::Inherit => Beyond::Misdirected,
        };
        // The outer packets' family is part of the overhead; its device's MTU is that of both but for a rare setting.
        chain.push(device(underlay, Family::Ipv4, place, beyond));
        interface = underlay;
    }
}
