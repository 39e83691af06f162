//! The largest packet that every way out of an interface takes: above it, a packet is a candidate for being oversize.
//!
//! A limit that is too small costs a closer look at packets that fit; one that is too large would miss a fault. So
//! whatever a packet may meet counts, except what nothing is routed to.
use super::interface::{Interface, Role};
use super::topology::Topology;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Bytes above the MTU that a veth end still takes, a VLAN tag's room (`is_skb_forwardable`).
pub const VETH_SLACK: u32 = 4;

/// Sizes in bytes at layer 3; `None` where nothing limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Largest packet that any way out takes, for packets that the interface receives.
    pub ingress: Option<u32>,
    /// Largest packet that it takes itself, the ports of a bridge and the other end of a pair included.
    pub egress: Option<u32>,
    /// Largest packet that the other end of a veth does not drop without a word.
    pub peer: Option<u32>,
}

/// The limits of all interfaces of a topology.
#[derive(Clone, Debug)]
pub struct LimitTable<'a> {
    topology: &'a Topology,
    /// Ways out by index, the smallest limit first.
    all: Vec<(u32, u32)>,
    /// The same without what leads away from the node.
    inward: Vec<(u32, u32)>,
}

impl<'a> LimitTable<'a> {
    /// Collects the ways out.
    pub fn new(topology: &'a Topology) -> Self {
        let routed: BTreeSet<u32> = topology
            .routes
            .iter()
            .filter(|route| route.unicast && !is_link_local(route.destination))
            .filter_map(|route| route.oif)
            .collect();
        let devices = topology
            .interfaces
            .values()
            .filter(|interface| is_way_out(interface, &routed))
            .map(|interface| (topology.device_limit(interface), interface));
        let routes = topology.routes.iter().filter(|route| route.unicast).filter_map(|route| {
            let interface = topology.interface(route.oif?).filter(|interface| interface.up)?;
            Some((route.mtu?, interface))
        });
        let mut ways: Vec<(u32, &Interface)> = devices.chain(routes).collect();
        ways.sort_by_key(|(limit, interface)| (*limit, interface.ifindex));
        let all = ways.iter().map(|(limit, interface)| (*limit, interface.ifindex)).collect();
        let inward = ways
            .iter()
            .filter(|(_, interface)| !leads_away(interface.role))
            .map(|(limit, interface)| (*limit, interface.ifindex))
            .collect();
        Self { topology, all, inward }
    }

    /// The limits of one interface; nothing limits one that is not there.
    pub fn of(&self, ifindex: u32) -> Limits {
        let Some(interface) = self.topology.interface(ifindex) else { return Limits::default() };
        // What comes from outside goes to the pods; what comes from them goes anywhere.
        let ways = if leads_away(interface.role) { &self.inward } else { &self.all };
        let other_end = interface.peer.as_ref().and_then(|peer| peer.mtu);
        let ports = self
            .topology
            .interfaces
            .values()
            .filter(|port| interface.kind == "bridge" && port.master == Some(ifindex) && port.up)
            .map(|port| port.mtu);
        Limits {
            ingress: ways.iter().find(|(_, way)| *way != ifindex).map(|(limit, _)| *limit),
            egress: ports.chain(other_end).chain([self.topology.device_limit(interface)]).min(),
            // A netkit pair has no such check (`netkit_xmit`).
            peer: other_end.filter(|_| interface.kind == "veth").map(|mtu| mtu.saturating_add(VETH_SLACK)),
        }
    }
}

fn leads_away(role: Role) -> bool {
    match role {
        Role::Uplink | Role::Overlay => true,
        Role::Pod | Role::Bridge | Role::Port | Role::Link => false,
    }
}

/// Whether packets may leave by a device. Pods, ports and tunnels get packets from programs and bridges without any
/// route; other devices need one.
fn is_way_out(interface: &Interface, routed: &BTreeSet<u32>) -> bool {
    interface.up
        && interface.name != "lo"
        && match interface.role {
            Role::Pod | Role::Overlay | Role::Port | Role::Uplink => true,
            Role::Bridge | Role::Link => routed.contains(&interface.ifindex),
        }
}

