//! Mismatches in the configuration that no packet may have met yet (the kinds marked C in the contract).
mod mismatch;
mod pmtud;

pub use mismatch::Mismatch;
pub(crate) use pmtud::{locked_in_pods, locked_routes};

use crate::model::finding::{Direction, Kind, LimitAt, LimitHow};
use crate::model::flow::Family;
use crate::model::interface::{Interface, Role};
use crate::model::pod::Pod;
use crate::model::topology::Topology;
use crate::model::vswitch;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// All mismatches of a topology.
pub fn mismatches(topology: &Topology) -> Vec<Mismatch> {
    let mut found = Vec::new();
    // That device of a vswitch is down as a rule, and its ports work.
    let works = |interface: &&Interface| interface.up || interface.kind == vswitch::KIND;
    for interface in topology.interfaces.values().filter(works) {
        found.extend(veth_ends(topology, interface));
        found.extend(overlay(topology, interface));
        found.extend(bridge(topology, interface));
        found.extend(below_ipv6_minimum(topology, interface));
    }
    found.extend(egresses(topology));
    found.extend(pmtud::disabled(topology));
    found
}

/// The two ends of a pod's veth, if they differ. A netkit takes whatever it is given (`netkit_xmit`).
pub(crate) fn veth_ends(topology: &Topology, interface: &Interface) -> Option<Mismatch> {
    let peer_mtu = interface.peer.as_ref().filter(|peer| peer.nsid.is_some())?.mtu?;
    if interface.role != Role::Pod || interface.kind != "veth" || peer_mtu == interface.mtu {
        return None;
    }
    let pod = topology.pod_behind(interface.ifindex).cloned();
    let pod_end = pod.as_ref().and_then(|pod| pod.pod_interface.clone());
    let from_pod = interface.mtu < peer_mtu;
    Some(Mismatch {
        kind: Kind::VethMtuMismatch,
        ifindex: interface.ifindex,
        interface: if from_pod { interface.name.clone() } else { pod_end.unwrap_or_default() },
        limit: peer_mtu.min(interface.mtu),
        larger: peer_mtu.max(interface.mtu),
        at: if from_pod { LimitAt::Link } else { LimitAt::Pod },
        how: LimitHow::PeerMtu,
        pods: pod.iter().cloned().collect(),
        pod,
        direction: Some(if from_pod { Direction::FromPod } else { Direction::ToPod }),
        family: None,
        certain: false,
    })
}

/// The ways out that the pods' default routes name, each with the pods whose MTU is larger: one mismatch for all of them.
fn egresses(topology: &Topology) -> Vec<Mismatch> {
    let mut found: BTreeMap<(u32, u32), Mismatch> = BTreeMap::new();
    for pod in &topology.pods {
        let (Some(pod_mtu), Some((egress, limit, how))) = (pod.pod_mtu, way_out(topology, pod)) else {
            continue;
        };
        if pod_mtu <= limit {
            continue;
        }
        let new = || Mismatch::of_way_out(egress.ifindex, &egress.name, (limit, pod_mtu), how);
        let mismatch = found.entry((egress.ifindex, limit)).or_insert_with(new);
        mismatch.larger = mismatch.larger.max(pod_mtu);
        mismatch.pods.push(pod.clone());
    }
    found.into_values().collect()
}

/// The smallest of the ways that a pod's traffic to the outside takes.
fn way_out<'a>(topology: &'a Topology, pod: &Pod) -> Option<(&'a Interface, u32, LimitHow)> {
    let host_end = topology.interface(pod.host_ifindex?).and_then(|end| topology.entry(end));
    [Family::Ipv4, Family::Ipv6]
        .into_iter()
        .flat_map(|family| {
            let source = pod.addresses.iter().copied().find(|address| Family::of(*address) == family);
            topology.default_routes(family, source, host_end)
        })
        .filter_map(|route| {
            let egress = topology.interface(route.oif?)?;
            let device = topology.device_limit(egress);
            match route.mtu {
                Some(mtu) if mtu < device => Some((egress, mtu, LimitHow::RouteMtu)),
                Some(_) | None => Some((egress, device, LimitHow::DeviceMtu)),
            }
        })
        .min_by_key(|(_, limit, _)| *limit)
}

