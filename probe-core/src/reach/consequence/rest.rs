//! IPv6 that an MTU switched off, and path MTU discovery that a setting or a locked route switched off.
use super::super::egress::{self, By};
use super::super::{Beyond, Place, Reach, sender};
use super::{Consequence, marked};
use crate::diagnose::latent::{self, Mismatch};
use crate::diagnose::rules::pmtud_disabled;
use crate::model::finding::Severity;
use crate::model::flow::Family;
use crate::model::pod::Pod;
use crate::model::settings::{Discovery, Setting};
use crate::model::survey::Survey;

/// Interfaces whose MTU is too small for IPv6.
pub(super) fn below_ipv6_minimum(survey: &Survey) -> Vec<Consequence> {
    let node = &survey.node;
    let interfaces = node.interfaces.values().filter(|interface| interface.up);
    interfaces
        .filter_map(|interface| latent::below_ipv6_minimum(node, interface))
        .map(|mismatch| {
            let severity = if mismatch.certain { Severity::Warning } else { Severity::Info };
            Consequence::of(mismatch, severity)
        })
        .collect()
}

/// Pods that do not discover, and routes whose MTU is locked.
pub(super) fn without_discovery(survey: &Survey, reaches: &[Reach]) -> Vec<Consequence> {
    let mut found = Vec::new();
    for pod in &survey.node.pods {
        found.extend(by_setting(survey, reaches, pod));
        found.extend(by_lock(survey, reaches, pod));
    }
    // A route of the node that is locked at more than its device takes.
    found.extend(latent::locked_routes(&survey.node).map(|mismatch| Consequence {
        note: Some("It concerns what this node sends and forwards by it.".to_owned()),
        ..Consequence::of(mismatch, Severity::Warning)
    }));
    found
}

/// The smallest limit of this node that a pod has to learn by an ICMP error.
fn smallest_told<'a>(reaches: &'a [Reach], pod: &Pod, family: Family) -> Option<(&'a Reach, usize)> {
    let own = reaches.iter().filter(|reach| {
        reach.family == family
            && reach.is_meant
            && reach.pod.host_ifindex == pod.host_ifindex
            && reach.pod.key() == pod.key()
    });
    own.filter(|reach| reach.sends() > reach.mtu())
        .filter_map(|reach| {
            let (index, joint) = reach.limit()?;
            let told = joint.beyond == Beyond::Told && joint.place == Place::Node;
            told.then_some((reach, index))
        })
        .min_by_key(|(reach, _)| (reach.mtu(), std::cmp::Reverse(reach.to)))
}

fn base(pod: &Pod, family: Family, interface: &str, limit: u32, larger: u32) -> Mismatch {
    let at = (pod.host_ifindex.unwrap_or(0), interface);
    Mismatch::of_discovery(Some(pod), family, at, (limit, larger))
}

fn by_setting(survey: &Survey, reaches: &[Reach], pod: &Pod) -> Option<Consequence> {
    let settings = survey.node.settings_of(Some(pod))?;
    let is_off = settings.discovery().is_some_and(|discovery| discovery != Discovery::On);
    let needed = smallest_told(reaches, pod, Family::Ipv4);
    let minimum = settings.get(Setting::MinPmtu).unwrap_or(0);
    match needed {
        Some((reach, index)) if is_off || minimum > reach.mtu() => {
            let joint = reach.chain.get(index)?;
            let mismatch = base(pod, Family::Ipv4, &joint.interface, reach.mtu(), reach.sends());
            let chain = Some(marked(&reach.chain, index));
            Some(Consequence { chain, ..Consequence::of(mismatch, Severity::Warning) })
        }
        None if is_off => {
            let mtu = pod.pod_mtu?;
            let interface = pod.pod_interface.as_deref().unwrap_or("?");
            let mismatch = base(pod, Family::Ipv4, interface, mtu, mtu);
            let telling = pmtud_disabled::not_needed(pod, settings);
            Some(Consequence { telling: Some(telling), ..Consequence::of(mismatch, Severity::Info) })
        }
        Some(_) | None => None,
    }
}

/// A locked route inside the pod: its kernel believes the metric and no error, and sends without DF.
fn by_lock(survey: &Survey, reaches: &[Reach], pod: &Pod) -> Vec<Consequence> {
    let Some(inside) = survey.inside(pod) else { return Vec::new() };
    let locked = inside.routes.iter().filter(|route| route.unicast && route.mtu_locked);
    let locked = locked.filter(|route| {
        let device = route.oif.and_then(|oif| inside.interface(oif));
        device.is_some_and(|device| Some(&device.name) == pod.pod_interface.as_ref())
    });
    locked
        .filter_map(|route| {
            let mtu = egress::route_mtu(route, By::Sender)?;
            let behind = reaches.iter().filter(|reach| {
                reach.family == route.family
                    && reach.pod.key() == pod.key()
                    && reach.is_meant
                    && reach.sends() > reach.mtu()
                    && sender::takes(survey, reach, route)
            });
            let worst = behind.min_by_key(|reach| reach.mtu());
            let destination =
                route.destination.map_or("default".to_owned(), |(to, length)| format!("{to}/{length}"));
            Some(match worst.and_then(|reach| Some((reach, reach.limit()?))) {
                Some((reach, (index, joint))) => {
                    let mismatch = base(pod, route.family, &joint.interface, reach.mtu(), reach.sends());
                    let telling = pmtud_disabled::locked_inside(
                        pod,
                        &destination,
                        mtu,
                        Some((&joint.interface, reach.mtu())),
                    );
                    let chain = Some(marked(&reach.chain, index));
                    Consequence {
                        telling: Some(telling),
                        chain,
                        ..Consequence::of(mismatch, Severity::Warning)
                    }
                }
                None => {
                    let mismatch = base(pod, route.family, pod.pod_interface.as_deref()?, mtu, mtu);
                    let telling = pmtud_disabled::locked_inside(pod, &destination, mtu, None);
                    Consequence { telling: Some(telling), ..Consequence::of(mismatch, Severity::Info) }
                }
            })
        })
        .collect()
}
