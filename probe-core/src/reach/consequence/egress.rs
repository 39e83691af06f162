//! A pod's MTU against the devices and routes that its packets leave by.
use super::super::{Beyond, Destination, Joint, Place, Reach, sender};
use super::{Consequence, marked, only};
use crate::diagnose::latent::Mismatch;
use crate::model::finding::{Certainty, LimitHow, Severity};
use crate::model::flow::Family;
use crate::model::survey::Survey;
use std::collections::BTreeMap;

/// Pods whose packets this node has to refuse: the worst for each pod and joint.
pub(super) fn smaller_ways(survey: &Survey, reaches: &[Reach]) -> Vec<Consequence> {
    type Key = (Option<u32>, Option<u32>, u32);
    let mut found: BTreeMap<Key, (Consequence, Vec<Family>)> = BTreeMap::new();
    for reach in reaches {
        let Some((index, joint)) = refused_by_node(reach) else { continue };
        let one = consequence(survey, reach, index, joint);
        let key = (reach.pod.host_ifindex, reach.pod.netns_inode, joint.ifindex);
        match found.get_mut(&key) {
            None => {
                found.insert(key, (one, vec![reach.family]));
            }
            Some((known, families)) => {
                families.push(reach.family);
                let graver = (one.severity, std::cmp::Reverse(one.mismatch.limit))
                    > (known.severity, std::cmp::Reverse(known.mismatch.limit));
                if graver {
                    *known = one;
                }
            }
        }
    }
    let one_family = |families: Vec<Family>| {
        let first = families.first().copied();
        first.filter(|first| families.iter().all(|family| family == first))
    };
    found
        .into_values()
        .map(|(mut one, families)| {
            one.mismatch.family = one_family(families);
            one
        })
        .collect()
}

/// The joint where routing on this node refuses what the pod sends.
fn refused_by_node(reach: &Reach) -> Option<(usize, &Joint)> {
    // A tunnel that may be the node's own affair is told as a reach only.
    if reach.to == Destination::SameNode || !reach.is_meant || reach.sends() <= reach.mtu() {
        return None;
    }
    let (index, joint) = reach.limit()?;
    // Behind a tunnel it is the tunnel that is too large.
    let is_outer = index
        .checked_sub(1)
        .and_then(|before| reach.chain.get(before))
        .is_some_and(|before| before.overhead > 0);
    (joint.place == Place::Node && joint.beyond == Beyond::Told && !is_outer).then_some((index, joint))
}

fn consequence(survey: &Survey, reach: &Reach, index: usize, joint: &Joint) -> Consequence {
    let (limit, larger) = (reach.mtu(), reach.sends());
    let by_route = joint.route_mtu.is_some_and(|mtu| mtu < joint.mtu);
    let (pod, pods) = only(&reach.pod);
    let how = if by_route { LimitHow::RouteMtu } else { LimitHow::DeviceMtu };
    let ifindex = reach.pod.host_ifindex.unwrap_or(joint.ifindex);
    let mismatch = Mismatch {
        pod,
        pods,
        family: Some(reach.family),
        ..Mismatch::of_way_out(ifindex, &joint.interface, (limit, larger), how)
    };
    let (severity, certainty, note) = judged(survey, reach, joint, limit);
    let what = if by_route { "a route by " } else { "" };
    Consequence {
        certainty,
        note,
        chain: Some(marked(&reach.chain, index)),
        cause: Some((
            if joint.overhead > 0 { "overlay" } else { "uplink" },
            format!("{what}{} carries {limit}, pods send up to {larger}", joint.interface),
        )),
        ..Consequence::of(mismatch, severity)
    }
}

fn judged(
    survey: &Survey,
    reach: &Reach,
    joint: &Joint,
    limit: u32,
) -> (Severity, Certainty, Option<String>) {
    let confirmed = |severity, note: Option<String>| (severity, Certainty::Confirmed, note);
    let clamped = survey
        .filters_of(None)
        .is_some_and(|filters| filters.clamp_both_ways(reach.family, &joint.interface, limit));
    if clamped {
        let note = "An MSS clamp on this node covers all TCP; UDP is not covered.";
        return confirmed(Severity::Info, Some(note.to_owned()));
    }
    if let Some(advmss) = advertised(survey, reach).filter(|mss| mss + reach.family.tcp_headers() <= limit) {
        let note = format!(
            "The advmss {advmss} of the pod's route covers the TCP that others send to it; what it sends itself is as large \
             as the others announce. UDP is not covered."
        );
        return confirmed(Severity::Info, Some(note));
    }
    if survey.inside(&reach.pod).is_none() {
        let note =
            "The pod's own routes could not be read: a smaller route MTU there would make it harmless.";
        let by_program = reach.destinations.is_empty();
        let severity = if by_program { Severity::Info } else { Severity::Warning };
        return (severity, Certainty::Suspected, Some(note.to_owned()));
    }
    confirmed(Severity::Warning, None)
}

/// The advertised MSS of the pod's route to where a chain leads.
fn advertised(survey: &Survey, reach: &Reach) -> Option<u32> {
    sender::best_route(survey.inside(&reach.pod)?, reach.family, reach.target()?)?.advmss
}
