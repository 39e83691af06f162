//! What each finding kind means, how it is proved and what to do: one file per kind, listed in one table.
//!
//! The table feeds the texts of findings, `mtuprobe explain` and the documentation.

pub mod bridge_mtu_mismatch;
pub mod fragments_lost;
pub mod mss_exceeds_path;
pub mod mtu_below_ipv6_minimum;
pub mod overlay_mtu_exceeds_underlay;
pub mod oversize_dropped;
pub mod oversize_fragmented;
pub mod packet_too_big_implausible;
pub mod pmtu_black_hole;
pub mod pmtu_exception_suspicious;
pub mod pmtud_disabled;
pub mod pod_mtu_exceeds_egress;
pub mod veth_mtu_mismatch;

use super::exceptions::Suspicion;
use super::fault::{Fault, Judgement};
use super::latent::Mismatch;
use super::verification::verification;
use crate::model::finding::{Direction, Fix, FixWhen, Kind, Reason};
use crate::model::pod::Pod;
use crate::model::topology::Topology;
use std::collections::BTreeSet;

/// What is known of a kind.
#[derive(Debug)]
pub struct Rule {
    /// The kind.
    pub kind: Kind,
    /// What it means.
    pub meaning: &'static str,
    /// Which evidence proves it.
    pub proof: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// RFC sections and kernel functions.
    pub references: &'static [&'static str],
    /// Tells one case of it.
    pub tell: Teller,
}

/// Tells a case in words.
#[derive(Clone, Copy, Debug)]
pub enum Teller {
    /// Of packets that met a limit.
    Traffic(fn(&Case<'_>) -> Telling),
    /// Of a mismatch that none may have met.
    Latent(fn(&Topology, &Mismatch) -> Telling),
    /// Of a path MTU that was learned.
    Exception(fn(&Suspicion) -> Telling),
}

/// A fault to tell of.
#[derive(Debug)]
pub struct Case<'a> {
    /// Links and pods.
    pub topology: &'a Topology,
    /// The evidence.
    pub fault: &'a Fault,
    /// What it amounts to.
    pub judgement: Judgement,
}

/// A case in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telling {
    /// One line.
    pub title: String,
    /// What was seen, and which evidence proves it.
    pub explanation: String,
    /// What to do.
    pub fixes: Vec<Fix>,
}

/// All kinds that are diagnosed.
pub static RULES: [&Rule; 13] = [
    &pmtu_black_hole::RULE,
    &fragments_lost::RULE,
    &oversize_dropped::RULE,
    &oversize_fragmented::RULE,
    &packet_too_big_implausible::RULE,
    &pmtu_exception_suspicious::RULE,
    &veth_mtu_mismatch::RULE,
    &pod_mtu_exceeds_egress::RULE,
    &overlay_mtu_exceeds_underlay::RULE,
    &bridge_mtu_mismatch::RULE,
    &pmtud_disabled::RULE,
    &mtu_below_ipv6_minimum::RULE,
    &mss_exceeds_path::RULE,
];

/// The rule of a kind; `None` for a kind that is not diagnosed yet.
pub fn rule(kind: Kind) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.kind == kind)
}

impl Rule {
    /// The reasons that findings of this kind tell apart, each with its meaning in a few words.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, &'static str)> {
        let reasons = if self.kind == Kind::PmtuBlackHole { Reason::ALL } else { &[] };
        reasons.iter().map(|&reason| (reason, pmtu_black_hole::in_short(reason)))
    }
}

