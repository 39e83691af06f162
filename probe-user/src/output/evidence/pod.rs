//! Pods.
use super::mirror::{Mirror, mirror, mirror_names};
use super::veil::{
    Address, ContainerId, ContainerName, InterfaceName, NamespaceName, NetnsPath, PodName, Uid, Veil,
};
use probe_core::model::pod;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mirror_names! {
    PodSource = pod::PodSource {
        Cri,
        Cni,
        Cgroup,
        Docker,
        Podman,
        Kubernetes,
        Netns,
        Interface,
    }
}

mirror! {
    Pod = pod::Pod {
        #[serde(default, skip_serializing_if = "is_zero")]
        tenancy: u64,
        namespace: Option<NamespaceName>,
        name: Option<PodName>,
        uid: Option<Uid>,
        container_id: Option<ContainerId>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        containers: Vec<Container>,
        #[serde(default, skip_serializing_if = "Labels::is_empty")]
        labels: Labels,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
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

mirror! {
    Container = pod::Container {
        name: ContainerName,
        id: ContainerId,
    }
}

mirror! {
    Owner = pod::Owner {
        kind: String,
        name: PodName,
    }
}

/// Labels say what they like: behind a veil none is recorded.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Labels(BTreeMap<String, String>);

impl Labels {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Mirror for Labels {
    type Model = BTreeMap<String, String>;

    fn of(model: &Self::Model, veil: &mut Veil) -> Self {
        Self(if veil.is_closed() { BTreeMap::new() } else { model.clone() })
    }

    fn into_model(self) -> Self::Model {
        self.0
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
