//! Whose interface it is: from network namespaces to pods.
//!
//! Every source is optional: losing one loses names, never findings.
mod namespace_index;
mod namespace_names;
mod netns_counters;
mod processes;

pub use namespace_index::{NamespaceIdentity, NamespaceIndex};
pub use netns_counters::{CounterReader, NetnsCountersError};

use probe_core::model::interface::{Interface, Role};
use probe_core::model::pod::{Pod, PodSource};
use probe_core::model::topology::Topology;

/// The pods behind the interfaces with role `pod`.
pub fn pods(topology: &Topology, namespaces: &NamespaceIndex) -> Vec<Pod> {
    topology.with_role(Role::Pod).map(|interface| pod_behind(interface, namespaces)).collect()
}

fn pod_behind(interface: &Interface, namespaces: &NamespaceIndex) -> Pod {
    let peer = interface.peer.as_ref();
    let namespace = peer.and_then(|peer| peer.nsid).and_then(|nsid| namespaces.get(nsid));
    let name = namespace.and_then(|namespace| namespace.name.clone());
    Pod {
        namespace: None,
        source: if name.is_some() { PodSource::Netns } else { PodSource::Interface },
        name,
        uid: None,
        container_id: None,
        netns: namespace.and_then(|namespace| Some(namespace.path.as_ref()?.display().to_string())),
        netns_inode: namespace.and_then(|namespace| namespace.inode),
        host_ifindex: Some(interface.ifindex),
        host_interface: Some(interface.name.clone()),
        pod_interface: peer.and_then(|peer| peer.name.clone()),
        pod_mtu: peer.and_then(|peer| peer.mtu),
        addresses: peer.map(|peer| peer.addresses.clone()).unwrap_or_default(),
        pid: namespace.and_then(|namespace| namespace.pid),
    }
}
