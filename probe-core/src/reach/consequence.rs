//! Mismatches of the configuration, with a severity by what can meet them: `warning` where large packets will be lost or
//! fragmented once they come, `info` where nothing can send them.
mod bridge;
mod egress;
mod filter;
mod overlay;
mod pair;
mod rest;
mod vswitch;

use super::Reach;
use super::joint;
use crate::diagnose::latent::Mismatch;
use crate::diagnose::rules::Telling;
use crate::diagnose::{Diagnoser, Senses, latent_finding, short_id};
use crate::model::Time;
use crate::model::finding::{Cause, Certainty, Finding, Kind, Severity};
use crate::model::pod::Pod;
use crate::model::survey::Survey;
use std::collections::BTreeMap;

/// A mismatch and what it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Consequence {
    mismatch: Mismatch,
    severity: Severity,
    /// `suspected` where what could make it harmless was not seen.
    certainty: Certainty,
    /// Why it is so grave or harmless.
    note: Option<String>,
    /// The chain with the limiting joint in brackets.
    chain: Option<String>,
    /// What several of them have in common: scope and title.
    cause: Option<(&'static str, String)>,
    /// In words, where the kind's rule does not have them.
    telling: Option<Telling>,
}

impl Consequence {
    fn of(mismatch: Mismatch, severity: Severity) -> Self {
        Self {
            mismatch,
            severity,
            certainty: Certainty::Confirmed,
            note: None,
            chain: None,
            cause: None,
            telling: None,
        }
    }
}

/// The findings of a survey, the worst first.
pub fn findings(survey: &Survey, reaches: &[Reach], now: Time) -> Vec<Finding> {
    let senders = Senders::of(reaches);
    let mut all = pair::ends_that_differ(survey, &senders);
    all.extend(egress::smaller_ways(survey, reaches));
    all.extend(overlay::too_large(survey, reaches));
    all.extend(bridge::unequal_ports(survey, reaches, &senders));
    all.extend(vswitch::smaller_ports(survey, reaches, &senders));
    all.extend(rest::below_ipv6_minimum(survey));
    all.extend(rest::without_discovery(survey, reaches));
    all.extend(filter::dropped_errors(survey, reaches));
    let mut findings = published(survey, all, now);
    findings.extend(suspicious(survey, now));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// Learned path MTUs that nothing explains, as the diagnosis judges those that were there before it began.
fn suspicious(survey: &Survey, now: Time) -> Vec<Finding> {
    let senses =
        Senses { tc: false, kfree_skb: false, icmp_send: false, tcp_retransmit: false, conntrack: false };
    let mut diagnoser = Diagnoser::new(senses);
    diagnoser.handle_topology(now, survey.node.clone());
    for learned in survey.exceptions.iter().filter(|learned| !learned.exceptions.is_empty()) {
        diagnoser.handle_exceptions(now, learned.clone());
    }
    let found = diagnoser.finish(now);
    found.into_iter().filter(|finding| finding.kind == Kind::PmtuExceptionSuspicious).collect()
}

fn published(survey: &Survey, consequences: Vec<Consequence>, now: Time) -> Vec<Finding> {
    let mut affected: BTreeMap<(&'static str, String), u32> = BTreeMap::new();
    for (key, mismatch) in consequences.iter().filter_map(|one| Some((one.cause.clone()?, &one.mismatch))) {
        *affected.entry(key).or_default() += u32::try_from(mismatch.pods.len()).unwrap_or(u32::MAX);
    }
    let pods_total = u32::try_from(survey.node.pods.len()).unwrap_or(u32::MAX);
    consequences
        .into_iter()
        .filter_map(|one| {
            let mut finding = latent_finding(&survey.node, &one.mismatch, one.telling, now)?;
            finding.severity = one.severity;
            finding.certainty = one.certainty;
            finding.chain = one.chain;
            if let Some(note) = one.note {
                finding.explanation.push(' ');
                finding.explanation.push_str(&note);
            }
            finding.cause = one.cause.map(|(scope, title)| Cause {
                kind: Some(finding.kind),
                id: short_id(&title)[..4].to_owned(),
                pods_affected: affected.get(&(scope, title.clone())).copied().unwrap_or(0),
                title,
                scope,
                pods_total,
                changed: None,
            });
            Some(finding)
        })
        .collect()
}

/// The largest packet that each pod's own kernel lets it send, by host interface.
struct Senders(BTreeMap<u32, u32>);

impl Senders {
    fn of(reaches: &[Reach]) -> Self {
        let mut largest = BTreeMap::new();
        for reach in reaches {
            if let Some(ifindex) = reach.pod.host_ifindex {
                let sends = largest.entry(ifindex).or_insert(0);
                *sends = reach.sends().max(*sends);
            }
        }
        Self(largest)
    }

    /// In bytes; without a route of its own known, what the interface takes.
    fn largest(&self, pod: &Pod) -> Option<u32> {
        pod.host_ifindex.and_then(|ifindex| self.0.get(&ifindex)).copied().or(pod.pod_mtu)
    }
}

/// `pod eth0 1500 > veth1 1500 > [eth0 1400]`.
fn marked(chain: &[joint::Joint], limiting: usize) -> String {
    let joint = |(index, joint): (usize, &joint::Joint)| {
        let text = joint.to_string();
        if index == limiting { format!("[{text}]") } else { text }
    };
    format!("pod {}", chain.iter().enumerate().map(joint).collect::<Vec<_>>().join(" > "))
}

/// The base of a mismatch that concerns one pod.
fn only(pod: &Pod) -> (Option<Pod>, Vec<Pod>) {
    (Some(pod.clone()), vec![pod.clone()])
}

#[cfg(test)]
#[path = "consequence/tests.rs"]
mod tests;
