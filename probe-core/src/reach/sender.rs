//! The joints from a pod's socket to the node.
use super::egress::{self, By};
use super::joint::{Beyond, Joint, Place};
use crate::model::flow::Family;
use crate::model::interface::Interface;
use crate::model::pod::Pod;
use crate::model::route::Route;
use crate::model::survey::Survey;
use crate::model::topology::Topology;
use std::net::IpAddr;

/// Where a pod sends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To an address, or to a network that begins with it.
    Address(IpAddr),
    /// To what only the default route leads to.
    Default,
}

/// The joints of a pod on the way to a destination; `None` if its routes are known and none leads there by this
/// interface.
pub fn start(survey: &Survey, pod: &Pod, family: Family, target: Target) -> Option<Vec<Joint>> {
    let mut chain = match survey.inside(pod) {
        Some(inside) => {
            let own = inside.interface_named(pod.pod_interface.as_deref()?)?;
            own_chain(inside, own, best_route(inside, family, target)?)?
        }
        None => {
            let joint = Joint {
                interface: pod.pod_interface.clone().unwrap_or_else(|| "?".to_owned()),
                ifindex: 0,
                place: Place::Pod,
                is_pod_interface: true,
                mtu: pod.pod_mtu.or_else(|| host_end(survey, pod).map(|end| end.mtu))?,
                route_mtu: None,
                overhead: 0,
                padding: None,
                overhead_unknown: false,
                beyond: Beyond::Refused,
            };
            vec![joint]
        }
    };
    // A netkit pair checks no length (`netkit_xmit`).
    if let Some(end) = host_end(survey, pod).filter(|end| end.kind == "veth") {
        // The receiving end of a pair compares with its device's MTU, whatever the family.
        chain.push(egress::device(end, Family::Ipv4, Place::Node, Beyond::Silent));
    }
    Some(chain)
}

/// The node's end of a pod's pair.
pub fn host_end<'a>(survey: &'a Survey, pod: &Pod) -> Option<&'a Interface> {
    survey.node.interface(pod.host_ifindex?)
}

/// The pod's joints if a route leaves by its interface, directly or through a tunnel of the pod's own.
fn own_chain(inside: &Topology, own: &Interface, route: &Route) -> Option<Vec<Joint>> {
    let mut chain = egress::joints(inside, route, Place::Pod, By::Sender);
    let index = chain.iter().position(|joint| joint.ifindex == own.ifindex)?;
    chain.truncate(index + 1);
    chain.last_mut()?.is_pod_interface = true;
    Some(chain)
}

/// The route that a namespace takes: the longest prefix, of several the lowest metric.
pub fn best_route(topology: &Topology, family: Family, target: Target) -> Option<&Route> {
    let usable = |route: &&Route| {
        route.unicast
            && route.family == family
            && route.oif.and_then(|oif| topology.interface(oif)).is_some_and(|device| device.up)
    };
    let fits = |route: &&Route| match target {
        Target::Address(address) => route.covers(address),
        Target::Default => route.destination.is_none(),
    };
    topology
        .routes
        .iter()
        .filter(usable)
        .filter(fits)
        .min_by_key(|route| (std::cmp::Reverse(route.prefix_len()), route.priority))
}

/// Whether a pod's packets on a chain are those that a route of its own leads there.
pub fn takes(survey: &Survey, reach: &super::Reach, route: &Route) -> bool {
    let best = survey
        .inside(&reach.pod)
        .zip(reach.target())
        .and_then(|(inside, target)| best_route(inside, reach.family, target));
    best == Some(route)
}
