//! Which part each interface plays on this node: uplink, overlay, bridge, port, pod or plain link.
use super::interface::{Interface, Role};
use super::route::Route;
use super::topology::Topology;
use std::collections::{BTreeMap, BTreeSet};

/// Main routing table (`RT_TABLE_MAIN`).
const MAIN_TABLE: u32 = 254;

/// How the processes of another namespace reach the rest of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayBack {
    /// Its default route leaves by a device whose other end is here.
    DefaultRoute,
    /// No device of it leads anywhere else.
    OnlyWay,
    /// Its default route leaves by a device that does not lead here.
    Elsewhere,
    /// Could not be read, or it has several ways and no default route.
    Unknown,
}

/// What is known beyond our own tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The namespaces that veths lead to, by the id that we have for them.
    pub namespaces: BTreeMap<i32, WayBack>,
    /// Those that a container runtime has a record of.
    pub recorded: BTreeSet<i32>,
    /// Ports of bridges behind which a router of ours was learned.
    pub router_ports: BTreeSet<u32>,
}

/// Gives every interface of `topology` its role (contract, section 1).
pub fn assign(topology: &mut Topology, surroundings: &Surroundings) {
    let roles = Roles::of(topology, surroundings);
    let found: Vec<(u32, Role)> =
        topology.interfaces.values().map(|interface| (interface.ifindex, roles.role(interface))).collect();
    for (ifindex, role) in found {
        if let Some(interface) = topology.interfaces.get_mut(&ifindex) {
            interface.role = role;
        }
    }
}

struct Roles<'a> {
    topology: &'a Topology,
    surroundings: &'a Surroundings,
    uplinks: BTreeSet<u32>,
    /// Namespaces behind an uplink: nothing in them belongs to this node.
    outside: BTreeSet<i32>,
}

impl<'a> Roles<'a> {
    fn of(topology: &'a Topology, surroundings: &'a Surroundings) -> Self {
        let mut roles = Self { topology, surroundings, uplinks: BTreeSet::new(), outside: BTreeSet::new() };
        let first: Vec<u32> = topology
            .interfaces
            .values()
            .filter(|interface| roles.carries_uplink_route(interface))
            .map(|interface| interface.ifindex)
            .chain(underlays(topology))
            .collect();
        for ifindex in first {
            roles.add_uplink(ifindex);
        }
        roles.outside = topology
            .interfaces
            .values()
            .filter(|interface| roles.uplinks.contains(&interface.ifindex))
            .filter_map(far_nsid)
            .collect();
        roles
    }

    fn carries_uplink_route(&self, interface: &Interface) -> bool {
        let routes = || self.topology.routes.iter().filter(|route| leaves_by(route, interface.ifindex));
        if interface.tunnel.is_some() || is_loopback(interface) || interface.kind == "vrf" {
            return false;
        }
        if has_both_ends_here(interface) {
            // A datapath's inner pair (cilium_host): its gateway routes and rule tables lead to its own programs.
            return routes().any(|route| route.destination.is_none() && route.table == MAIN_TABLE);
        }
        let default_route = routes().any(|route| route.destination.is_none());
        let gateway_route = routes().any(|route| route.gateway.is_some());
        // A pod may be somebody's router and still be a pod.
        default_route || gateway_route && !self.is_proved_pod(interface)
    }

    /// An uplink, and the devices below it that carry its packets out.
    fn add_uplink(&mut self, ifindex: u32) {
        let Some(interface) = self.topology.interface(ifindex) else { return };
        if is_loopback(interface) || !self.uplinks.insert(ifindex) {
            return;
        }
        if let Some(lower) = interface.lower {
            self.add_uplink(lower);
        }
        let carriers: Vec<u32> = self
            .topology
            .interfaces
            .values()
            .filter(|port| self.carries_for(interface, port))
            .map(|port| port.ifindex)
            .collect();
        for carrier in carriers {
            self.add_uplink(carrier);
        }
    }

    /// Whether a port takes the packets of an uplink, its bridge or bond, out of the node.
    fn carries_for(&self, uplink: &Interface, port: &Interface) -> bool {
        if uplink.kind == "openvswitch" {
            // The bridges of Open vSwitch are all ports of one datapath: only flows know which port is whose.
            return port.master_kind.as_deref() == Some("openvswitch") && is_physical(port);
        }
        if port.master != Some(uplink.ifindex) || uplink.kind == "vrf" {
            return false;
        }
        is_physical(port)
            || self.surroundings.router_ports.contains(&port.ifindex)
            || self.has_router_at_other_end(uplink, port)
    }

