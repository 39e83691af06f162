//! The two ends of a pod's veth.
use super::{Consequence, Senders};
use crate::diagnose::latent;
use crate::model::finding::{Direction, Severity};
use crate::model::interface::{Interface, Role};
use crate::model::limits::VETH_SLACK;
use crate::model::survey::Survey;

/// Pairs whose ends differ.
pub(super) fn ends_that_differ(survey: &Survey, senders: &Senders) -> Vec<Consequence> {
    let node = &survey.node;
    let ends = node.with_role(Role::Pod).filter(|end| end.up);
    ends.filter_map(|end| consequence(survey, senders, end)).collect()
}

fn consequence(survey: &Survey, senders: &Senders, end: &Interface) -> Option<Consequence> {
    let mismatch = latent::veth_ends(&survey.node, end)?;
    let (limit, from_pod) = (mismatch.limit, mismatch.direction == Some(Direction::FromPod));
    let pod = mismatch.pod.as_ref()?;
    let sends = if from_pod { senders.largest(pod)? } else { towards(survey, senders, end) };
    let can_be_met = sends > limit.saturating_add(VETH_SLACK);
    let note = match (can_be_met, from_pod) {
        (true, _) => None,
        (false, _) if sends > limit => Some(format!("{sends} fit into the slack: nothing meets it.")),
        (false, true) => {
            Some(format!("The pod's own routes keep what it sends at {sends}: nothing meets it."))
        }
        (false, false) => {
            Some(format!("Nothing larger than {sends} is sent towards the pod: nothing meets it."))
        }
    };
    let severity = if can_be_met { Severity::Warning } else { Severity::Info };
    Some(Consequence { note, ..Consequence::of(mismatch, severity) })
}

/// The largest packet in bytes that may come towards a pod by the host's end.
fn towards(survey: &Survey, senders: &Senders, end: &Interface) -> u32 {
    let node = &survey.node;
    let Some(bridge) = end.master.and_then(|bridge| node.interface(bridge)).filter(|it| it.kind == "bridge")
    else {
        let routes = node.routes.iter().filter(|route| route.unicast && route.oif == Some(end.ifindex));
        return routes.map(|route| route.mtu.unwrap_or(end.mtu).min(end.mtu)).max().unwrap_or(end.mtu);
    };
    let others = node
        .interfaces
        .values()
        .filter(|port| port.up && port.master == Some(bridge.ifindex) && port.ifindex != end.ifindex);
    let sent = others.map(|port| match node.pod_behind(port.ifindex) {
        Some(pod) => senders.largest(pod).unwrap_or(port.mtu).min(port.mtu),
        None => port.mtu,
    });
    sent.chain([bridge.mtu]).max().unwrap_or(bridge.mtu).min(end.mtu)
}
