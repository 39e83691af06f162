//! Everything that an MTU depends on, in the observed namespace and inside the pods', at one moment.
use super::filters::Filters;
use super::pmtu_exception::NetnsExceptions;
use super::pod::{Pod, PodKey};
use super::topology::Topology;
use std::collections::BTreeMap;

/// What was read of a node without watching any packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The observed namespace, and the pods that are reached from it.
    pub node: Topology,
    /// What pods have in namespaces of their own, as far as these could be entered; their `pods` are empty.
    pub inside: BTreeMap<PodKey, Topology>,
    /// Packet filters by inode of the network namespace.
    pub filters: BTreeMap<u32, Filters>,
    /// Path MTUs that the observed namespace and the pods' have learned.
    pub exceptions: Vec<NetnsExceptions>,
    /// What could not be read.
    pub unseen: Vec<Unseen>,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unseen {
    /// What, in a word.
    pub what: &'static str,
    /// Pods that it concerns; none for the node itself.
    pub pods: u32,
    /// Why, and what would help.
    pub why: String,
}

impl Survey {
    /// What a pod has in its own namespace.
    pub fn inside(&self, pod: &Pod) -> Option<&Topology> {
        self.inside.get(&pod.key())
    }

    /// The packet filters of a pod's namespace; `None` asks for the observed one.
    pub fn filters_of(&self, pod: Option<&Pod>) -> Option<&Filters> {
        let inode = pod.map_or(Some(self.node.netns_inode), |pod| pod.netns_inode)?;
        self.filters.get(&inode)
    }
}
