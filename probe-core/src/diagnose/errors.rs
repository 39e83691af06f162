//! The ledger of ICMP errors: made or arrived, passed on, dropped, and what the sender did.
use super::evidence::{ERROR_TRAVELS, PacketId};
use super::fault::{FaultKey, Joint};
use super::subject::{self, Subject};
use super::{Diagnoser, Output, PacketTooBigReport, Stage, Verdict, drops};
use crate::model::finding::{Direction, Limit, LimitAt, LimitHow};
use crate::model::flow::{Family, Flow};
use crate::model::interface::Role;
use crate::model::packet::{Packet, Transport};
use crate::model::packet_too_big::{HookDirection, PacketTooBigSeen};
use crate::model::pod::Pod;
use crate::model::size_drop::{IcmpGenerated, PacketDropped};
use crate::model::{SECOND, Time};
use std::net::IpAddr;

/// Linux takes no smaller path MTU over IPv4 (`net.ipv4.route.min_pmtu`): it would lock the route at this value.
pub(super) const IPV4_MIN_PMTU: u32 = 552;

/// Errors are remembered so long, for the packets they are about.
const REMEMBERED: Time = 10 * SECOND;
/// At most so many.
const MAX_REMEMBERED: usize = 4096;
/// An error is made just before the packet is freed, so it may come first by so much.
const BEFORE_DROP: Time = SECOND / 10;

/// An error at one stage.
#[derive(Clone, Debug)]
pub(super) struct SeenError {
    pub time: Time,
    pub stage: Stage,
    pub packets: u64,
    pub mtu: u32,
    pub reporter: IpAddr,
    pub original: Packet,
    /// Where it was dropped.
    pub place: Option<String>,
    /// It was found to belong to a fault.
    pub used: bool,
}

impl Diagnoser {
    pub(super) fn handle_packet_too_big(&mut self, now: Time, seen: &PacketTooBigSeen) {
        let Transport::PacketTooBig { next_hop_mtu, original } = &seen.packet.transport else { return };
        let Some(interface) = self.topology.interface(seen.ifindex) else { return };
        let role = interface.role;
        let name = interface.name.clone();
        let stage = match (role, seen.direction) {
            (Role::Uplink | Role::Overlay | Role::Port | Role::Link, HookDirection::Ingress) => {
                Stage::AtUplink
            }
            (Role::Pod, HookDirection::Egress) => Stage::Delivered,
            (Role::Uplink | Role::Overlay, HookDirection::Egress) => Stage::Delivered,
            // A pod that routes (nested containers) made it, or it is on its way between a bridge and its port.
            (Role::Pod, HookDirection::Ingress)
            | (Role::Bridge, _)
            | (Role::Port | Role::Link, HookDirection::Egress) => return,
        };
        let pod = match (&original, role) {
            (_, Role::Pod) => self.topology.pod_behind(seen.ifindex).cloned(),
            (Some(original), _) => self.topology.pod_with_address(original.flow.src).cloned(),
            (None, _) => None,
        };
        let (verdict, why) = plausibility(*next_hop_mtu, original.as_deref());
        self.output.push_back(Output::PacketTooBig(PacketTooBigReport {
            time: seen.time,
            family: seen.packet.family(),
            stage,
            error_id: original
                .as_ref()
                .map_or_else(String::new, |original| PacketId::of(original).name(*next_hop_mtu)),
            seen_at: Some((name, Some(seen.direction))),
            reporter: Some(seen.packet.flow.src),
            next_hop_mtu: Some(*next_hop_mtu),
            original: original.as_ref().map(|original| original.flow),
            original_length: original.as_ref().map(|original| original.length),
            pod: pod.clone(),
            verdict,
            why: why.clone(),
        }));
        let Some(original) = original else { return };
        if verdict == Verdict::Implausible {
            return self.handle_implausible(now, seen, stage, *next_hop_mtu, original, pod, why);
        }
        // A pod without a host interface (macvlan) is behind the uplink itself: what arrives there passes to it.
        let arrives_at_pod =
            stage == Stage::AtUplink && pod.as_ref().is_some_and(|pod| pod.host_ifindex.is_none());
        if arrives_at_pod {
            let arrived = self.seen_error(seen, Stage::AtUplink, *next_hop_mtu, original);
            self.errors.push_back(SeenError { used: true, ..arrived });
        }
        let stage = if arrives_at_pod { Stage::Delivered } else { stage };
        let error = self.seen_error(seen, stage, *next_hop_mtu, original);
        self.note_error(now, error, pod);
    }

