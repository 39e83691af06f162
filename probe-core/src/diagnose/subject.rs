//! Whose packet it is, and which way it goes from the pod's point of view.
use crate::model::finding::Direction;
use crate::model::flow::Flow;
use crate::model::interface::Role;
use crate::model::pod::{Pod, PodKey};
use crate::model::topology::Topology;

/// The pod, or the node itself, that a packet belongs to, and the direction from its point of view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The pod; `None` for the node itself.
    pub pod: Option<Pod>,
    /// Direction.
    pub direction: Direction,
}

impl Subject {
    /// The key of its pod.
    pub fn key(&self) -> PodKey {
        self.pod.as_ref().map_or(PodKey::Node, Pod::key)
    }

    fn of(pod: &Pod, direction: Direction) -> Self {
        Self { pod: Some(pod.clone()), direction }
    }
}

/// Finds the subject of a packet that came in by one of our interfaces and leaves by another, as far as they are known.
/// The sender comes first: it is its packet that is too big.
pub fn of_packet(topology: &Topology, flow: &Flow, came_by: Option<u32>, leaves_by: Option<u32>) -> Subject {
    let behind = |ifindex: Option<u32>| match topology.interface(ifindex?) {
        Some(interface) if interface.role == Role::Pod => topology.pod_behind(interface.ifindex),
        Some(_) => None,
        None => topology.departed.iter().find(|pod| pod.host_ifindex == ifindex),
    };
    if let Some(pod) = behind(came_by).or_else(|| topology.pod_with_address(flow.src)) {
        return Subject::of(pod, Direction::FromPod);
    }
    if let Some(pod) = behind(leaves_by).or_else(|| topology.pod_with_address(flow.dst)) {
        return Subject::of(pod, Direction::ToPod);
    }
    // A pod's last packets may be heard of when it is gone; who has its address now came before.
    let departed = |address| topology.departed.iter().rev().find(|pod| pod.addresses.contains(&address));
    if let Some(pod) = departed(flow.src).filter(|_| !topology.is_own_address(flow.src)) {
        return Subject::of(pod, Direction::FromPod);
    }
    if let Some(pod) = departed(flow.dst).filter(|_| !topology.is_own_address(flow.dst)) {
        return Subject::of(pod, Direction::ToPod);
    }
    let direction = if topology.is_own_address(flow.dst) { Direction::ToHost } else { Direction::FromHost };
    Subject { pod: None, direction }
}

/// The subject of a packet that only one pod's own device can have met.
pub fn of_pod(pod: Option<&Pod>, direction: Direction) -> Subject {
    Subject { pod: pod.cloned(), direction }
}