/// What can be put into a tunnel against what its underlay takes. The tunnel's own MTU is no fault if nobody sends that
/// much.
fn overlay(topology: &Topology, interface: &Interface) -> Option<Mismatch> {
    interface.tunnel.as_ref()?.overhead?;
    let limit = topology.device_limit(interface);
    let largest_sender = topology.pods.iter().filter_map(|pod| pod.pod_mtu).max()?;
    let larger = largest_sender.min(interface.mtu);
    let is_routed_into =
        topology.routes.iter().any(|route| route.unicast && route.oif == Some(interface.ifindex))
            || interface.master.is_some();
    if larger <= limit || !is_routed_into {
        return None;
    }
    let is_too_large = |pod: &&Pod| pod.pod_mtu.is_some_and(|mtu| mtu > limit);
    let pods = topology.pods.iter().filter(is_too_large).cloned().collect();
    Some(Mismatch::of_tunnel(interface, (limit, larger), pods))
}

fn bridge(topology: &Topology, interface: &Interface) -> Option<Mismatch> {
    // The device that all ports of a vswitch belong to takes part in nothing.
    let is_vswitch = interface.kind == vswitch::KIND;
    if interface.role != Role::Bridge && interface.kind != "bridge" && !is_vswitch {
        return None;
    }
    let ports: Vec<&Interface> = topology
        .interfaces
        .values()
        .filter(|port| port.up && port.master == Some(interface.ifindex))
        // A tunnel port of a vswitch takes everything: what it carries is compared elsewhere.
        .filter(|port| !is_vswitch || port.tunnel.is_none())
        .collect();
    let own = || Some(interface.mtu).filter(|_| !is_vswitch);
    // What pods on its ports send counts, and what the ports and the bridge itself take.
    let taken = ports.iter().map(|port| port.mtu).chain(own());
    let sent = ports.iter().map(|port| port.peer.as_ref().and_then(|peer| peer.mtu).unwrap_or(port.mtu));
    let (limit, larger) = (taken.min()?, sent.chain(own()).max()?);
    if ports.is_empty() || larger <= limit {
        return None;
    }
    let pods: Vec<Pod> = ports.iter().filter_map(|port| topology.pod_behind(port.ifindex)).cloned().collect();
    Some(Mismatch::of_bridge(interface, (limit, larger), pods))
}

/// Below 1280 the kernel takes IPv6 off an interface (RFC 8200 section 5, `addrconf_notify`).
pub(crate) fn below_ipv6_minimum(topology: &Topology, interface: &Interface) -> Option<Mismatch> {
    let minimum = Family::Ipv6.minimum_mtu();
    // The pod's own end decides: it is the pod that loses its addresses.
    let smallest = interface.peer.as_ref().filter(|peer| peer.nsid.is_some())?.mtu?;
    if interface.role != Role::Pod || smallest >= minimum {
        return None;
    }
    let is_global = |address: &&IpAddr| match address {
        IpAddr::V6(address) => !address.is_unicast_link_local(),
        IpAddr::V4(_) => false,
    };
    let others_have = topology
        .pods
        .iter()
        .filter(|pod| pod.host_ifindex != Some(interface.ifindex))
        .any(|pod| pod.addresses.iter().any(|address| is_global(&address)));
    let pod = topology.pod_behind(interface.ifindex).cloned();
    Some(Mismatch {
        kind: Kind::MtuBelowIpv6Minimum,
        ifindex: interface.ifindex,
        interface: interface.name.clone(),
        limit: smallest,
        larger: minimum,
        at: LimitAt::Pod,
        how: LimitHow::DeviceMtu,
        pods: pod.iter().cloned().collect(),
        pod,
        direction: None,
        family: None,
        certain: others_have,
    })
}
