//! Ports of one bridge that differ, among each other or from the bridge.
use super::super::{Destination, Reach};
use super::{Consequence, Senders};
use crate::diagnose::latent::Mismatch;
use crate::model::finding::{Direction, LimitHow, Severity};
use crate::model::interface::{Interface, Role};
use crate::model::limits::VETH_SLACK;
use crate::model::pod::Pod;
use crate::model::survey::Survey;

/// Bridges on which one sends what another does not take.
pub(super) fn unequal_ports(survey: &Survey, reaches: &[Reach], senders: &Senders) -> Vec<Consequence> {
    let bridges = survey.node.interfaces.values().filter(|bridge| bridge.up && bridge.kind == "bridge");
    bridges.filter_map(|bridge| consequence(survey, reaches, senders, bridge)).collect()
}

fn consequence(
    survey: &Survey,
    reaches: &[Reach],
    senders: &Senders,
    bridge: &Interface,
) -> Option<Consequence> {
    let node = &survey.node;
    let ports: Vec<&Interface> =
        node.interfaces.values().filter(|port| port.up && port.master == Some(bridge.ifindex)).collect();
    let smallest = ports.iter().map(|port| port.mtu).min()?;
    let pods: Vec<Pod> = ports.iter().filter_map(|port| node.pod_behind(port.ifindex)).cloned().collect();
    // What comes from outside by a port is as large as others have agreed on with the pods: it is no sender here.
    let from_port = |port: &&&Interface| match (node.pod_behind(port.ifindex), port.role) {
        (Some(pod), _) => senders.largest(pod).map(|sends| sends.min(port.mtu)),
        (None, Role::Uplink | Role::Overlay) => None,
        (None, Role::Pod | Role::Bridge | Role::Port | Role::Link) => Some(port.mtu),
    };
    let from_ports = ports.iter().filter_map(|port| from_port(&port)).max().unwrap_or(0);
    // The node routes to the pods by the bridge, and checks no more than the bridge's own MTU.
    let from_node = if bridge.addresses.is_empty() { 0 } else { bridge.mtu };
    let largest = from_ports.max(from_node);
    let widest = ports.iter().map(|port| port.mtu).max()?;
    let found = |limit, larger| Mismatch::of_bridge(bridge, (limit, larger), pods.clone());
    if largest > smallest.saturating_add(VETH_SLACK) {
        return Some(Consequence::of(found(smallest, largest), Severity::Warning));
    }
    if bridge.mtu < smallest && !bridge.addresses.is_empty() {
        let towards = towards(reaches, &pods);
        let mismatch = Mismatch {
            direction: Some(Direction::ToPod),
            how: LimitHow::DeviceMtu,
            ..found(bridge.mtu, towards.max(smallest))
        };
        let (severity, note) = if towards > bridge.mtu {
            let note = format!(
                "What is routed to its pods meets the bridge's own MTU of {}: the sender is told, and has to learn it.",
                bridge.mtu
            );
            (Severity::Warning, note)
        } else {
            (
                Severity::Info,
                format!("Nothing larger than {towards} is routed to its pods: nothing meets it."),
            )
        };
        return Some(Consequence { note: Some(note), ..Consequence::of(mismatch, severity) });
    }
    if widest > smallest {
        let note = "No sender on this node makes packets that large: nothing of this node meets it.";
        let mismatch = found(smallest, widest);
        return Some(Consequence {
            note: Some(note.to_owned()),
            ..Consequence::of(mismatch, Severity::Info)
        });
    }
    None
}

/// The largest packet in bytes that may be routed to a bridge's pods: from outside, or from other pods of the node.
fn towards(reaches: &[Reach], pods: &[Pod]) -> u32 {
    let is_here = |reach: &Reach| pods.iter().any(|pod| pod.host_ifindex == reach.pod.host_ifindex);
    let outside = reaches
        .iter()
        .filter(|reach| is_here(reach) && reach.to == Destination::Outside)
        .filter_map(|reach| reach.chain.last())
        .map(|uplink| uplink.mtu);
    let others =
        reaches.iter().filter(|reach| !is_here(reach) && reach.to == Destination::SameNode).map(Reach::sends);
    outside.chain(others).max().unwrap_or(0)
}