    fn seen_error(&self, seen: &PacketTooBigSeen, stage: Stage, mtu: u32, original: &Packet) -> SeenError {
        SeenError {
            time: seen.time,
            stage,
            packets: u64::from(seen.packets.max(1)),
            mtu,
            reporter: seen.packet.flow.src,
            original: original.clone(),
            place: None,
            used: false,
        }
    }

    /// An error was dropped on its way, on the node or in a pod.
    pub(super) fn handle_error_dropped(&mut self, now: Time, drop: &PacketDropped, packet: &Packet) {
        let Transport::PacketTooBig { next_hop_mtu, original: Some(original) } = &packet.transport else {
            return;
        };
        let in_pod = self.pod_of_drop(drop);
        let place = match &in_pod {
            Some(pod) => {
                format!(
                    "{} ({}) in the network namespace of pod {}",
                    drops::name_of(&drop.location),
                    drop.reason,
                    pod.display_name()
                )
            }
            None => format!("{} ({}) on the node", drops::name_of(&drop.location), drop.reason),
        };
        let pod = in_pod.or_else(|| self.topology.pod_with_address(original.flow.src).cloned());
        let (verdict, why) = plausibility(*next_hop_mtu, Some(original));
        self.output.push_back(Output::PacketTooBig(PacketTooBigReport {
            time: drop.time,
            family: packet.family(),
            stage: Stage::Dropped,
            error_id: PacketId::of(original).name(*next_hop_mtu),
            seen_at: (!drop.device.is_empty()).then(|| (drop.device.clone(), None)),
            reporter: Some(packet.flow.src),
            next_hop_mtu: Some(*next_hop_mtu),
            original: Some(original.flow),
            original_length: Some(original.length),
            pod: pod.clone(),
            verdict,
            why: Some(
                why.map_or_else(|| format!("dropped at {place}"), |why| format!("{why}; dropped at {place}")),
            ),
        }));
        if verdict == Verdict::Implausible {
            return;
        }
        let error = SeenError {
            time: drop.time,
            stage: Stage::Dropped,
            packets: u64::from(drop.packets.max(1)),
            mtu: *next_hop_mtu,
            reporter: packet.flow.src,
            original: (**original).clone(),
            place: Some(place),
            used: false,
        };
        self.note_error(now, error, pod);
    }

    /// The kernel says that it makes a frag-needed.
    pub(super) fn handle_icmp_generated(&mut self, generated: &IcmpGenerated) {
        let Some(packet) = &generated.packet else { return };
        if generated.netns != self.topology.netns_inode {
            return;
        }
        let mtu = match (generated.route_mtu, generated.egress_mtu) {
            (Some(route), Some(device)) => Some(route.min(device)),
            (route, device) => route.or(device),
        };
        let came_by = Some(generated.ifindex);
        let subject = subject::of_packet(&self.topology, &packet.flow, came_by, generated.egress_ifindex);
        self.output.push_back(Output::PacketTooBig(PacketTooBigReport {
            time: generated.time,
            family: packet.family(),
            stage: Stage::Generated,
            error_id: PacketId::of(packet).name(mtu.unwrap_or(0)),
            seen_at: None,
            reporter: None,
            next_hop_mtu: mtu,
            original: Some(packet.flow),
            original_length: Some(packet.length),
            pod: subject.pod,
            verdict: Verdict::Plausible,
            why: None,
        }));
    }

