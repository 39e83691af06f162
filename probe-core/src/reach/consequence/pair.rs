//! The two ends of a pod's veth.
use super::{Consequence, Senders, only};
use crate::diagnose::latent::Mismatch;
use crate::model::finding::{Direction, Kind, LimitAt, LimitHow, Severity};
use crate::model::interface::{Interface, Role};
use crate::model::limits::VETH_SLACK;
use crate::model::pod::Pod;
use crate::model::survey::Survey;

/// Pairs whose ends differ.
pub(super) fn ends_that_differ(survey: &Survey, senders: &Senders) -> Vec<Consequence> {
    let node = &survey.node;
    let ends = node.with_role(Role::Pod).filter(|end| end.up && end.kind == "veth");
    ends.filter_map(|end| consequence(survey, senders, end, node.pod_behind(end.ifindex)?)).collect()
}

fn consequence(survey: &Survey, senders: &Senders, end: &Interface, pod: &Pod) -> Option<Consequence> {
    let pod_mtu = end.peer.as_ref()?.mtu?;
    if pod_mtu == end.mtu {
        return None;
    }
    let from_pod = end.mtu < pod_mtu;
    let sends = if from_pod { senders.largest(pod)? } else { towards(survey, senders, end) };
    let limit = end.mtu.min(pod_mtu);
    let pod_end = pod.pod_interface.clone().unwrap_or_default();
    let (one, pods) = only(pod);
    let mismatch = Mismatch {
        kind: Kind::VethMtuMismatch,
        ifindex: end.ifindex,
        interface: if from_pod { end.name.clone() } else { pod_end },
        limit,
        larger: end.mtu.max(pod_mtu),
        at: if from_pod { LimitAt::Link } else { LimitAt::Pod },
        how: LimitHow::PeerMtu,
        pod: one,
        pods,
        direction: Some(if from_pod { Direction::FromPod } else { Direction::ToPod }),
        family: None,
        certain: false,
    };
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
