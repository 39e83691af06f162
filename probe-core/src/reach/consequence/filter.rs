//! Packet filters that drop the ICMP errors that somebody may need.
use super::super::{Beyond, Place, Reach};
use super::{Consequence, marked};
use crate::diagnose::latent::Mismatch;
use crate::diagnose::rules::pmtud_disabled;
use crate::model::filters::{ErrorDrop, FilterHook, Filters};
use crate::model::finding::{Direction, LimitAt, Severity};
use crate::model::flow::Family;
use crate::model::pod::Pod;
use crate::model::survey::Survey;

/// Hooks that an error passes which this node makes itself.
const MADE_HERE: &[FilterHook] = &[FilterHook::Output, FilterHook::Postrouting];
/// Hooks that an error from a router beyond passes.
const FROM_BEYOND: &[FilterHook] = &[FilterHook::Prerouting, FilterHook::Forward, FilterHook::Postrouting];
/// Hooks that an error to a pod passes inside of it.
const IN_THE_POD: &[FilterHook] = &[FilterHook::Prerouting, FilterHook::Input];

/// Rules on the node, and inside the pods.
pub(super) fn dropped_errors(survey: &Survey, reaches: &[Reach]) -> Vec<Consequence> {
    let mut found = Vec::new();
    if let Some(filters) = survey.filters_of(None) {
        for family in Family::ALL {
            found.extend(on_node(survey, reaches, filters, family));
        }
    }
    for pod in &survey.node.pods {
        let Some(filters) = survey.filters_of(Some(pod)) else { continue };
        for family in Family::ALL {
            found.extend(in_pod(survey, reaches, filters, pod, family));
        }
    }
    found
}

/// The worst chain whose sender needs an error of this node, unless clamps keep its TCP small.
fn needed<'a>(
    survey: &Survey,
    reaches: impl Iterator<Item = &'a Reach>,
    family: Family,
) -> Option<(&'a Reach, usize)> {
    let clamped = |interface: &str, limit| {
        survey.filters_of(None).is_some_and(|filters| filters.clamp_both_ways(family, interface, limit))
    };
    reaches
        .filter(|reach| reach.family == family && reach.is_meant && reach.sends() > reach.mtu())
        .filter_map(|reach| {
            let (index, joint) = reach.limit()?;
            let told = joint.beyond == Beyond::Told && joint.place == Place::Node;
            (told && !clamped(&joint.interface, reach.mtu())).then_some((reach, index))
        })
        .min_by_key(|(reach, _)| (reach.mtu(), std::cmp::Reverse(reach.to)))
}

fn on_node(survey: &Survey, reaches: &[Reach], filters: &Filters, family: Family) -> Option<Consequence> {
    let made_here = filters.error_drops(family, MADE_HERE).next();
    match (made_here, needed(survey, reaches.iter(), family)) {
        (Some(rule), Some((reach, index))) => {
            let joint = reach.chain.get(index)?;
            let limit = reach.mtu();
            let pods = |other: &&Reach| other.sends() > limit && other.family == family;
            let mut affected: Vec<Pod> = Vec::new();
            for other in reaches.iter().filter(pods) {
                if !affected.contains(&other.pod) {
                    affected.push(other.pod.clone());
                }
            }
            let severity = severity(rule, Severity::Warning);
            let chain = Some(marked(&reach.chain, index));
            let mismatch = mismatch(family, &joint.interface, limit, reach.sends(), None, affected);
            let telling = Some(pmtud_disabled::filtered(rule, None, Some((&joint.interface, limit))));
            Some(Consequence { chain, telling, ..Consequence::of(mismatch, severity) })
        }
        (rule, _) => {
            let rule = rule.or_else(|| filters.error_drops(family, FROM_BEYOND).next())?;
            let largest = reaches.iter().filter(|reach| reach.family == family).map(Reach::mtu).max()?;
            let mismatch =
                mismatch(family, &rule.place.chain, largest, largest, None, survey.node.pods.clone());
            let telling = Some(pmtud_disabled::filtered(rule, None, None));
            Some(Consequence { telling, ..Consequence::of(mismatch, Severity::Info) })
        }
    }
}

fn in_pod(
    survey: &Survey,
    reaches: &[Reach],
    filters: &Filters,
    pod: &Pod,
    family: Family,
) -> Option<Consequence> {
    let rule = filters.error_drops(family, IN_THE_POD).next()?;
    let own = reaches.iter().filter(|reach| reach.pod.key() == pod.key());
    match needed(survey, own, family) {
        Some((reach, index)) => {
            let joint = reach.chain.get(index)?;
            let (limit, sends) = (reach.mtu(), reach.sends());
            let mismatch =
                mismatch(family, &joint.interface, limit, sends, Some(pod.clone()), vec![pod.clone()]);
            let telling = Some(pmtud_disabled::filtered(rule, Some(pod), Some((&joint.interface, limit))));
            let chain = Some(marked(&reach.chain, index));
            Some(Consequence {
                chain,
                telling,
                ..Consequence::of(mismatch, severity(rule, Severity::Warning))
            })
        }
        None => {
            let mtu = pod.pod_mtu?;
            let mismatch =
                mismatch(family, &rule.place.chain, mtu, mtu, Some(pod.clone()), vec![pod.clone()]);
            let telling = Some(pmtud_disabled::filtered(rule, Some(pod), None));
            Some(Consequence { telling, ..Consequence::of(mismatch, Severity::Info) })
        }
    }
}

/// A rule that asks for addresses or the like may not concern the errors that are needed.
fn severity(rule: &ErrorDrop, otherwise: Severity) -> Severity {
    if rule.place.narrowed { Severity::Info } else { otherwise }
}

fn mismatch(
    family: Family,
    interface: &str,
    limit: u32,
    larger: u32,
    pod: Option<Pod>,
    pods: Vec<Pod>,
) -> Mismatch {
    let at = (pod.as_ref().and_then(|pod| pod.host_ifindex).unwrap_or(0), interface);
    Mismatch {
        at: if larger > limit { LimitAt::Node } else { LimitAt::Unknown },
        direction: Some(Direction::FromPod),
        pods,
        ..Mismatch::of_discovery(pod.as_ref(), family, at, (limit, larger))
    }
}
