//! The largest packet that each pod can send to each kind of destination, computed from the configuration alone.
//!
//! # Layout
//! - [`joint`]: one place where a packet meets an MTU, and chains of them.
//! - `egress`: the joints behind a route; `sender`: those in front of it.
//! - `local`: destinations on this node; `remote`: those beyond it; `switch`: those of pods on a vswitch.
//! - [`consequence`]: mismatches, with a severity by what can meet them.

pub mod consequence;
mod egress;
#[cfg(test)]
mod fixtures;
pub mod joint;
mod local;
mod remote;
mod sender;
mod switch;

pub use joint::{Beyond, Joint, Place};

use crate::model::flow::Family;
use crate::model::pod::Pod;
use crate::model::survey::Survey;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Kind of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Destination {
    /// Another pod of this node.
    SameNode,
    /// Another node or its pods: by a route that is no default route.
    OtherNode,
    /// Everything else, by a default route.
    Outside,
}

impl Destination {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SameNode, Self::OtherNode, Self::Outside];

    /// Name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::SameNode => "same_node",
            Self::OtherNode => "other_node",
            Self::Outside => "outside",
        }
    }
}

/// What a pod can send to some destinations: all that are reached by the same chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The sender; with several interfaces it has one of these for each.
    pub pod: Pod,
    /// Kind of the destinations.
    pub to: Destination,
    /// Family.
    pub family: Family,
    /// From the pod's interface outwards.
    pub chain: Vec<Joint>,
    /// Networks or addresses, [`DESTINATIONS_SHOWN`] at most; none where a program decides.
    pub destinations: Vec<String>,
    /// How many there are.
    pub destination_count: usize,
    /// Pods are known to be sent this way; false for a tunnel that may be the node's own affair.
    pub is_meant: bool,
}

/// Destinations that are named for one chain.
pub const DESTINATIONS_SHOWN: usize = 8;

impl Reach {
    /// Largest packet in bytes that passes whole. For destinations outside it is only known up to this node's edge.
    pub fn mtu(&self) -> u32 {
        joint::largest(&self.chain)
    }

    /// MTU in bytes of the pod's interface.
    pub fn pod_mtu(&self) -> u32 {
        self.chain.iter().find(|joint| joint.is_pod_interface).map_or(0, |joint| joint.mtu)
    }

    /// The joint that the packets meet which are just too big, with its index; `None` if the pod's own interface is the
    /// smallest.
    pub fn limit(&self) -> Option<(usize, &Joint)> {
        let index = joint::limiting(&self.chain)?;
        let limit = self.chain.get(index)?;
        (self.mtu() < self.pod_mtu()).then_some((index, limit))
    }

    /// That joint in words: `vxlan.calico over eth0`.
    pub fn limited_by(&self) -> Option<String> {
        let (index, _) = self.limit()?;
        joint::name(&self.chain, index)
    }

    /// Largest packet in bytes that the pod's own kernel lets it send there.
    pub fn sends(&self) -> u32 {
        let own = self.chain.iter().take_while(|joint| joint.beyond == Beyond::Refused);
        joint::largest(&own.cloned().collect::<Vec<_>>())
    }

    /// Where it leads, for a look into the sender's own routes.
    fn target(&self) -> Option<sender::Target> {
        match self.to {
            Destination::Outside => Some(sender::Target::Default),
            Destination::SameNode | Destination::OtherNode => {
                let first = self.destinations.first()?.split('/').next()?;
                Some(sender::Target::Address(first.parse().ok()?))
            }
        }
    }

    /// `eth0 1500 → veth1a2b 1500 → vxlan.calico 1450 (−50) → eth0 1500 = 1450`.
    pub fn text(&self) -> String {
        let joints: Vec<String> = self.chain.iter().map(ToString::to_string).collect();
        format!("{} = {}", joints.join(" → "), self.mtu())
    }
}

/// What every pod can send everywhere, pods in the order of the topology.
pub fn reaches(survey: &Survey) -> Vec<Reach> {
    let mut all = Vec::new();
    for family in Family::ALL {
        let locals = local::Locals::new(survey, family);
        let ways = remote::Ways::new(survey, family);
        for pod in survey.node.pods.iter().filter(|pod| has_address(survey, pod, family)) {
            all.extend(merged(locals.from(survey, pod)));
            all.extend(merged(ways.from(survey, pod)));
        }
    }
    let order: BTreeMap<_, _> =
        survey.node.pods.iter().enumerate().map(|(index, pod)| (own_key(pod), index)).collect();
    all.sort_by_key(|reach| (order.get(&own_key(&reach.pod)).copied(), reach.family, reach.to));
    all
}

/// Pod and interface: a pod has one entry for each interface.
fn own_key(pod: &Pod) -> (Option<u32>, Option<u32>, Option<&str>) {
    (pod.host_ifindex, pod.netns_inode, pod.pod_interface.as_deref())
}

/// Whether a pod has an address of a family on the interface. Where its addresses cannot be read, IPv4 is assumed.
fn has_address(survey: &Survey, pod: &Pod, family: Family) -> bool {
    if pod.addresses.is_empty() && survey.inside(pod).is_none() {
        return family == Family::Ipv4;
    }
    pod.addresses.iter().any(|address| Family::of(*address) == family)
}

/// Destinations that are reached by the same chain belong together.
fn merged(reaches: Vec<Reach>) -> Vec<Reach> {
    let mut merged: Vec<Reach> = Vec::new();
    for reach in reaches {
        let known = merged.iter_mut().find(|known| {
            known.to == reach.to && known.is_meant == reach.is_meant && known.chain == reach.chain
        });
        match known {
            Some(known) => {
                known.destination_count += reach.destination_count;
                let left = DESTINATIONS_SHOWN.saturating_sub(known.destinations.len());
                known.destinations.extend(reach.destinations.into_iter().take(left));
            }
            None => merged.push(reach),
        }
    }
    merged
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_multicast(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.is_multicast(),
    }
}

#[cfg(test)]
#[path = "reach/tests.rs"]
mod tests;