    fn has_router_at_other_end(&self, uplink: &Interface, port: &Interface) -> bool {
        let Some(peer) = &port.peer else { return false };
        let mut gateways = self
            .topology
            .routes
            .iter()
            .filter(|route| leaves_by(route, uplink.ifindex))
            .filter_map(|route| route.gateway);
        gateways.any(|gateway| peer.addresses.contains(&gateway))
    }

    fn role(&self, interface: &Interface) -> Role {
        if interface.tunnel.is_some() {
            Role::Overlay
        } else if self.uplinks.contains(&interface.ifindex) {
            Role::Uplink
        } else if self.is_pod(interface) {
            Role::Pod
        } else if interface.kind == "bridge" {
            Role::Bridge
        } else if is_bridge_port(interface) {
            Role::Port
        } else {
            Role::Link
        }
    }

    fn is_pod(&self, interface: &Interface) -> bool {
        let Some(nsid) = far_nsid(interface) else { return false };
        if self.outside.contains(&nsid) {
            return false;
        }
        if self.surroundings.recorded.contains(&nsid) {
            return true;
        }
        match self.surroundings.namespaces.get(&nsid) {
            Some(WayBack::DefaultRoute | WayBack::OnlyWay) => true,
            Some(WayBack::Elsewhere) => false,
            Some(WayBack::Unknown) | None => is_bridge_port(interface) || self.has_host_route(interface),
        }
    }

    /// Whether a route to a single address leaves by an interface without a router: the routed style of pods.
    fn has_host_route(&self, interface: &Interface) -> bool {
        self.topology.routes.iter().filter(|route| leaves_by(route, interface.ifindex)).any(|route| {
            route.gateway.is_none()
                && route.destination.is_some_and(|(address, length)| {
                    length == if address.is_ipv4() { 32 } else { 128 } && !address.is_multicast()
                })
        })
    }

    fn is_proved_pod(&self, interface: &Interface) -> bool {
        far_nsid(interface).is_some_and(|nsid| {
            self.surroundings.recorded.contains(&nsid)
                || self.surroundings.namespaces.get(&nsid) == Some(&WayBack::DefaultRoute)
        })
    }
}

/// The devices that the outer packets of working tunnels leave by.
fn underlays(topology: &Topology) -> impl Iterator<Item = u32> {
    topology
        .interfaces
        .values()
        .filter(|interface| interface.up)
        .filter_map(|interface| interface.tunnel.as_ref()?.underlay)
        .filter(|&underlay| topology.interface(underlay).is_some_and(|device| device.tunnel.is_none()))
}

fn leaves_by(route: &Route, ifindex: u32) -> bool {
    route.unicast && route.oif == Some(ifindex)
}

fn far_nsid(interface: &Interface) -> Option<i32> {
    interface.peer.as_ref()?.nsid
}

fn has_both_ends_here(interface: &Interface) -> bool {
    interface.peer.as_ref().is_some_and(|peer| peer.nsid.is_none())
}

fn is_loopback(interface: &Interface) -> bool {
    interface.name == "lo"
}

fn is_bridge_port(interface: &Interface) -> bool {
    matches!(interface.master_kind.as_deref(), Some("bridge" | "openvswitch"))
}