    /// The pod in whose namespace a drop happened.
    pub(super) fn pod_of_drop(&self, drop: &PacketDropped) -> Option<Pod> {
        if drop.netns == self.topology.netns_inode {
            return None;
        }
        let behind = drop.peer_ifindex.and_then(|ifindex| self.topology.pod_behind(ifindex));
        behind.or_else(|| self.topology.pod_in_netns(drop.netns)).cloned()
    }

    /// Ties an error to the faults whose packets it is about, else keeps it for a packet that comes, else learns from
    /// it of a router beyond this node.
    fn note_error(&mut self, now: Time, mut error: SeenError, pod: Option<Pod>) {
        let keys: Vec<FaultKey> = self
            .faults
            .iter()
            .filter(|(key, fault)| {
                key.family == error.original.family()
                    // Whether an error that arrives is lost or passes on is known only later.
                    && !(error.stage == Stage::AtUplink && matches!(key.joint, Joint::Router(..)))
                    && !matches!(
                        key.joint,
                        Joint::Announcement(_) | Joint::FragmentFilter(_) | Joint::SilentPath
                    )
                    && fault.limit.mtu.is_some_and(|mtu| error.mtu <= mtu)
                    && fault.flows.values().any(|flow| flow.is_quoted_by(&error.original))
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in &keys {
            self.apply_error(key, &error);
            self.touch(now, key);
        }
        error.used = !keys.is_empty();
        let from_beyond = self.came_from_beyond(&error);
        if !error.used && from_beyond && matches!(error.stage, Stage::Delivered | Stage::Dropped) {
            error.used = true;
            self.learn_of_router(now, &error, pod);
        }
        self.errors.push_back(error);
        self.forget_errors(now);
    }

    pub(super) fn forget_errors(&mut self, now: Time) {
        while self.errors.len() > MAX_REMEMBERED
            || self.errors.front().is_some_and(|first| first.time + REMEMBERED < now)
        {
            self.errors.pop_front();
        }
    }

    /// Draws conclusions from errors that nothing followed, or that no drop came with.
    pub(super) fn miss_errors(&mut self, now: Time) {
        let mut left = Vec::new();
        for index in 0..self.errors.len() {
            let error = &self.errors[index];
            if error.used || error.time + ERROR_TRAVELS > now {
                continue;
            }
            match error.stage {
                Stage::AtUplink if !self.went_on(error) => left.push(error.clone()),
                Stage::Delivered => left.push(error.clone()),
                Stage::AtUplink | Stage::Generated | Stage::Dropped => {}
            }
            self.errors[index].used = true;
        }
        for error in left {
            let sender = error.original.flow.src;
            let pod = self.topology.pod_with_address(sender).cloned();
            match error.stage {
                // For a pod, yet it neither passed the pod's hook nor was seen to be dropped: lost on this node.
                Stage::AtUplink if pod.is_some() => self.learn_of_router(now, &error, pod),
                // For the node itself: it has arrived.
                Stage::AtUplink if self.topology.is_own_address(sender) => {
                    self.learn_of_router(now, &SeenError { stage: Stage::Delivered, ..error }, None);
                }
                Stage::Delivered if pod.is_some() => self.learn_of_unseen_drop(now, &error, pod),
                Stage::AtUplink | Stage::Delivered | Stage::Generated | Stage::Dropped => {}
            }
        }
    }

    /// An error that arrived was seen again further on.
    fn went_on(&self, error: &SeenError) -> bool {
        self.errors.iter().any(|other| {
            matches!(other.stage, Stage::Delivered | Stage::Dropped)
                && other.time >= error.time
                && other.mtu == error.mtu
                && is_about_the_same(&other.original, &error.original)
        })
    }

    /// An error passed to a pod about a packet whose drop was not seen: a datapath made it that frees in its own way, or
    /// a router behind an interface that is not observed.
    fn learn_of_unseen_drop(&mut self, now: Time, error: &SeenError, pod: Option<Pod>) {
        if !self.topology.is_own_address(error.reporter) {
            return self.learn_of_router(now, error, pod);
        }
        let egress = self.topology.routes_to(error.original.flow.dst).into_iter().find_map(|route| {
            let device = self.topology.interface(route.oif?)?;
            let fits = route.mtu == Some(error.mtu) || self.topology.device_limit(device) == error.mtu;
            fits.then(|| device.clone())
        });
        let Some(egress) = egress else { return };
        let (joint, at, how) = if egress.role == Role::Overlay && egress.mtu != error.mtu {
            (Joint::Tunnel(egress.ifindex), LimitAt::Overlay, LimitHow::UnderlayMinusOverhead)
        } else {
            (Joint::Egress(egress.ifindex, error.mtu), LimitAt::Node, LimitHow::Icmp)
        };
        let limit = Limit {
            mtu: Some(error.mtu),
            between: None,
            at,
            interface: Some(egress.name),
            router: None,
            how,
        };
        let subject = Subject { pod, direction: Direction::FromPod };
        let key = FaultKey {
            pod: subject.key(),
            direction: subject.direction,
            family: error.original.family(),
            joint,
        };
        let fault = self.fault(key.clone(), subject.pod, limit, error.time);
        fault.seen_at_hook = true;
        fault.witnesses.insert("an ICMP error of this node".to_owned());
        if let Some(flow) = fault.flow(error.original.flow, error.time, error.packets) {
            flow.add_drops(error.time, &error.original, error.original.length, error.packets);
        }
        self.apply_error(&key, error);
        self.touch(now, &key);
    }

    /// The same error was seen to arrive from outside.
    fn came_from_beyond(&self, error: &SeenError) -> bool {
        self.errors.iter().rev().any(|other| {
            other.stage == Stage::AtUplink
                && other.mtu == error.mtu
                && other.time <= error.time
                && is_about_the_same(&other.original, &error.original)
        })
    }

    /// A router beyond this node told the sender of a smaller path.
    fn learn_of_router(&mut self, now: Time, error: &SeenError, pod: Option<Pod>) {
        let original = &error.original;
        let direction = if pod.is_some() { Direction::FromPod } else { Direction::FromHost };
        let subject = Subject { pod, direction };
        let limit = Limit {
            mtu: Some(error.mtu),
            between: None,
            at: LimitAt::Path,
            interface: None,
            router: Some(error.reporter),
            how: LimitHow::Icmp,
        };
        let key = FaultKey {
            pod: subject.key(),
            direction,
            family: original.family(),
            joint: Joint::Router(error.reporter, error.mtu),
        };
        let fault = self.fault(key.clone(), subject.pod, limit, error.time);
        fault.seen_at_hook = true;
        fault.flow(original.flow, error.time, error.packets);
        self.apply_error(&key, error);
        self.retract_silent_path(now, original.flow);
        self.touch(now, &key);
    }

    /// Adds an error to the flows of one fault that it is about. Errors of a router are its only word of a loss.
    fn apply_error(&mut self, key: &FaultKey, error: &SeenError) {
        let Some(fault) = self.faults.get_mut(key) else { return };
        let from_router = matches!(key.joint, Joint::Router(..));
        if let Some(place) = &error.place {
            fault.error_drops.insert(place.clone());
        }
        // The quote tells the length of a segmentation-offload packet; no segment is larger than the sender's interface.
        let pod_mtu = fault.pod.as_ref().and_then(|pod| pod.pod_mtu).unwrap_or(u32::MAX);
        let length = error.original.length.min(pod_mtu);
        for flow in fault.flows.values_mut().filter(|flow| flow.is_quoted_by(&error.original)) {
            match error.stage {
                Stage::Generated | Stage::AtUplink => flow.errors_made += error.packets,
                Stage::Delivered => flow.errors_delivered += error.packets,
                Stage::Dropped => flow.errors_dropped += error.packets,
            }
            // One error is seen at several stages.
            let losses = flow.errors_made + flow.errors_delivered.max(flow.errors_dropped);
            if from_router && losses > flow.drops {
                flow.add_drops(error.time, &error.original, length, losses - flow.drops);
            }
            if error.stage == Stage::Delivered {
                flow.told_at.get_or_insert(error.time);
            }
        }
        fault.last_seen = fault.last_seen.max(error.time);
    }

    /// An error is made before the packet it is about is freed: those that wait for it are applied now.
    pub(super) fn apply_waiting_errors(&mut self, key: &FaultKey, flow: Flow) {
        let Some(fault) = self.faults.get(key) else { return };
        let (Some(evidence), Some(mtu)) = (fault.flows.get(&flow), fault.limit.mtu) else { return };
        let mut waiting = Vec::new();
        for error in self.errors.iter_mut().rev() {
            if error.time + BEFORE_DROP < evidence.first {
                break;
            }
            if !error.used && error.mtu <= mtu && evidence.is_quoted_by(&error.original) {
                error.used = true;
                waiting.push(error.clone());
            }
        }
        for error in waiting.iter().rev() {
            self.apply_error(key, error);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one caller, which has just taken the error apart")]
    fn handle_implausible(
        &mut self,
        now: Time,
        seen: &PacketTooBigSeen,
        stage: Stage,
        mtu: u32,
        original: &Packet,
        pod: Option<Pod>,
        why: Option<String>,
    ) {
        let direction = if pod.is_some() { Direction::FromPod } else { Direction::FromHost };
        if pod.is_none() && !self.topology.is_own_address(original.flow.src) {
            return;
        }
        let key = FaultKey {
            pod: Subject { pod: pod.clone(), direction }.key(),
            direction,
            family: original.family(),
            joint: Joint::Announcement(mtu),
        };
        let limit = Limit {
            mtu: Some(mtu),
            between: None,
            at: LimitAt::Path,
            interface: None,
            router: Some(seen.packet.flow.src),
            how: LimitHow::Icmp,
        };
        let fault = self.fault(key.clone(), pod, limit, seen.time);
        fault.seen_at_hook = true;
        fault.witnesses.extend(why);
        let packets = u64::from(seen.packets.max(1));
        if let Some(flow) = fault.flow(original.flow, seen.time, packets) {
            flow.add(seen.time, original, original.length, packets);
            match stage {
                Stage::Delivered => {
                    flow.errors_delivered += packets;
                    flow.told_at.get_or_insert(seen.time);
                }
                Stage::Generated | Stage::AtUplink | Stage::Dropped => flow.errors_made += packets,
            }
        }
        self.touch(now, &key);
    }
}

/// Whether two errors, seen on two sides of NAT perhaps, are about the same flow.
fn is_about_the_same(one: &Packet, other: &Packet) -> bool {
    let id = PacketId::of(one);
    id.is_telling() && PacketId::of(other) == id
        || one.flow == other.flow
        || one.flow.dst == other.flow.dst && one.flow.dst_port == other.flow.dst_port
}

/// Whether a real path would announce this MTU about this packet.
fn plausibility(mtu: u32, original: Option<&Packet>) -> (Verdict, Option<String>) {
    let Some(original) = original else { return (Verdict::Plausible, None) };
    let implausible = |why: String| (Verdict::Implausible, Some(why));
    let family = original.family();
    if mtu == 0 {
        return implausible("announces an MTU of zero (RFC 1191 routers name one since 1990)".to_owned());
    }
    if mtu < family.minimum_mtu() {
        return implausible(format!(
            "announces {mtu}, below the floor of {} of {}",
            family.minimum_mtu(),
            family.name()
        ));
    }
    if family == Family::Ipv4 && mtu < IPV4_MIN_PMTU {
        return implausible(format!(
            "announces {mtu}, below {IPV4_MIN_PMTU}, the smallest path MTU that Linux takes"
        ));
    }
    if original.length != 0 && mtu >= original.length {
        return implausible(format!("announces {mtu} for a packet of {} bytes, which fits", original.length));
    }
    (Verdict::Plausible, None)
}
