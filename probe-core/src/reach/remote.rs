//! From a pod to what is beyond its node.
use super::egress::{self, By};
use super::joint::{Joint, Place};
use super::sender::{self, Target, host_end};
use super::{Destination, Reach, is_link_local, switch};
use crate::model::flow::Family;
use crate::model::interface::{Interface, Role};
use crate::model::pod::Pod;
use crate::model::route::{Route, prefix_covers};
use crate::model::survey::Survey;
use crate::model::topology::Topology;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The ways out of a node.
pub struct Ways {
    family: Family,
    ways: Vec<Way>,
}

/// A way out of the node.
struct Way {
    to: Destination,
    target: Target,
    /// The route; none where a program decides.
    route: Option<Route>,
    chain: Vec<Joint>,
    /// Named destinations; a few networks that the same chain leads to.
    destinations: Vec<String>,
    count: usize,
    is_meant: bool,
}

impl Ways {
    pub fn new(survey: &Survey, family: Family) -> Self {
        let node = &survey.node;
        let mut ways: Vec<Way> = Vec::new();
        for route in preferred(node, family) {
            let Some(to) = kind(node, route) else { continue };
            let chain = egress::joints(node, route, Place::Node, By::Forwarder);
            let (target, name) = match route.destination {
                Some((network, length)) => (Target::Address(network), format!("{network}/{length}")),
                None => (Target::Default, "default".to_owned()),
            };
            ways.push(Way {
                to,
                target,
                route: Some(route.clone()),
                chain,
                destinations: vec![name],
                count: 1,
                is_meant: is_meant(node, route),
            });
        }
        ways.extend(programs(node, family));
        Self { family, ways }
    }

    /// What a pod can send beyond the node.
    pub fn from(&self, survey: &Survey, pod: &Pod) -> Vec<Reach> {
        if let Some(parent) = pod.host_ifindex.is_none().then(|| parent(survey, pod)).flatten() {
            return self.by_parent(survey, pod, parent);
        }
        if let Some(port) = outward_port(survey, pod, self.family) {
            return self.by_port(survey, pod, port);
        }
        if let Some(reaches) = switch::remote(self, survey, pod) {
            return reaches;
        }
        let end = host_end(survey, pod);
        let entry = end.and_then(|end| survey.node.entry(end));
        let mut reaches = self.routed(survey, pod, entry, &[]);
        let overlays = end.into_iter().flat_map(|end| overlay_ports(&survey.node, end));
        reaches.extend(overlays.filter_map(|port| self.bridged(survey, pod, port)));
        reaches
    }

    /// What the node routes for a pod whose packets come by `entry`, and meet some joints before.
    pub(super) fn routed(
        &self,
        survey: &Survey,
        pod: &Pod,
        entry: Option<&Interface>,
        before: &[Joint],
    ) -> Vec<Reach> {
        let source = pod.addresses.iter().copied().find(|address| Family::of(*address) == self.family);
        let taken =
            |way: &&Way| way.route.as_ref().is_none_or(|route| survey.node.may_take(route, source, entry));
        let routed = self.ways.iter().filter(taken).filter_map(|way| {
            let start = sender::start(survey, pod, self.family, way.target)?;
            let chain = start.into_iter().chain(before.iter().cloned()).chain(way.chain.iter().cloned());
            let reach = self.reach(pod, way.to, chain.collect(), way.destinations.clone());
            Some(Reach { is_meant: way.is_meant, destination_count: way.count, ..reach })
        });
        routed.collect()
    }

    pub(super) fn family(&self) -> Family {
        self.family
    }

    /// A pod on a macvlan or the like leaves by the device below, past the node's routes.
    fn by_parent(&self, survey: &Survey, pod: &Pod, parent: &Interface) -> Vec<Reach> {
        let joint = egress::device(parent, self.family, Place::Node, super::Beyond::Silent);
        self.by_joints(survey, pod, &[joint])
    }

    /// A pod whose router is out there on its bridge leaves by the bridge's port.
    fn by_port(&self, survey: &Survey, pod: &Pod, port: &Interface) -> Vec<Reach> {
        self.by_joints(survey, pod, &egress::port(&survey.node, port, self.family))
    }

    pub(super) fn by_joints(&self, survey: &Survey, pod: &Pod, joints: &[Joint]) -> Vec<Reach> {
        let network = own_network(survey, pod, self.family);
        let near = network.map(|(network, length)| {
            (Destination::OtherNode, Target::Address(network), format!("{network}/{length}"))
        });
        let outside = (Destination::Outside, Target::Default, "default".to_owned());
        near.into_iter()
            .chain([outside])
            .filter_map(|(to, target, name)| {
                let start = sender::start(survey, pod, self.family, target)?;
                let chain = start.into_iter().chain(joints.iter().cloned()).collect();
                Some(self.reach(pod, to, chain, vec![name]))
            })
            .collect()
    }

    pub(super) fn reach(
        &self,
        pod: &Pod,
        to: Destination,
        chain: Vec<Joint>,
        destinations: Vec<String>,
    ) -> Reach {
        let destination_count = destinations.len();
        Reach {
            pod: pod.clone(),
            to,
            family: self.family,
            chain,
            destinations,
            destination_count,
            is_meant: true,
        }
    }
}

