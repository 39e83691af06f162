//! Segment sizes that TCP handshakes announce, against what the way towards the announcer carries.
//!
//! A SYN is seen where it comes in and where it leaves; its sequence number tells that it is the same, also behind NAT.
//! What counts is the value that leaves: a clamp in between is at work. The announcement binds the *other* side, so a
//! pod's own SYN concerns what is sent to it (RFC 9293 section 3.7.1). What the pod announces itself is as much as its
//! route to the other side takes (`ip_default_advmss`), and it sends no more.
use super::Diagnoser;
use super::latent::Mismatch;
use crate::model::event::MssSeen;
use crate::model::finding::{Direction, Kind, LimitAt, LimitHow};
use crate::model::flow::{Family, Flow};
use crate::model::interface::{Interface, Role};
use crate::model::packet::{TcpHeader, Transport};
use crate::model::packet_too_big::HookDirection;
use crate::model::pod::{Pod, PodKey};
use crate::model::topology::Topology;
use crate::model::{SECOND, Time};
use std::collections::{BTreeMap, VecDeque};

/// A SYN passes the node within this time, or not at all.
const PASSES_WITHIN: Time = 2 * SECOND;
/// At most so many SYNs wait for their other hook.
const MAX_WAITING: usize = 1024;
/// An announcement that is not repeated for so long is forgotten.
const FORGOTTEN: Time = 600 * SECOND;
/// At most so many announcements are remembered.
const MAX_ANNOUNCED: usize = 4096;

/// A SYN or SYN-ACK on its way through the node.
#[derive(Clone, Debug)]
struct Entering {
    time: Time,
    seq: u32,
    ifindex: u32,
    flow: Flow,
    /// Largest packet in bytes at layer 3 that it permits.
    packet: u32,
}

/// A SYN that was handed to a pod, whose answer tells what the pod itself takes.
#[derive(Clone, Debug)]
struct Asked {
    time: Time,
    flow: Flow,
    way: Way,
    packet: u32,
}

/// Whose announcement, for which way, and by which interfaces it passed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    pod: PodKey,
    direction: Direction,
    family: Family,
    /// The pod's interface.
    inner: u32,
    /// The interface on the other side.
    outer: u32,
    /// MTU of the route towards the other side.
    route_mtu: Option<u32>,
}

/// The largest segment that was announced for a way.
#[derive(Clone, Copy, Debug)]
struct Announced {
    /// Largest packet in bytes at layer 3 that it permits.
    packet: u32,
    last: Time,
}

/// What handshakes announced.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    entering: VecDeque<Entering>,
    asked: VecDeque<Asked>,
    announced: BTreeMap<Way, Announced>,
}

impl Announcements {
    /// Mismatches between what was announced and what the ways carry now.
    pub fn mismatches(&self, topology: &Topology) -> Vec<Mismatch> {
        self.announced
            .iter()
            .filter_map(|(way, announced)| mismatch(topology, way, announced.packet))
            .collect()
    }

    fn forget(&mut self, now: Time) {
        self.entering.retain(|syn| syn.time + PASSES_WITHIN >= now);
        self.asked.retain(|syn| syn.time + PASSES_WITHIN >= now);
        self.announced.retain(|_, announced| announced.last + FORGOTTEN >= now);
    }
}

impl Diagnoser {
    /// Takes the announcement of a handshake in.
    pub(super) fn handle_tcp_mss(&mut self, now: Time, seen: &MssSeen) {
        let Transport::Tcp(header) = &seen.packet.transport else { return };
        let Some(mss) = header.mss else { return };
        let flow = seen.packet.flow;
        let packet = u32::from(mss) + Family::of(flow.src).tcp_headers();
        let syns = &mut self.announcements;
        match seen.direction {
            HookDirection::Ingress => {
                let entering =
                    Entering { time: seen.time, seq: header.seq, ifindex: seen.ifindex, flow, packet };
                push(&mut syns.entering, entering);
                let is_answered =
                    |asked: &Asked| asked.way.inner == seen.ifindex && asked.flow == flow.reversed();
                let asked = syns.asked.iter().rposition(is_answered);
                if let Some(asked) = asked.and_then(|place| syns.asked.remove(place)) {
                    self.announce(now, seen.time, asked.way, asked.packet.min(packet));
                }
            }
            HookDirection::Egress => {
                let came = syns.entering.iter().rev().find(|syn| {
                    syn.seq == header.seq
                        && syn.ifindex != seen.ifindex
                        && syn.time + PASSES_WITHIN >= seen.time
                });
                let Some(came) = came.cloned() else { return };
                let Some(way) = way(&self.topology, &came, seen) else { return };
                let syns = &mut self.announcements;
                let own = syns
                    .entering
                    .iter()
                    .rev()
                    .find(|syn| syn.ifindex == seen.ifindex && syn.flow == flow.reversed());
                match (way.direction, own) {
                    (Direction::FromPod, None) if header.flags & TcpHeader::ACK == 0 => {
                        push(&mut syns.asked, Asked { time: seen.time, flow, way, packet });
                    }
                    (Direction::FromPod, Some(own)) => {
                        let packet = packet.min(own.packet);
                        self.announce(now, seen.time, way, packet);
                    }
                    (Direction::FromPod | Direction::ToPod | Direction::FromHost | Direction::ToHost, _) => {
                        self.announce(now, seen.time, way, packet);
                    }
                }
            }
        }
    }

