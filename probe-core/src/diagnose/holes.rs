//! TCP connections towards a pod or the node with a hole that stays open: large segments vanish before this node without a
//! word.
//!
//! The sender of the data is out of sight, and so are its retransmissions. But it repeats the first missing segment
//! after 0.2, 0.6, 1.4 and 3 seconds at the latest (RFC 6298): a hole that is open longer lost all of these. That sizes
//! are the reason is told by what arrives meanwhile from the same address, and that nothing as large does.
use super::Diagnoser;
use super::fault::{FaultKey, Joint};
use super::subject::{self, Subject};
use crate::model::finding::{Direction, Limit, LimitAt, LimitHow};
use crate::model::flow::{Family, Flow};
use crate::model::tcp::{HoleState, TcpHole};
use crate::model::topology::Topology;
use crate::model::{SECOND, Time};

/// A hole open for so long lost several repetitions, if something arrived meanwhile.
const STANDS: Time = 3 * SECOND;
/// The same, if nothing came that could: the segment that arrived beyond the hole is the only witness.
const STANDS_ALONE: Time = 6 * SECOND;
/// A hole that was open for so long and was then filled by smaller segments only lost several repetitions of a larger one.
const RESCUED: Time = SECOND + SECOND / 5;
/// What arrives within this time of the report may have been under way with the missing segments.
const UNDER_WAY: Time = SECOND / 4;

/// What a hole proves.
struct Proof {
    /// The missing segment is at most so large, in bytes at layer 3.
    lost: u32,
    /// The largest that arrived.
    passed: u32,
    /// How long it has been open.
    open: Time,
}

/// The header bytes of its segments at layer 3.
fn headers(hole: &TcpHole) -> u32 {
    let network = match hole.flow.family() {
        Family::Ipv4 => 20,
        Family::Ipv6 => 40,
    };
    network + hole.tcp_header
}

/// The size of the missing segment: not more than what is missing, nor than the receiver's interface takes, whose size it
/// announced.
fn lost_size(hole: &TcpHole, mtu: Option<u32>) -> u32 {
    hole.missing.saturating_add(headers(hole)).min(mtu.unwrap_or(u32::MAX))
}

/// Something as large as the missing segment arrived: its size is not the reason.
fn is_contradicted(hole: &TcpHole, lost: u32) -> bool {
    hole.arrived.iter().any(|arrival| arrival.size >= lost)
}

fn proof(hole: &TcpHole, mtu: Option<u32>) -> Option<Proof> {
    let lost = lost_size(hole, mtu);
    if is_contradicted(hole, lost) {
        return None;
    }
    // What came with the first report: one segment, or several small ones received as one.
    let first = hole.first.saturating_add(headers(hole));
    let beyond = (first < lost).then_some(first);
    let arrived = hole.arrived.iter().map(|arrival| arrival.size).max();
    let passed = beyond.into_iter().chain(arrived).max()?;
    let came_later = hole.arrived.iter().any(|arrival| arrival.time > hole.since + UNDER_WAY);
    let (until, stands) = match hole.state {
        HoleState::Open => (hole.time, STANDS),
        HoleState::Reset => (hole.last, STANDS),
        HoleState::Filled => (hole.last, RESCUED),
    };
    let open = until.saturating_sub(hole.since);
    let is_proved = came_later && open >= stands || beyond.is_some() && open >= STANDS_ALONE;
    is_proved.then_some(Proof { lost, passed, open })
}

/// Who receives, with the MTU of the interface it receives by.
fn receiver(topology: &Topology, hole: &TcpHole) -> Option<(Subject, Option<u32>)> {
    if let Some(pod) = topology.pod_behind(hole.ifindex) {
        return Some((subject::of_pod(Some(pod), Direction::ToPod), pod.pod_mtu));
    }
    // One with an interface of the node is told of there.
    if let Some(pod) = topology.pod_with_address(hole.flow.dst) {
        return pod
            .host_ifindex
            .is_none()
            .then(|| (subject::of_pod(Some(pod), Direction::ToPod), pod.pod_mtu));
    }
    let mtu = topology.interface(hole.ifindex).map(|interface| interface.mtu);
    topology.is_own_address(hole.flow.dst).then(|| (subject::of_pod(None, Direction::ToHost), mtu))
}

impl Diagnoser {
    pub(super) fn handle_tcp_hole(&mut self, now: Time, hole: &TcpHole) {
        let Some((subject, mtu)) = receiver(&self.topology, hole) else { return };
        // The sender's own retransmissions tell more where it is one of this node.
        let is_ours = self.topology.pod_with_address(hole.flow.src).is_some()
            || self.topology.is_own_address(hole.flow.src);
        if is_ours || self.is_explained(&hole.flow) {
            return;
        }
        let lost = lost_size(hole, mtu);
        if is_contradicted(hole, lost) {
            return self.exonerate_at(now, |joint| *joint == Joint::SilentPath, |flow| *flow == hole.flow);
        }
        let Some(proof) = proof(hole, mtu) else { return };
        let key = FaultKey {
            pod: subject.key(),
            direction: subject.direction,
            family: hole.flow.family(),
            joint: Joint::SilentPath,
        };
        let limit = Limit {
            mtu: None,
            between: Some((proof.passed, proof.lost)),
            at: LimitAt::Path,
            interface: None,
            router: None,
            how: LimitHow::Bounds,
        };
        let fault = self.fault(key.clone(), subject.pod, limit, hole.since);
        if let Some((low, high)) = &mut fault.limit.between {
            *high = (*high).min(proof.lost);
            if proof.passed < *high {
                *low = (*low).max(proof.passed);
            }
        }
        let segments = u64::from(hole.missing.div_ceil(proof.lost.saturating_sub(headers(hole)).max(1)));
        let last = hole.since + proof.open;
        if let Some(evidence) = fault.flow(hole.flow, last, 0) {
            evidence.first = evidence.first.min(hole.since);
            evidence.last = evidence.last.max(last);
            evidence.last_drop = Some(last);
            evidence.drops = evidence.drops.max(segments);
            evidence.packets = evidence.drops;
            evidence.largest = evidence.largest.max(proof.lost);
            evidence.smallest = evidence.smallest.min(proof.lost);
            evidence.df = true;
            // Smaller segments filled it: the sender found the size by itself, after a delay.
            evidence.got_through |= hole.state == HoleState::Filled;
            evidence.sizes.insert(proof.lost, segments);
        }
        self.touch(now, &key);
    }

    /// Whether packets of this flow, or of one between the same two addresses, are known to be lost here.
    fn is_explained(&self, flow: &Flow) -> bool {
        self.faults.iter().any(|(key, fault)| {
            !matches!(key.joint, Joint::SilentPath | Joint::Announcement(_))
                && fault
                    .flows
                    .values()
                    .any(|known| known.drops > 0 && known.flow.src == flow.src && known.flow.dst == flow.dst)
        })
    }
}

#[cfg(test)]
mod tests;
