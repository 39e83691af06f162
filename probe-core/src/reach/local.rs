//! From pod to pod on one node.
use super::egress::{self, By};
use super::joint::{Beyond, Joint, Place};
use super::sender::{self, Target, best_route, host_end};
use super::{DESTINATIONS_SHOWN, Destination, Reach, has_address};
use crate::model::flow::Family;
use crate::model::pod::{Pod, PodKey};
use crate::model::survey::Survey;
use crate::model::vswitch;
use std::collections::HashMap;
use std::net::IpAddr;

/// The pods of a node as destinations, those that are alike together: comparing each with each would be slow.
pub struct Locals {
    family: Family,
    alike: Vec<Alike>,
}

/// Pods that are reached by chains of the same sizes.
struct Alike {
    /// The bridge that they are on.
    bridge: Option<u32>,
    /// The first of them, and one more: what the first sends to the others is shown at that one.
    samples: Vec<Sample>,
    members: Vec<(PodKey, IpAddr)>,
}

/// How one pod is reached.
struct Sample {
    key: PodKey,
    bridge: Option<u32>,
    /// What a packet meets that is routed to it.
    routed: Vec<Joint>,
    /// What a packet meets that comes over its bridge.
    bridged: Vec<Joint>,
    address: IpAddr,
}

/// A chain without its names.
type Sizes = Vec<(u32, Option<u32>, Beyond)>;

fn sizes(chain: &[Joint]) -> Sizes {
    chain.iter().map(|joint| (joint.mtu, joint.route_mtu, joint.beyond)).collect()
}

impl Locals {
    pub fn new(survey: &Survey, family: Family) -> Self {
        let mut alike: Vec<Alike> = Vec::new();
        let mut known: HashMap<(Option<u32>, Sizes, Sizes), usize> = HashMap::new();
        for pod in survey.node.pods.iter().filter(|pod| has_address(survey, pod, family)) {
            let Some(sample) = sample(survey, pod, family) else { continue };
            let key = (sample.bridge, sizes(&sample.routed), sizes(&sample.bridged));
            let index = *known.entry(key).or_insert_with(|| {
                alike.push(Alike { bridge: sample.bridge, samples: Vec::new(), members: Vec::new() });
                alike.len() - 1
            });
            let Some(group) = alike.get_mut(index) else { continue };
            group.members.push((sample.key.clone(), sample.address));
            if group.samples.len() < 2 && group.samples.iter().all(|known| known.key != sample.key) {
                group.samples.push(sample);
            }
        }
        Self { family, alike }
    }

    /// What a pod can send to the others.
    pub fn from(&self, survey: &Survey, pod: &Pod) -> Vec<Reach> {
        let own = pod.key();
        let own_bridge = host_end(survey, pod).and_then(|end| end.master);
        let reach = |group: &Alike| {
            let others = || group.members.iter().filter(|(key, _)| *key != own);
            let (_, first) = others().next()?;
            let mut chain = sender::start(survey, pod, self.family, Target::Address(*first))?;
            let sample = group.samples.iter().find(|sample| sample.key != own)?;
            let bridged = group.bridge.is_some() && group.bridge == own_bridge;
            chain.extend(if bridged { sample.bridged.clone() } else { sample.routed.clone() });
            let named = others().take(DESTINATIONS_SHOWN).map(|(_, address)| address.to_string());
            Some(Reach {
                pod: pod.clone(),
                to: Destination::SameNode,
                family: self.family,
                chain,
                destinations: named.collect(),
                destination_count: others().count(),
                is_meant: true,
            })
        };
        self.alike.iter().filter_map(reach).collect()
    }
}

fn sample(survey: &Survey, pod: &Pod, family: Family) -> Option<Sample> {
    let end = host_end(survey, pod)?;
    let address = pod.addresses.iter().copied().find(|address| Family::of(*address) == family)?;
    let inner = (end.kind == "veth").then_some(()).and_then(|()| {
        Some(Joint {
            interface: pod.pod_interface.clone()?,
            ifindex: end.peer.as_ref()?.ifindex,
            place: Place::OtherPod,
            is_pod_interface: false,
            mtu: pod.pod_mtu?,
            route_mtu: None,
            overhead: 0,
            padding: None,
            overhead_unknown: false,
            beyond: Beyond::Silent,
        })
    });
    let is_switched = matches!(end.master_kind.as_deref(), Some("bridge" | vswitch::KIND));
    let bridge = end.master.filter(|_| is_switched);
    let port = || egress::device(end, Family::Ipv4, Place::Node, Beyond::Silent);
    let bridged: Vec<Joint> = [port()].into_iter().chain(inner.clone()).collect();
    let route = best_route(&survey.node, family, Target::Address(address));
    let routed = match route.filter(|route| route.oif == Some(end.ifindex)) {
        Some(route) => egress::joints(&survey.node, route, Place::Node, By::Forwarder),
        None => {
            let by_bridge = route.filter(|route| bridge.is_some() && route.oif == bridge);
            let bridge = by_bridge.and_then(|route| {
                let device = survey.node.interface(route.oif?)?;
                let joint = egress::device(device, family, Place::Node, Beyond::Told);
                Some(Joint { route_mtu: egress::route_mtu(route, By::Forwarder), ..joint })
            });
            // Without a route a program brings the packets there.
            bridge.into_iter().chain([port()]).collect()
        }
    };
    let routed = routed.into_iter().chain(inner).collect();
    Some(Sample { key: pod.key(), bridge, routed, bridged, address })
}