impl Case<'_> {
    /// The pod, or the node.
    fn who(&self) -> String {
        self.fault
            .pod
            .as_ref()
            .map_or_else(|| "the node itself".to_owned(), |pod| format!("pod {}", pod.display_name()))
    }

    /// Which way, in words.
    fn way(&self) -> &'static str {
        match self.fault.key.direction {
            Direction::FromPod | Direction::FromHost => "from",
            Direction::ToPod | Direction::ToHost => "to",
        }
    }

    /// The limiting interface, router or path.
    fn joint(&self) -> String {
        let limit = &self.fault.limit;
        match (&limit.interface, limit.router) {
            (Some(interface), _) => interface.clone(),
            (None, Some(router)) => format!("router {router}"),
            (None, None) => "the path".to_owned(),
        }
    }

    /// The limit in bytes, or its bounds.
    fn limit(&self) -> String {
        match (self.fault.limit.mtu, self.fault.limit.between) {
            (Some(mtu), _) => mtu.to_string(),
            (None, Some((low, high))) => format!("between {low} and {}", high.saturating_sub(1)),
            (None, None) => "unknown".to_owned(),
        }
    }

    fn smallest(&self) -> u32 {
        self.fault.flows.values().map(|flow| flow.smallest).min().unwrap_or(0)
    }

    fn largest(&self) -> u32 {
        self.fault.flows.values().map(|flow| flow.largest).max().unwrap_or(0)
    }

    fn packets(&self) -> u64 {
        self.fault.packets_beyond + self.fault.flows.values().map(|flow| flow.packets).sum::<u64>()
    }

    fn drops(&self) -> u64 {
        self.fault.packets_beyond + self.fault.flows.values().map(|flow| flow.drops).sum::<u64>()
    }

    /// What bears the evidence out, as a list.
    fn counted(&self) -> Option<String> {
        let list: Vec<String> = self.fault.counted.iter().cloned().collect();
        (!list.is_empty()).then(|| list.join(", "))
    }

    /// The evidence that was witnessed, as a list.
    fn witnesses(&self) -> String {
        let list = |witnesses: &BTreeSet<String>| witnesses.iter().cloned().collect::<Vec<_>>().join(", ");
        let seen = list(&self.fault.witnesses);
        if self.fault.counted.is_empty() {
            return seen;
        }
        let also = if seen.is_empty() { "counted in" } else { "; also in" };
        format!("{seen}{also} {}", list(&self.fault.counted))
    }

    /// A command in the network namespace of the pod, or of the node.
    fn at_sender(&self, command: &str) -> Option<String> {
        self.fault.pod.as_ref().map_or(Some(command.to_owned()), |pod| inside(pod, command))
    }

    /// What switches path MTU discovery on again at the sender.
    fn discover_again(&self) -> [Fix; 2] {
        discover_again(self.at_sender("sysctl -w net.ipv4.ip_no_pmtu_disc=0"))
    }

    /// A command that makes the sending pod's interface smaller; `None` where the sender is no pod of this node.
    fn shrink_sender(&self, mtu: u32) -> Option<String> {
        let pod = self.fault.pod.as_ref().filter(|_| self.fault.key.direction == Direction::FromPod)?;
        inside(pod, &format!("ip link set {} mtu {mtu}", pod.pod_interface.as_deref()?))
    }

    /// How to see whether `size` bytes pass again.
    fn verify(&self, size: u32) -> Fix {
        verification(self, Some(size))
    }
}

/// A command inside a pod's network namespace; `None` where no way into it is known.
pub(super) fn inside(pod: &Pod, command: &str) -> Option<String> {
    match (&pod.netns, pod.pid) {
        (Some(path), _) => Some(format!("nsenter --net={path} {command}")),
        (None, Some(pid)) => Some(format!("nsenter --target {pid} --net {command}")),
        (None, None) => None,
    }
}

/// What switches path MTU discovery on again, with the command that does it at once.
pub(super) fn discover_again(command: Option<String>) -> [Fix; 2] {
    [
        now(
            command,
            "errors are taken at once, and sockets made from then on send with DF; lost at the next pod restart",
        ),
        durable(
            "take net.ipv4.ip_no_pmtu_disc out of what sets it: the pod's securityContext.sysctls, an init container, the \
             CNI's tuning plugin; a new network namespace begins with 0 whatever the node has",
        ),
    ]
}

/// A fix that lasts until the next restart.
pub(super) fn now(command: Option<String>, text: impl Into<String>) -> Fix {
    Fix { when: FixWhen::Now, command, text: text.into() }
}

/// A fix for good.
pub(super) fn durable(text: impl Into<String>) -> Fix {
    Fix { when: FixWhen::Durable, command: None, text: text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_black_holes_have_reasons() {
        let with_reasons: Vec<Kind> =
            RULES.iter().filter(|rule| rule.reasons().next().is_some()).map(|rule| rule.kind).collect();
        assert_eq!(with_reasons, [Kind::PmtuBlackHole]);
    }

    #[test]
    fn each_kind_has_one_rule_at_most() {
        for rule in RULES {
            assert_eq!(RULES.iter().filter(|other| other.kind == rule.kind).count(), 1, "{:?}", rule.kind);
        }
    }
}
