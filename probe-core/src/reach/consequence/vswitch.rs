//! What pods on a vswitch send against what the ports take that its flows send them to.
use super::super::joint::{Beyond, Place};
use super::super::{Reach, switch};
use super::{Consequence, Senders, marked};
use crate::diagnose::latent::Mismatch;
use crate::model::finding::{Direction, LimitAt, LimitHow, Severity};
use crate::model::interface::Interface;
use crate::model::pod::Pod;
use crate::model::survey::Survey;
use crate::model::vswitch::KIND;
use std::collections::BTreeMap;

/// A port and the pods that send it more than it takes.
struct Excess<'a> {
    port: &'a Interface,
    larger: u32,
    pods: Vec<Pod>,
}

/// Datapaths with ports that pods can send too much to: one finding each, about the smallest such port.
pub(super) fn smaller_ports(survey: &Survey, reaches: &[Reach], senders: &Senders) -> Vec<Consequence> {
    let node = &survey.node;
    let mut excesses: BTreeMap<(u32, u32), Excess<'_>> = BTreeMap::new();
    for pod in &node.pods {
        let Some(end) = pod.host_ifindex.and_then(|ifindex| node.interface(ifindex)) else { continue };
        let Some(datapath) = end.master.filter(|_| end.master_kind.as_deref() == Some(KIND)) else {
            continue;
        };
        // What the port itself does not take is another finding's.
        let Some(sends) = senders.largest(pod).map(|sends| sends.min(end.mtu)) else { continue };
        let smaller = |port: &&Interface| port.up && port.tunnel.is_none() && port.mtu < sends;
        for port in node.switched_to(end, None).filter(smaller) {
            let excess = excesses.entry((datapath, port.ifindex)).or_insert_with(|| Excess {
                port,
                larger: sends,
                pods: Vec::new(),
            });
            excess.larger = excess.larger.max(sends);
            if !excess.pods.contains(pod) {
                excess.pods.push(pod.clone());
            }
        }
    }
    let mut smallest: BTreeMap<u32, Excess<'_>> = BTreeMap::new();
    for ((datapath, _), excess) in excesses {
        let is_smaller = smallest.get(&datapath).is_none_or(|known| {
            // The way out comes first: that is what most packets take.
            (!switch::is_outward(excess.port), excess.port.mtu)
                < (!switch::is_outward(known.port), known.port.mtu)
        });
        if is_smaller {
            smallest.insert(datapath, excess);
        }
    }
    smallest
        .into_iter()
        .filter_map(|(datapath, excess)| consequence(survey, reaches, datapath, excess))
        .collect()
}

fn consequence(survey: &Survey, reaches: &[Reach], datapath: u32, excess: Excess<'_>) -> Option<Consequence> {
    let Excess { port, larger, pods } = excess;
    let switch = survey.node.interface(datapath)?;
    let by_flows = pods.iter().any(|pod| {
        let end = pod.host_ifindex.and_then(|ifindex| survey.node.vswitch_of(ifindex).zip(Some(ifindex)));
        end.is_some_and(|(vswitch, ifindex)| vswitch.outputs(ifindex, None).is_some())
    });
    let how = if by_flows { "By the programmed flows" } else { "Unless flows say otherwise" };
    let note = format!("{how}, what these pods send leaves by {}, which takes {}.", port.name, port.mtu);
    let mismatch = Mismatch {
        at: if switch::is_outward(port) { LimitAt::Node } else { LimitAt::Link },
        how: LimitHow::DeviceMtu,
        direction: Some(Direction::FromPod),
        ..Mismatch::of_bridge(switch, (port.mtu, larger), pods)
    };
    let chain = reaches.iter().find_map(|reach| {
        let index = reach.chain.iter().position(|joint| {
            joint.place == Place::Node && joint.ifindex == port.ifindex && joint.beyond == Beyond::Silent
        })?;
        (reach.pod.host_ifindex != Some(port.ifindex) && reach.pod_mtu() > port.mtu)
            .then(|| marked(&reach.chain, index))
    });
    Some(Consequence { note: Some(note), chain, ..Consequence::of(mismatch, Severity::Warning) })
}
