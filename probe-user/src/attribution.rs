//! Whose interface it is: from network namespaces to pods.
//!
//! Every source is optional: losing one loses names, never findings.
pub mod cluster;
mod control_group;
mod host_pods;
pub mod names;
mod namespace_index;
mod namespace_names;
mod netns_counters;
mod netns_exceptions;
mod netns_settings;
mod netns_sockets;
mod pod_namespace;
mod processes;
pub mod sources;

pub use namespace_index::{NamespaceIdentity, NamespaceIndex};
pub use netns_counters::{CounterReader, NetnsCountersError};
pub use netns_exceptions::{ExceptionsError, learned_exceptions};
pub use netns_settings::shown_settings;
pub use netns_sockets::connections;
pub use pod_namespace::pod_namespace;

use probe_core::model::interface::{Interface, Role};
use probe_core::model::pod::{Pod, PodSource};
use probe_core::model::topology::Topology;
use std::net::IpAddr;

/// The pods behind the interfaces with role `pod`.
pub fn pods(topology: &Topology, namespaces: &NamespaceIndex) -> Vec<Pod> {
    topology.with_role(Role::Pod).map(|interface| pod_behind(interface, namespaces)).collect()
}

/// A pod on a device that sits on one of ours (macvlan, ipvlan): no interface of the node is its own.
pub fn stacked_pod(namespace: &NamespaceIdentity, interface: &str, mtu: u32, addresses: &[IpAddr]) -> Pod {
    Pod {
        pod_interface: Some(interface.to_owned()),
        pod_mtu: Some(mtu),
        addresses: routable(addresses),
        ..in_namespace(Some(namespace))
    }
}

fn pod_behind(interface: &Interface, namespaces: &NamespaceIndex) -> Pod {
    let peer = interface.peer.as_ref();
    let namespace = peer.and_then(|peer| peer.nsid).and_then(|nsid| namespaces.get(nsid));
    Pod {
        host_ifindex: Some(interface.ifindex),
        host_interface: Some(interface.name.clone()),
        pod_interface: peer.and_then(|peer| peer.name.clone()),
        pod_mtu: peer.and_then(|peer| peer.mtu),
        addresses: peer.map(|peer| routable(&peer.addresses)).unwrap_or_default(),
        ..in_namespace(namespace)
    }
}

/// Whether an address means something on one link only: it names no pod.
pub fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn routable(addresses: &[IpAddr]) -> Vec<IpAddr> {
    addresses.iter().copied().filter(|address| !is_link_local(*address)).collect()
}

/// What a namespace tells of its pod.
fn in_namespace(namespace: Option<&NamespaceIdentity>) -> Pod {
    let name = namespace.and_then(|namespace| namespace.name.clone());
    Pod {
        source: if name.is_some() { PodSource::Netns } else { PodSource::Interface },
        name,
        netns: namespace.and_then(|namespace| Some(namespace.path.as_ref()?.display().to_string())),
        netns_inode: namespace.and_then(|namespace| namespace.inode),
        pid: namespace.and_then(|namespace| namespace.pid),
        ..Pod::default()
    }
}
