//! Which part each interface plays on this node: uplink, overlay, bridge, port, pod or plain link.
use super::interface::{Interface, Role};
use super::route::Route;
use super::rule::MAIN_TABLE;
use super::topology::Topology;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

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
    /// Ports of bridges behind which the router of a default route was learned.
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
        // A pod may be somebody's router and still be a pod.
        routes().any(|route| {
            route.destination.is_none()
                || route.gateway.is_some_and(|gateway| !self.is_at_pod(interface, gateway))
        })
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
            return port.master_kind.as_deref() == Some("openvswitch")
                && (is_physical(port) || self.has_router_at_other_end(uplink, port));
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
        self.topology.routes.iter().filter(|route| leaves_by(route, uplink.ifindex)).any(|route| {
            let is_here = route.gateway.is_some_and(|gateway| peer.addresses.contains(&gateway));
            is_here && (route.destination.is_none() || !self.is_proved_pod(port))
        })
    }

    /// Whether a router that is reached by an interface is a pod, at its other end or behind a port of it.
    fn is_at_pod(&self, interface: &Interface, gateway: IpAddr) -> bool {
        if self.is_proved_pod(interface) {
            return true;
        }
        self.topology.interfaces.values().any(|port| {
            port.master == Some(interface.ifindex)
                && port.peer.as_ref().is_some_and(|peer| peer.addresses.contains(&gateway))
                && self.is_proved_pod(port)
        })
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
mod tests;