/// Hardware, or what bundles and divides it.
fn is_physical(interface: &Interface) -> bool {
    matches!(interface.kind.as_str(), "" | "bond" | "team" | "vlan" | "dsa" | "macvlan")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{device, enslaved, pair, route, topology, tunnel};

    fn assigned(mut topology: Topology, surroundings: &Surroundings) -> Vec<(String, Role)> {
        assign(&mut topology, surroundings);
        topology.interfaces.into_values().map(|interface| (interface.name, interface.role)).collect()
    }

    fn surroundings(namespaces: &[(i32, WayBack)]) -> Surroundings {
        Surroundings { namespaces: namespaces.iter().copied().collect(), ..Surroundings::default() }
    }

    fn expect(topology: Topology, surroundings: &Surroundings, expected: &[(&str, Role)]) {
        let expected: Vec<(String, Role)> =
            expected.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect();
        assert_eq!(assigned(topology, surroundings), expected);
    }

    #[test]
    fn an_uplink_that_is_a_veth_is_no_pod_even_if_its_namespace_leads_back() {
        let node = topology(
            vec![
                device(1, "lo", "", 65536),
                pair(2, "eth0", Some(0), 1500, 1500),
                pair(3, "cali1", Some(1), 1500, 1500),
            ],
            vec![route("default", 2, Some("10.0.1.1")), route("10.244.1.11/32", 3, None)],
        );
        let around = surroundings(&[(0, WayBack::OnlyWay), (1, WayBack::OnlyWay)]);
        expect(node, &around, &[("lo", Role::Link), ("eth0", Role::Uplink), ("cali1", Role::Pod)]);
    }

    #[test]
    fn a_second_link_to_the_outside_is_a_plain_link() {
        let node = topology(
            vec![pair(2, "eth0", Some(0), 1500, 1500), pair(3, "eth1", Some(0), 1500, 1500)],
            vec![route("default", 2, Some("10.0.1.1")), route("10.0.11.1/32", 3, None)],
        );
        let mut around = surroundings(&[(0, WayBack::OnlyWay)]);
        expect(node.clone(), &around, &[("eth0", Role::Uplink), ("eth1", Role::Link)]);
        // Processes of the outside may be containers too: that makes it no pod of ours.
        around.recorded.insert(0);
        expect(node, &around, &[("eth0", Role::Uplink), ("eth1", Role::Link)]);
    }

    #[test]
    fn every_next_hop_table_and_family_makes_an_uplink() {
        let mut by_table = route("default", 4, Some("10.0.12.1"));
        by_table.table = 1000;
        let node = topology(
            vec![
                device(2, "eth0", "", 1500),
                device(3, "eth1", "", 1500),
                device(4, "eth2", "", 1500),
                device(5, "eth3", "", 1500),
            ],
            vec![
                route("default", 2, Some("10.0.1.1")),
                route("default", 3, Some("fe80::1")),
                by_table,
                route("10.9.0.0/16", 5, Some("10.0.13.1")),
            ],
        );
        let all =
            [("eth0", Role::Uplink), ("eth1", Role::Uplink), ("eth2", Role::Uplink), ("eth3", Role::Uplink)];
        expect(node, &Surroundings::default(), &all);
    }

    #[test]
    fn a_pod_that_is_a_router_for_others_stays_a_pod_once_it_is_proved_one() {
        let node = topology(
            vec![pair(3, "cali1", Some(1), 1500, 1500)],
            vec![route("10.244.1.11/32", 3, None), route("10.9.0.0/16", 3, Some("10.244.1.11"))],
        );
        expect(node.clone(), &surroundings(&[(1, WayBack::DefaultRoute)]), &[("cali1", Role::Pod)]);
        expect(node.clone(), &surroundings(&[(1, WayBack::Elsewhere)]), &[("cali1", Role::Uplink)]);
        expect(node, &surroundings(&[(1, WayBack::Unknown)]), &[("cali1", Role::Uplink)]);
    }

    #[test]
    fn an_inner_pair_is_no_uplink_whatever_its_routes() {
        let mut by_rule = route("default", 2, Some("10.244.1.5"));
        by_rule.table = 2005;
        let node = topology(
            vec![pair(2, "cilium_host", None, 1500, 1500), pair(3, "cilium_net", None, 1500, 1500)],
            vec![route("10.244.1.0/24", 2, Some("10.244.1.5")), by_rule],
        );
        expect(node, &Surroundings::default(), &[("cilium_host", Role::Link), ("cilium_net", Role::Link)]);
    }

    #[test]
    fn what_carries_an_uplink_is_one() {
        let mut vlan = device(4, "bond0.7", "vlan", 1500);
        vlan.lower = Some(3);
        let node = topology(
            vec![
                enslaved(device(2, "eth0", "", 1500), 3, "bond"),
                device(3, "bond0", "bond", 1500),
                vlan,
                device(5, "eth1", "", 1500),
            ],
            vec![route("default", 4, Some("10.0.1.1"))],
        );
        expect(
            node,
            &Surroundings::default(),
            &[
                ("eth0", Role::Uplink),
                ("bond0", Role::Uplink),
                ("bond0.7", Role::Uplink),
                ("eth1", Role::Link),
            ],
        );
    }

    #[test]
    fn pods_on_the_bridge_of_the_uplink_are_told_from_the_way_out() {
        let node = topology(
            vec![
                device(2, "br0", "bridge", 1500),
                enslaved(device(3, "eth0", "", 1500), 2, "bridge"),
                enslaved(pair(4, "veth4", Some(4), 1500, 1500), 2, "bridge"),
                enslaved(pair(5, "veth5", Some(5), 1500, 1500), 2, "bridge"),
                enslaved(device(6, "tap6", "tun", 1500), 2, "bridge"),
            ],
            vec![route("default", 2, Some("10.0.1.1"))],
        );
        let mut around = surroundings(&[(4, WayBack::DefaultRoute), (5, WayBack::Unknown)]);
        around.router_ports.insert(5);
        expect(
            node,
            &around,
            &[
                ("br0", Role::Uplink),
                ("eth0", Role::Uplink),
                ("veth4", Role::Pod),
                ("veth5", Role::Uplink),
                ("tap6", Role::Port),
            ],
        );
    }

    #[test]
    fn a_router_whose_address_is_at_the_other_end_needs_no_learning() {
        let mut port = enslaved(pair(3, "veth3", Some(3), 1500, 1500), 2, "bridge");
        port.peer.as_mut().unwrap().addresses.push("10.0.1.1".parse().unwrap());
        let node = topology(
            vec![device(2, "br0", "bridge", 1500), port],
            vec![route("default", 2, Some("10.0.1.1"))],
        );
        let around = surroundings(&[(3, WayBack::Unknown)]);
        expect(node, &around, &[("br0", Role::Uplink), ("veth3", Role::Uplink)]);
    }

    #[test]
    fn a_tunnel_is_an_overlay_and_its_underlay_an_uplink() {
        let mut down = tunnel(5, "vx1", "vxlan", 1450, Some(3));
        down.up = false;
        let node = topology(
            vec![
                device(2, "eth0", "", 1500),
                device(3, "eth1", "", 1500),
                tunnel(4, "vx0", "vxlan", 1450, Some(2)),
                down,
            ],
            vec![route("default", 4, Some("10.99.0.1"))],
        );
        expect(
            node,
            &Surroundings::default(),
            &[("eth0", Role::Uplink), ("eth1", Role::Link), ("vx0", Role::Overlay), ("vx1", Role::Overlay)],
        );
    }

    #[test]
    fn what_cannot_be_read_is_a_pod_if_our_tables_say_so() {
        let node = topology(
            vec![
                device(2, "cni0", "bridge", 1500),
                enslaved(pair(3, "veth3", Some(3), 1500, 1500), 2, "bridge"),
                pair(4, "cali4", Some(4), 1500, 1500),
                pair(5, "veth5", Some(5), 1500, 1500),
                pair(6, "cali6", Some(6), 1500, 1500),
            ],
            vec![
                route("10.244.1.0/24", 2, None),
                route("10.244.1.4/32", 4, None),
                route("10.5.0.0/24", 5, None),
                route("fe80::/64", 5, None),
                route("fd00::6/128", 6, None),
            ],
        );
        expect(
            node,
            &Surroundings::default(),
            &[
                ("cni0", Role::Bridge),
                ("veth3", Role::Pod),
                ("cali4", Role::Pod),
                ("veth5", Role::Link),
                ("cali6", Role::Pod),
            ],
        );
    }

    #[test]
    fn a_record_of_a_runtime_makes_a_pod_of_what_nothing_else_proves() {
        let node = topology(vec![pair(3, "lxc3", Some(3), 1500, 1500)], Vec::new());
        let mut around = surroundings(&[(3, WayBack::Elsewhere)]);
        expect(node.clone(), &around, &[("lxc3", Role::Link)]);
        around.recorded.insert(3);
        expect(node, &around, &[("lxc3", Role::Pod)]);
    }

    #[test]
    fn ports_of_open_vswitch_are_told_by_hardware() {
        let node = topology(
            vec![
                device(2, "br-ex", "openvswitch", 1500),
                device(3, "ovs-system", "openvswitch", 1500),
                enslaved(device(4, "eth0", "", 1500), 3, "openvswitch"),
                enslaved(pair(5, "veth5", Some(5), 1400, 1400), 3, "openvswitch"),
            ],
            vec![route("default", 2, Some("10.0.1.1"))],
        );
        expect(
            node,
            &Surroundings::default(),
            &[
                ("br-ex", Role::Uplink),
                ("ovs-system", Role::Link),
                ("eth0", Role::Uplink),
                ("veth5", Role::Pod),
            ],
        );
    }
}
