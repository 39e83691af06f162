//! The smallest limit that packets of an interface can meet: what is above is looked at closer, one by one.
use probe_common::interface::NO_LIMIT;
use probe_common::record::direction::{EGRESS, INGRESS};
use probe_core::model::interface::Interface;
use probe_core::model::topology::Topology;

/// What `is_skb_forwardable` grants above the MTU, for a VLAN tag.
const SLACK: u32 = 4;

/// Largest packets in bytes that every way out takes, for received packets and for sent ones.
pub(super) fn of(topology: &Topology, interface: &Interface) -> [u32; 2] {
    let mut limits = [NO_LIMIT; 2];
    limits[usize::from(INGRESS)] = ways_out(topology, interface);
    limits[usize::from(EGRESS)] = egress(topology, interface);
    limits
}

/// What the other end of a veth takes; no limit where there is none or it cannot be seen.
pub(super) fn of_peer(interface: &Interface) -> u32 {
    let mtu = interface.peer.as_ref().and_then(|peer| peer.mtu);
    mtu.map_or(NO_LIMIT, |mtu| mtu.saturating_add(SLACK))
}

/// What an interface sends whole, and its other end takes.
fn egress(topology: &Topology, interface: &Interface) -> u32 {
    topology.device_limit(interface).min(of_peer(interface))
}

/// The smallest of all ways that a received packet can leave by.
fn ways_out(topology: &Topology, from: &Interface) -> u32 {
    let is_way_out = |interface: &&Interface| {
        interface.ifindex != from.ifindex
            && interface.up
            && interface.name != "lo"
            && (interface.master.is_some()
                || topology.routes.iter().any(|route| route.unicast && route.oif == Some(interface.ifindex)))
    };
    let devices =
        topology.interfaces.values().filter(is_way_out).map(|interface| egress(topology, interface));
    let routes = topology
        .routes
        .iter()
        .filter(|route| route.unicast && route.oif != Some(from.ifindex))
        .filter_map(|route| route.mtu);
    devices.chain(routes).min().unwrap_or(NO_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_core::model::flow::Family;
    use probe_core::model::interface::{DeviceCounters, OuterDf, Peer, Role, Tunnel};
    use probe_core::model::route::Route;

    fn interface(ifindex: u32, mtu: u32) -> Interface {
        Interface {
            ifindex,
            name: format!("if{ifindex}"),
            kind: String::new(),
            mtu,
            up: true,
            ethernet: true,
            role: Role::Link,
            master: None,
            master_kind: None,
            lower: None,
            peer: None,
            tunnel: None,
            addresses: Vec::new(),
            counters: DeviceCounters::default(),
        }
    }

    fn route(oif: u32, mtu: Option<u32>) -> Route {
        Route {
            family: Family::Ipv4,
            table: 254,
            destination: None,
            oif: Some(oif),
            gateway: None,
            mtu,
            mtu_locked: false,
            advmss: None,
            unicast: true,
        }
    }

    /// A pod on a veth (7), an uplink (2), a tunnel over it (3) and a device without routes (4).
    fn node() -> Topology {
        let mut topology = Topology::default();
        let peer = Peer { ifindex: 2, nsid: Some(0), mtu: Some(1400), ..Peer::default() };
        let tunnel = Tunnel {
            overhead: Some(50),
            underlay: Some(2),
            df: OuterDf::Unset,
            port: Some(4789),
            local: None,
            remotes: Vec::new(),
        };
        for interface in [
            interface(2, 1500),
            Interface { tunnel: Some(tunnel), ..interface(3, 1480) },
            interface(4, 576),
            Interface { peer: Some(peer), ..interface(7, 9000) },
        ] {
            topology.interfaces.insert(interface.ifindex, interface);
        }
        topology.routes = vec![route(2, None), route(3, None), route(7, None)];
        topology
    }

    #[test]
    fn every_way_out_counts_but_its_own() {
        let topology = node();
        let of = |ifindex| of(&topology, topology.interface(ifindex).expect("an interface"));
        // The tunnel's underlay less the overhead; what the pod's own end takes is no limit for its own packets.
        assert_eq!(of(7), [1450, 1404]);
        // To the pod, with the slack of the veth.
        assert_eq!(of(2), [1404, 1500]);
        assert_eq!(of(3), [1404, 1450]);
    }

    #[test]
    fn route_mtus_are_limits() {
        let mut topology = node();
        topology.routes.push(route(2, Some(1300)));
        assert_eq!(of(&topology, topology.interface(7).expect("an interface"))[0], 1300);
    }

    #[test]
    fn without_ways_out_nothing_limits() {
        let mut topology = node();
        topology.routes.clear();
        assert_eq!(of(&topology, topology.interface(7).expect("an interface"))[0], NO_LIMIT);
        assert_eq!(of_peer(topology.interface(2).expect("an interface")), NO_LIMIT);
    }
}
