//! What goes into a tunnel against what its underlay takes.
use super::super::{Beyond, Joint, Reach, joint};
use super::{Consequence, marked};
use crate::diagnose::latent::Mismatch;
use crate::model::finding::Severity;
use crate::model::interface::Interface;
use crate::model::pod::Pod;
use crate::model::survey::Survey;
use std::collections::BTreeMap;

/// Senders of too much into one tunnel.
struct Excess<'a> {
    limit: u32,
    larger: u32,
    pods: Vec<Pod>,
    is_meant: bool,
    is_seen: bool,
    beyond: Beyond,
    reach: &'a Reach,
    index: usize,
}

/// Tunnels that can be given more than their underlay takes, and those whose own MTU says more than it takes.
pub(super) fn too_large(survey: &Survey, reaches: &[Reach]) -> Vec<Consequence> {
    let mut excesses: BTreeMap<u32, Excess<'_>> = BTreeMap::new();
    for reach in reaches {
        for index in (0..reach.chain.len()).filter(|&index| is_tunnel(reach, index)) {
            let (before, after) = reach.chain.split_at(index + 1);
            let larger = joint::largest(before);
            let limit = joint::largest_behind(&reach.chain, index);
            let Some((tunnel, underlay)) = before.last().zip(after.first()) else { continue };
            if larger <= limit {
                continue;
            }
            let is_seen = survey.inside(&reach.pod).is_some();
            let excess = excesses.entry(tunnel.ifindex).or_insert_with(|| Excess {
                limit,
                larger,
                pods: Vec::new(),
                is_meant: false,
                is_seen: false,
                beyond: underlay.beyond,
                reach,
                index: index + 1,
            });
            excess.limit = excess.limit.min(limit);
            excess.larger = excess.larger.max(larger);
            excess.is_meant |= reach.is_meant;
            excess.is_seen |= is_seen;
            if !excess.pods.contains(&reach.pod) {
                excess.pods.push(reach.pod.clone());
            }
        }
    }
    let tunnels =
        survey.node.interfaces.values().filter(|interface| interface.up && interface.tunnel.is_some());
    tunnels
        .filter_map(|tunnel| match excesses.remove(&tunnel.ifindex) {
            Some(excess) => Some(met(tunnel, excess)),
            None => unmet(survey, tunnel),
        })
        .collect()
}

fn is_tunnel(reach: &Reach, index: usize) -> bool {
    let at = |index: usize| reach.chain.get(index);
    let on_node = |joint: &Joint| joint.place == super::super::Place::Node;
    at(index).is_some_and(|joint| joint.overhead > 0 && on_node(joint)) && at(index + 1).is_some_and(on_node)
}

fn met(tunnel: &Interface, excess: Excess<'_>) -> Consequence {
    let Excess { limit, larger, pods, is_meant, is_seen, beyond, reach, index } = excess;
    let (severity, note) = match (is_meant, is_seen, beyond) {
        (false, _, _) => {
            (Severity::Info, format!("Nothing says that pods send by {}: it may be the node's own affair.", tunnel.name))
        }
        (true, false, _) if reach.destinations.is_empty() => (
            Severity::Info,
            "The pods' own routes could not be read: a smaller route MTU there would make it harmless.".to_owned(),
        ),
        (true, _, Beyond::Fragmented) => {
            (Severity::Warning, "Its outer packets go without DF: they will leave as fragments.".to_owned())
        }
        (true, _, Beyond::Told) => (
            Severity::Warning,
            "The tunnel drops what is too large and tells the senders, who have to learn it.".to_owned(),
        ),
        (true, _, Beyond::Misdirected | Beyond::Refused | Beyond::Silent) => (
            Severity::Warning,
            "Its outer packets carry DF or are IPv6: they will be dropped, and the error goes to this node, not to the pod."
                .to_owned(),
        ),
    };
    Consequence {
        note: Some(note),
        chain: Some(marked(&reach.chain, index)),
        ..Consequence::of(Mismatch::of_tunnel(tunnel, (limit, larger), pods), severity)
    }
}

/// The device says more than its underlay takes, but every sender and route is small enough. Of a tunnel that others put
/// packets into (Open vSwitch, programs) its own MTU says nothing.
fn unmet(survey: &Survey, tunnel: &Interface) -> Option<Consequence> {
    let node = &survey.node;
    let limit = node.device_limit(tunnel);
    let is_routed = node.routes.iter().any(|route| {
        route.unicast
            && route.oif == Some(tunnel.ifindex)
            && route.destination.is_none_or(|(network, _)| !super::super::is_link_local(network))
            && route.gateway.is_some()
    });
    (limit < tunnel.mtu && is_routed).then(|| Consequence {
        note: Some(
            "Every pod and route that leads into it is small enough today; the next pod need not be."
                .to_owned(),
        ),
        ..Consequence::of(Mismatch::of_tunnel(tunnel, (limit, tunnel.mtu), Vec::new()), Severity::Info)
    })
}