/// The unicast routes of a family by devices that are up; of several to one network in a table, the kernel's choice.
pub fn preferred(topology: &Topology, family: Family) -> Vec<&Route> {
    let is_up = |route: &&Route| {
        route.oif.and_then(|oif| topology.interface(oif)).is_some_and(|interface| interface.up)
    };
    let usable =
        || topology.routes.iter().filter(|route| route.unicast && route.family == family).filter(is_up);
    let mut lowest: BTreeMap<(u32, Option<(IpAddr, u8)>), u32> = BTreeMap::new();
    for route in usable() {
        let lowest = lowest.entry((route.table, route.destination)).or_insert(route.priority);
        *lowest = route.priority.min(*lowest);
    }
    usable().filter(|route| lowest.get(&(route.table, route.destination)) == Some(&route.priority)).collect()
}

/// Which kind of destination a route leads to; `None` for those of this node.
fn kind(node: &Topology, route: &Route) -> Option<Destination> {
    let interface = node.interface(route.oif?)?;
    let leads_away = match interface.role {
        Role::Overlay | Role::Uplink => true,
        Role::Pod | Role::Bridge | Role::Port | Role::Link => false,
    };
    match route.destination {
        None => leads_away.then_some(Destination::Outside),
        Some((network, _)) if is_link_local(network) => None,
        // A tunnel's own network has no end but this one.
        Some((network, length)) if length == host_length(network) && node.is_own_address(network) => None,
        Some(_) => leads_away.then_some(Destination::OtherNode),
    }
}

/// `RT_TABLE_MAIN`.
const MAIN_TABLE: u32 = 254;

/// Whether pods are known to be sent by a route. Any route may be taken by a pod's packets; but a tunnel that somebody has
/// to his office or to the machines that he maintains is no affair of the pods.
fn is_meant(node: &Topology, route: &Route) -> bool {
    let Some(interface) = route.oif.and_then(|oif| node.interface(oif)) else { return false };
    if interface.tunnel.is_none() {
        return true;
    }
    let is_private = matches!(interface.kind.as_str(), "wireguard" | "tun" | "xfrm" | "vti" | "vti6");
    let Some((network, length)) = route.destination else { return !is_private || route.table == MAIN_TABLE };
    let addresses = || node.pods.iter().flat_map(|pod| &pod.addresses).copied();
    if addresses().any(|address| prefix_covers(network, length, address)) {
        return true;
    }
    let is_own_network = route.gateway.is_none()
        && interface.addresses.iter().any(|(own, _)| prefix_covers(network, length, *own));
    // Pods of all nodes share one network, and have such a route for each other node.
    let shared = if network.is_ipv4() { 16 } else { 48 };
    !is_own_network && (!is_private || addresses().any(|address| prefix_covers(network, shared, address)))
}

fn host_length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Tunnels without remote endpoints that nothing is routed to and that are no bridge's: a program puts packets into them.
fn programs(node: &Topology, family: Family) -> Vec<Way> {
    let is_routed =
        |ifindex: u32| node.routes.iter().any(|route| route.unicast && route.oif == Some(ifindex));
    let by_program = node
        .with_role(Role::Overlay)
        .filter(|interface| is_given_by_program(interface, is_routed(interface.ifindex)));
    by_program
        .map(|interface| {
            let mut chain = egress::port(node, interface, family);
            // A redirect compares nothing with the tunnel's own MTU.
            if let Some(first) = chain.first_mut() {
                first.beyond = super::Beyond::Told;
            }
            Way {
                to: Destination::OtherNode,
                target: Target::Default,
                route: None,
                chain,
                destinations: Vec::new(),
                count: 0,
                is_meant: true,
            }
        })
        .collect()
}

/// Whether packets come into a tunnel by a program only.
fn is_given_by_program(interface: &Interface, is_routed: bool) -> bool {
    interface.up
        && !is_routed
        && interface.master.is_none()
        && interface.tunnel.as_ref().is_some_and(|tunnel| tunnel.metadata)
}

/// The tunnels among the ports of the bridge that an interface is on.
fn overlay_ports<'a>(node: &'a Topology, end: &'a Interface) -> impl Iterator<Item = &'a Interface> {
    let bridge = end.master.filter(|_| end.master_kind.as_deref() == Some("bridge"));
    node.with_role(Role::Overlay).filter(move |port| bridge.is_some() && port.master == bridge && port.up)
}

/// The port to the outside of a pod's bridge, if the pod's router is not this node.
fn outward_port<'a>(survey: &'a Survey, pod: &Pod, family: Family) -> Option<&'a Interface> {
    let node = &survey.node;
    let end = host_end(survey, pod).filter(|end| end.master_kind.as_deref() == Some("bridge"))?;
    let route = sender::best_route(survey.inside(pod)?, family, Target::Default)?;
    if route.gateway.is_some_and(|gateway| node.is_own_address(gateway)) {
        return None;
    }
    node.interfaces.values().find(|port| {
        port.master == end.master && port.up && port.role == Role::Uplink && port.ifindex != end.ifindex
    })
}

/// The node's device below a pod's.
fn parent<'a>(survey: &'a Survey, pod: &Pod) -> Option<&'a Interface> {
    let own = survey.inside(pod)?.interface_named(pod.pod_interface.as_deref()?)?;
    survey.node.interface(own.lower?)
}

/// The network that a pod is in.
pub(super) fn own_network(survey: &Survey, pod: &Pod, family: Family) -> Option<(IpAddr, u8)> {
    let inside = survey.inside(pod)?;
    let own = inside.interface_named(pod.pod_interface.as_deref()?)?;
    inside
        .routes
        .iter()
        .filter(|route| {
            route.unicast
                && route.family == family
                && route.oif == Some(own.ifindex)
                && route.gateway.is_none()
        })
        .filter_map(|route| route.destination)
        .find(|(network, length)| !is_link_local(*network) && *length < host_length(*network))
}