    fn announce(&mut self, now: Time, time: Time, way: Way, packet: u32) {
        let announced = Announced { packet, last: time };
        let known = self.announcements.announced.get(&way).map(|known| known.packet);
        if known.is_none() && self.announcements.announced.len() >= MAX_ANNOUNCED {
            return;
        }
        self.announcements.announced.insert(way, announced);
        if known != Some(packet) {
            self.announcements.forget(now);
            self.find_mismatches();
            self.tell_mismatches(now);
        }
    }
}

fn push<T>(queue: &mut VecDeque<T>, value: T) {
    if queue.len() >= MAX_WAITING {
        queue.pop_front();
    }
    queue.push_back(value);
}

/// The way that the announced segments will take: from where the SYN leaves to where it came in.
fn way(topology: &Topology, came: &Entering, leaves: &MssSeen) -> Option<Way> {
    let flow = leaves.packet.flow;
    let (enters_by, leaves_by) = (topology.interface(came.ifindex)?, topology.interface(leaves.ifindex)?);
    let (pod, direction, inner, outer) = if enters_by.role == Role::Pod {
        (topology.pod_behind(enters_by.ifindex)?, Direction::ToPod, enters_by, leaves_by)
    } else if leaves_by.role == Role::Pod {
        (topology.pod_behind(leaves_by.ifindex)?, Direction::FromPod, leaves_by, enters_by)
    } else {
        return None;
    };
    let remote = if direction == Direction::ToPod { flow.dst } else { came.flow.src };
    let route = topology.routes_to(remote).into_iter().find(|route| route.oif == Some(outer.ifindex));
    Some(Way {
        pod: pod.key(),
        direction,
        family: Family::of(flow.src),
        inner: inner.ifindex,
        outer: outer.ifindex,
        route_mtu: route.and_then(|route| route.mtu),
    })
}

/// A joint on the way: its limit, where it is, how it is known and its interface.
type Limiting = (u32, LimitAt, LimitHow, String);

fn mismatch(topology: &Topology, way: &Way, announced: u32) -> Option<Mismatch> {
    let pod = topology.pods.iter().find(|pod| pod.key() == way.pod)?;
    let (inner, outer) = (topology.interface(way.inner)?, topology.interface(way.outer)?);
    // The other side sends no more than its own interface takes, whatever is announced.
    let sender = match way.direction {
        Direction::FromPod => pod.pod_mtu,
        Direction::ToPod => topology.pod_behind(way.outer).and_then(|other| other.pod_mtu),
        Direction::FromHost | Direction::ToHost => None,
    };
    let larger = sender.map_or(announced, |mtu| mtu.min(announced));
    let (limit, at, how, interface) =
        joints(topology, pod, inner, outer, way.route_mtu).into_iter().min_by_key(|(limit, ..)| *limit)?;
    (larger > limit).then(|| Mismatch {
        kind: Kind::MssExceedsPath,
        ifindex: way.inner,
        interface,
        limit,
        larger,
        at,
        how,
        pod: Some(pod.clone()),
        pods: vec![pod.clone()],
        direction: Some(way.direction),
        family: Some(way.family),
        certain: false,
    })
}

fn joints(
    topology: &Topology,
    pod: &Pod,
    inner: &Interface,
    outer: &Interface,
    route_mtu: Option<u32>,
) -> Vec<Limiting> {
    let mut joints = vec![(inner.mtu, LimitAt::Link, LimitHow::PeerMtu, inner.name.clone())];
    if let Some(mtu) = pod.pod_mtu {
        let name = pod.pod_interface.clone().unwrap_or_default();
        joints.push((mtu, LimitAt::Pod, LimitHow::DeviceMtu, name));
    }
    // A bridge limits what is routed to it, not what goes from port to port.
    let bridge = inner.master.and_then(|master| topology.interface(master));
    if let Some(bridge) = bridge.filter(|bridge| outer.master != Some(bridge.ifindex)) {
        joints.push((bridge.mtu, LimitAt::Node, LimitHow::DeviceMtu, bridge.name.clone()));
    }
    let device = topology.device_limit(outer);
    joints.push(if device < outer.mtu {
        (device, LimitAt::Overlay, LimitHow::UnderlayMinusOverhead, outer.name.clone())
    } else {
        (device, LimitAt::Node, LimitHow::DeviceMtu, outer.name.clone())
    });
    joints.extend(route_mtu.map(|mtu| (mtu, LimitAt::Node, LimitHow::RouteMtu, outer.name.clone())));
    joints
}

#[cfg(test)]
#[path = "mss/tests.rs"]
mod tests;