/// Every device that has IPv6 has such a route: it leads nowhere beyond the link.
fn is_link_local(destination: Option<(IpAddr, u8)>) -> bool {
    destination.is_some_and(|(address, _)| match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local() || address.is_multicast(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{device, pair, route, topology, tunnel};
    use crate::model::route::Route;

    const UPLINK: u32 = 2;
    const OVERLAY: u32 = 3;
    const POD1: u32 = 11;
    const POD2: u32 = 12;

    /// Jumbo pods, an uplink of 1500, a vxlan of 1500 over it.
    fn node() -> Topology {
        topology(
            vec![
                device(1, "lo", "", 65536),
                Interface { role: Role::Uplink, ..device(UPLINK, "eth0", "", 1500) },
                Interface { role: Role::Overlay, ..tunnel(OVERLAY, "vx0", "vxlan", 1500, Some(UPLINK)) },
                Interface { role: Role::Pod, ..pair(POD1, "cali1", Some(1), 9000, 9000) },
                Interface { role: Role::Pod, ..pair(POD2, "cali2", Some(2), 8000, 8500) },
            ],
            vec![
                route("default", UPLINK, Some("10.0.1.1")),
                route("10.244.1.11/32", POD1, None),
                route("10.244.1.12/32", POD2, None),
                route("fe80::/64", UPLINK, None),
            ],
        )
    }

    fn limits(topology: &Topology, ifindex: u32) -> (Option<u32>, Option<u32>, Option<u32>) {
        let limits = LimitTable::new(topology).of(ifindex);
        (limits.ingress, limits.egress, limits.peer)
    }

    #[test]
    fn what_pods_send_may_meet_every_way_out_but_its_own_interface() {
        assert_eq!(limits(&node(), POD1), (Some(1450), Some(9000), Some(9004)));
        let mut small = node();
        small.interfaces.get_mut(&POD1).unwrap().mtu = 1300;
        assert_eq!(limits(&small, POD1).0, Some(1450));
        assert_eq!(limits(&small, POD2).0, Some(1300));
    }

    #[test]
    fn what_comes_from_outside_goes_to_the_pods() {
        assert_eq!(limits(&node(), UPLINK), (Some(8000), Some(1500), None));
        assert_eq!(limits(&node(), OVERLAY), (Some(8000), Some(1450), None));
    }

    #[test]
    fn the_smaller_end_of_a_pair_takes_what_is_sent() {
        assert_eq!(limits(&node(), POD2), (Some(1450), Some(8000), Some(8504)));
        let mut topology = node();
        topology.interfaces.get_mut(&POD2).unwrap().peer.as_mut().unwrap().mtu = Some(1400);
        assert_eq!(limits(&topology, POD2), (Some(1450), Some(1400), Some(1404)));
    }

    #[test]
    fn a_netkit_drops_nothing_for_its_size() {
        let mut topology = node();
        topology.interfaces.get_mut(&POD2).unwrap().kind = "netkit".to_owned();
        assert_eq!(limits(&topology, POD2).2, None);
    }

    #[test]
    fn route_metrics_limit_whoever_may_take_the_route() {
        let mut topology = node();
        topology.routes.push(Route { mtu: Some(1400), ..route("203.0.113.0/24", UPLINK, Some("10.0.1.1")) });
        assert_eq!(limits(&topology, POD1).0, Some(1400));
        assert_eq!(limits(&topology, UPLINK).0, Some(8000), "nothing turns back");
        topology.routes.push(Route { mtu: Some(1350), ..route("10.244.1.12/32", POD2, None) });
        assert_eq!(limits(&topology, UPLINK).0, Some(1350));
        assert_eq!(limits(&topology, POD2).0, Some(1400), "its own route is not its way out");
    }

    #[test]
    fn a_device_that_is_down_or_that_nothing_is_routed_to_does_not_count() {
        let mut topology = node();
        let idle = device(21, "docker0", "bridge", 600);
        topology.interfaces.insert(21, Interface { role: Role::Bridge, ..idle });
        topology.routes.push(route("fe80::/64", 21, None));
        assert_eq!(limits(&topology, POD1).0, Some(1450));
        topology.routes.push(route("172.17.0.0/16", 21, None));
        assert_eq!(limits(&topology, POD1).0, Some(600));
        topology.interfaces.get_mut(&21).unwrap().up = false;
        assert_eq!(limits(&topology, POD1).0, Some(1450));
    }

    #[test]
    fn a_bridge_takes_what_its_smallest_port_takes() {
        let mut topology = node();
        let bridge = device(21, "cni0", "bridge", 9000);
        topology.interfaces.insert(21, Interface { role: Role::Bridge, ..bridge });
        topology.interfaces.get_mut(&POD2).unwrap().master = Some(21);
        assert_eq!(limits(&topology, 21).1, Some(8000));
    }

    #[test]
    fn nothing_limits_what_is_alone_or_unknown() {
        let alone =
            topology(vec![Interface { role: Role::Uplink, ..device(2, "eth0", "", 1500) }], Vec::new());
        assert_eq!(limits(&alone, 2), (None, Some(1500), None));
        assert_eq!(limits(&alone, 99), (None, None, None));
    }
}
