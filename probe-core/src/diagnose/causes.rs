//! What one fault does to many: findings with the same cause are one thing to repair.
use super::fault::{Fault, FaultKey, Joint};
use super::latent::Mismatch;
use super::short_id;
use crate::model::finding::{Cause, Kind};
use crate::model::interface::Role;
use crate::model::pod::PodKey;
use crate::model::settings::Setting;
use crate::model::topology::Topology;
use std::collections::{BTreeMap, BTreeSet};

/// The joint that is to be repaired: a bridge for its ports, else the joint itself.
pub(super) fn root(topology: &Topology, joint: &Joint) -> Joint {
    let Joint::Port(port) = joint else { return joint.clone() };
    let bridge = topology.interface(*port).and_then(|port| port.master);
    Joint::Port(bridge.unwrap_or(*port))
}

/// What one fault has in common with others: the joint, without the pod.
pub(super) fn of_fault(
    topology: &Topology,
    faults: &BTreeMap<FaultKey, Fault>,
    fault: &Fault,
    changed: Option<String>,
) -> Cause {
    let by_setting = fault.is_caused_by_setting();
    let affected: BTreeSet<&PodKey> = faults
        .values()
        .filter(|other| other.root == fault.root && other.pod.is_some())
        // What a setting does to some pods has the same joint as what the joint does to the others.
        .filter(|other| other.is_caused_by_setting() == by_setting)
        .map(|other| &other.key.pod)
        .collect();
    let (mut scope, mut title) = in_words(topology, fault);
    let mut id = id(&fault.root);
    if by_setting {
        let (setting, value) = (Setting::IpNoPmtuDisc.name(), fault.discovery().value());
        title = format!("{title}; path MTU discovery is off where they come from ({setting} is {value})");
        (id, scope) = (short_id(&format!("{id} {setting}")), "pod");
    }
    Cause {
        id,
        kind: fault.configured,
        title,
        scope,
        pods_affected: count(affected.len()),
        pods_total: count(topology.pods.len()),
        changed,
    }
}

/// The cause that a mismatch will be once packets meet it.
pub(super) fn of_mismatch(topology: &Topology, mismatch: &Mismatch, finding: &str, title: &str) -> Cause {
    let role = topology.interface(mismatch.ifindex).map(|interface| interface.role);
    let scope = match mismatch.kind {
        Kind::BridgeMtuMismatch => "bridge",
        Kind::OverlayMtuExceedsUnderlay => "overlay",
        Kind::PodMtuExceedsEgress => scope_of_egress(role),
        Kind::PmtudDisabled if mismatch.pod.is_none() => scope_of_egress(role),
        Kind::VethMtuMismatch
        | Kind::PmtudDisabled
        | Kind::MtuBelowIpv6Minimum
        | Kind::OversizeDropped
        | Kind::PmtuBlackHole
        | Kind::OversizeFragmented
        | Kind::FragmentsLost
        | Kind::PacketTooBigImplausible
        | Kind::PmtuExceptionSuspicious
        | Kind::MssExceedsPath => "pod",
    };
    Cause {
        id: mismatch.joint().map_or_else(|| finding.to_owned(), |joint| id(&joint)),
        kind: Some(mismatch.kind),
        title: title.to_owned(),
        scope,
        pods_affected: count(mismatch.pods.len()),
        pods_total: count(topology.pods.len()),
        changed: None,
    }
}

fn id(root: &Joint) -> String {
    short_id(&format!("{root:?}"))
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn scope_of_egress(role: Option<Role>) -> &'static str {
    match role {
        Some(Role::Uplink) => "uplink",
        Some(Role::Overlay) => "overlay",
        Some(Role::Bridge) => "bridge",
        Some(Role::Pod | Role::Port | Role::Link) | None => "link",
    }
}

/// Scope and title.
fn in_words(topology: &Topology, fault: &Fault) -> (&'static str, String) {
    let limit = fault.limit.mtu.map_or_else(|| "less".to_owned(), |mtu| mtu.to_string());
    let place = fault.limit.interface.clone().unwrap_or_default();
    let role = |ifindex: &u32| topology.interface(*ifindex).map(|interface| interface.role);
    match &fault.key.joint {
        Joint::Veth(ifindex) if role(ifindex) == Some(Role::Pod) => {
            ("pod", format!("the two ends of a veth differ: {place} takes {limit}"))
        }
        Joint::Veth(_) => ("link", format!("the link partner of {place} takes {limit}")),
        Joint::Port(_) => ("bridge", format!("port {place} takes {limit}, others of its bridge send more")),
        Joint::Egress(ifindex, _) => {
            let scope = scope_of_egress(role(ifindex));
            let senders = if matches!(scope, "uplink" | "overlay") { ", pods send more" } else { "" };
            (scope, format!("{place} carries {limit}{senders}"))
        }
        Joint::Tunnel(_) => {
            ("overlay", format!("{place} carries {limit} inside its underlay, pods send more"))
        }
        Joint::PodDevice(..) => ("pod", format!("{place} inside the pod carries {limit}")),
        Joint::Router(router, mtu) => ("path", format!("router {router} carries {mtu}")),
        Joint::Program(_) => ("filter", format!("a program or filter at {place} drops large packets")),
        Joint::SilentPath => ("path", "a path beyond this node drops large packets silently".to_owned()),
        Joint::FragmentFilter(_) => ("filter", "a filter drops fragments".to_owned()),
        Joint::Reassembly(_) => {
            ("path", "datagrams never arrive whole: fragments of them are missing".to_owned())
        }
        Joint::Announcement(mtu) => ("path", format!("somebody announces an MTU of {mtu}")),
    }
}
