//! Pods.
use super::mirror::{mirror, mirror_names};
use super::veil::{Address, ContainerId, InterfaceName, NamespaceName, NetnsPath, PodName, Uid};
use probe_core::model::pod;

mirror_names! {
    PodSource = pod::PodSource {
        Cri,
        Cni,
        Cgroup,
        Netns,
        Interface,
    }
}

mirror! {
    Pod = pod::Pod {
        namespace: Option<NamespaceName>,
        name: Option<PodName>,
        uid: Option<Uid>,
        container_id: Option<ContainerId>,
        netns: Option<NetnsPath>,
        netns_inode: Option<u32>,
        host_ifindex: Option<u32>,
        host_interface: Option<InterfaceName>,
        pod_interface: Option<InterfaceName>,
        pod_mtu: Option<u32>,
        addresses: Vec<Address>,
        source: PodSource,
        pid: Option<u32>,
    }
}
