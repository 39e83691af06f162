//! The ledger of ICMP errors: what became of each after it was made or arrived.
use super::evidence::{ERROR_TRAVELS, PacketId};
use super::fault::{FaultKey, Joint};
use super::subject::Subject;
use super::{Diagnoser, Stage};
use crate::model::finding::{Direction, Limit, LimitAt, LimitHow};
use crate::model::flow::Flow;
use crate::model::interface::Role;
use crate::model::packet::Packet;
use crate::model::pod::Pod;
use crate::model::{SECOND, Time};
use std::net::IpAddr;

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
    /// Ties an error to the faults whose packets it is about, else keeps it for a packet that comes, else learns from
    /// it of a router beyond this node.
    pub(super) fn note_error(&mut self, now: Time, mut error: SeenError, pod: Option<Pod>) {
        let keys: Vec<FaultKey> = self
            .faults
            .iter()
            .filter(|(key, fault)| {
                key.family == error.original.family()
                    // Whether an error that arrives is lost or passes on is known only later.
                    && !(error.stage == Stage::AtUplink && matches!(key.joint, Joint::Router(..)))
                    && !key.joint.is_mute()
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
        let limit = Limit::known(error.mtu, at, how, Some(egress.name));
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
        let observable = self.is_error_observable(&subject);
        let fault = self.fault(key.clone(), subject.pod, limit, error.time);
        fault.errors_observable = observable;
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
}

/// Whether two errors, seen on two sides of NAT perhaps, are about the same flow.
fn is_about_the_same(one: &Packet, other: &Packet) -> bool {
    let id = PacketId::of(one);
    id.is_telling() && PacketId::of(other) == id
        || one.flow == other.flow
        || one.flow.dst == other.flow.dst && one.flow.dst_port == other.flow.dst_port
}
