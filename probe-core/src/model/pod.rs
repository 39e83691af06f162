//! Pods: who owns the other end of a host interface.
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Where a pod's name comes from, best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PodSource {
    /// A container runtime's CRI socket.
    Cri,
    /// libcni's result cache.
    Cni,
    /// The cgroup path of a process in it, with the names under `/var/log/pods`.
    Cgroup,
    /// Docker's API, or Podman's that speaks the same.
    Docker,
    /// Podman's list of containers.
    Podman,
    /// The Kubernetes API, by an address of the pod.
    Kubernetes,
    /// The name of its network namespace (`ip netns`).
    Netns,
    /// None found: the host interface stands for it.
    #[default]
    Interface,
}

impl PodSource {
    /// Name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cri => "cri",
            Self::Cni => "cni",
            Self::Cgroup => "cgroup",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Kubernetes => "kubernetes",
            Self::Netns => "netns",
            Self::Interface => "interface",
        }
    }
}

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Container {
    /// Its name in the pod.
    pub name: String,
    /// Id.
    pub id: String,
}

/// What made a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// `Deployment`, `StatefulSet`, `DaemonSet`, `Job` …
    pub kind: String,
    /// Name.
    pub name: String,
}

/// A pod, or a network namespace that plays one. What is not known is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Counts the pods as they come: tells two apart that had the same namespace inode, interface index or address one
    /// after the other. 0 where nobody counts.
    pub tenancy: u64,
    /// Kubernetes namespace.
    pub namespace: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Kubernetes uid.
    pub uid: Option<String>,
    /// Container (sandbox) id.
    pub container_id: Option<String>,
    /// Its containers, where they are known.
    pub containers: Vec<Container>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// What made it.
    pub owner: Option<Owner>,
    /// Path of the network namespace.
    pub netns: Option<String>,
    /// Inode of the network namespace.
    pub netns_inode: Option<u32>,
    /// Index of the host's end of its veth; `None` for a pod without one (macvlan).
    pub host_ifindex: Option<u32>,
    /// Name of the host's end.
    pub host_interface: Option<String>,
    /// Name of the pod's end.
    pub pod_interface: Option<String>,
    /// MTU of the pod's end.
    pub pod_mtu: Option<u32>,
    /// Addresses of the pod's end.
    pub addresses: Vec<IpAddr>,
    /// Where the name comes from.
    pub source: PodSource,
    /// A process in it, as seen from our process namespace: its counters are under `/proc/PID/net`.
    pub pid: Option<u32>,
}

/// What tells one pod from another for as long as it lives, whatever is learned of its names meanwhile: its number, or
/// where nobody counts uid, else namespace inode, else host interface.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PodKey {
    /// Number of the pod.
    Tenancy(u64),
    /// Kubernetes uid.
    Uid(String),
    /// Inode of the network namespace.
    Netns(u32),
    /// Index of the host's interface.
    Interface(u32),
    /// The node itself, or a process on the host's network.
    Node,
}

/// Namespace, name, uid, and where they come from.
pub type Called = (Option<String>, Option<String>, Option<String>, PodSource);

impl Pod {
    /// Its key.
    pub fn key(&self) -> PodKey {
        if self.tenancy != 0 {
            return PodKey::Tenancy(self.tenancy);
        }
        match (&self.uid, self.netns_inode, self.host_ifindex) {
            (Some(uid), _, _) => PodKey::Uid(uid.clone()),
            (None, Some(inode), _) => PodKey::Netns(inode),
            (None, None, ifindex) => PodKey::Interface(ifindex.unwrap_or(0)),
        }
    }

    /// What it is called and who says so: a finding is told again when these become better.
    pub fn called(&self) -> Called {
        (self.namespace.clone(), self.name.clone(), self.uid.clone(), self.source)
    }

    /// `namespace/name`, the name alone, or the host interface.
    pub fn display_name(&self) -> String {
        match (&self.namespace, &self.name, &self.host_interface) {
            (Some(namespace), Some(name), _) => format!("{namespace}/{name}"),
            (None, Some(name), _) => name.clone(),
            (_, None, Some(interface)) => interface.clone(),
            (_, None, None) => "unknown".to_owned(),
        }
    }
}
