//! The state of TCP sockets, read where a connection stands still: a second source beside retransmissions and drops.
//!
//! A socket tells that nothing of it was acknowledged since, and that it is no closed window that it waits for. Others to
//! the same address tell what was acknowledged meanwhile: long-lived connections, too, which no tracepoint speaks of.
//!
//! Behind one address may be many servers, of which one is dead: that a connection stands still is therefore told twice,
//! and no better known. A second source is a socket whose other end is alive: data comes from it, or it has what was sent
//! later.
use super::Diagnoser;
use super::acknowledged::{Acknowledged, Sizes};
use super::exceptions::netns_of;
use super::fault::{Fault, FaultKey, Joint};

use crate::model::finding::Direction;
use crate::model::flow::{Flow, Protocol};
use crate::model::pod::PodKey;
use crate::model::tcp_socket::{NetnsSockets, TcpSocket};
use crate::model::{SECOND, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Sockets of faults met so recently are asked for.
const YOUNG: Time = 10 * SECOND;
/// Readings older than this are not compared with.
const COMPARED: Time = 20 * SECOND;
/// Timeouts without an acknowledgement that make a stall, as the socket counts them.
const TIMEOUTS: u8 = 2;
/// Addresses asked for in one namespace.
const MAX_REMOTES: usize = 64;

/// The last reading of each socket.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    read: BTreeMap<(u32, Flow), (Time, TcpSocket)>,
}

impl Sockets {
    fn replace(&mut self, now: Time, read: NetnsSockets) {
        self.read.retain(|(netns, _), (time, _)| *netns != read.netns && *time + COMPARED >= now);
        // What is acknowledged while it is being read came after this.
        let time = read.began.unwrap_or(now);
        let entries = read.sockets.into_iter().map(|socket| ((read.netns, socket.flow), (time, socket)));
        self.read.extend(entries);
    }

    /// What was acknowledged of a socket's data since it was read before.
    fn acknowledged(&self, netns: u32, after: &TcpSocket) -> Option<Acknowledged> {
        let (time, before) = self.read.get(&(netns, after.flow))?;
        // Another connection may have the same addresses and ports by now.
        let bytes = after.bytes_acked.checked_sub(before.bytes_acked).filter(|bytes| *bytes > 0)?;
        let sent = after.data_segments_out.checked_sub(before.data_segments_out)?;
        let segments = u64::from(sent) + u64::from(before.unacked);
        if segments == 0 {
            return None;
        }
        let sizes = Sizes::of(bytes, segments, before.mss.max(after.mss), after.header_len);
        let lost_nothing = after.total_retrans == before.total_retrans && before.retransmits == 0;
        Some(Acknowledged {
            flow: after.flow,
            // Not before: when exactly is not known.
            from: *time,
            until: *time,
            is_exact: false,
            size: sizes.surely,
            whole: if lost_nothing { sizes.likely } else { 0 },
            stood_still: false,
        })
    }
}

/// It waits for an acknowledgement and for nothing else.
fn stands_still(socket: &TcpSocket) -> bool {
    socket.unacked > 0 && socket.retransmits >= TIMEOUTS && socket.probes == 0 && socket.window >= socket.mss
}

/// The other end of a connection that stands still is alive: it reports later data, or sends data itself.
fn is_answered(socket: &TcpSocket, before: Option<&TcpSocket>) -> bool {
    socket.sacked > 0
        || before
            .is_some_and(|before| before.retransmits > 0 && socket.bytes_received > before.bytes_received)
}

/// What a socket adds to a fault that packets of its flow met; in the words of a list of witnesses.
fn witness(key: &FaultKey, fault: &Fault, socket: &TcpSocket) -> Option<String> {
    let flow = fault.flows.get(&socket.flow).filter(|flow| flow.drops > 0)?;
    let limit = fault.limit.mtu;
    match key.joint {
        Joint::SilentPath | Joint::Program(_) => stands_still(socket).then(|| {
            format!(
                "the sender's socket (nothing acknowledged through {} timeouts, {} segments under way, the window open)",
                socket.retransmits, socket.unacked
            )
        }),
        // The veth drops within the sender's own call: what it refuses was never sent.
        Joint::Veth(_) if key.direction == Direction::FromPod => (socket.unacked == 0 && socket.unsent > 0)
            .then(|| format!("the sender's socket ({} bytes that it could not send)", socket.unsent)),
        Joint::Egress(..) | Joint::Router(..) | Joint::PodDevice(..) | Joint::Tunnel(_) => {
            let learned_nothing =
                socket.unacked > 0 && socket.retransmits > 0 && limit.is_some_and(|limit| socket.pmtu > limit);
            (learned_nothing && !flow.accepted)
                .then(|| format!("the sender's socket (it keeps a path MTU of {})", socket.pmtu))
        }
        Joint::Veth(_)
        | Joint::Port(_)
        | Joint::FragmentFilter(_)
        | Joint::Reassembly(_)
        | Joint::Announcement(_) => None,
    }
}

/// What all witnesses of this kind begin with: a fault needs one.
const WITNESS: &str = "the sender's socket";

fn is_witnessed(fault: &Fault) -> bool {
    fault.counted.iter().any(|known| known.starts_with(WITNESS))
}

impl Diagnoser {
    /// The connections whose state would tell more, by network namespace and the address of the other end: of those that
    /// stand still, and of those that met a fault a short while ago.
    pub fn wants_sockets(&self, now: Time) -> BTreeMap<u32, BTreeSet<IpAddr>> {
        let mut wanted: BTreeMap<u32, BTreeSet<IpAddr>> = BTreeMap::new();
        let mut want = |netns: u32, remote: IpAddr| {
            let remotes = wanted.entry(netns).or_default();
            if remotes.len() < MAX_REMOTES {
                remotes.insert(remote);
            }
        };
        for (netns, remote) in self.stalls.remotes(now).chain(self.filtered.remotes(now)) {
            want(netns, remote);
        }
        for (key, fault) in &self.faults {
            let is_young = fault.closed.is_none() && fault.last_seen + YOUNG > now;
            let wants_more = !is_witnessed(fault) || key.joint == Joint::SilentPath && !fault.seconded;
            let is_open = is_young && wants_more;
            let Some(netns) = sender_netns(self, key, fault).filter(|_| is_open) else { continue };
            for flow in fault.flows.keys().filter(|flow| flow.protocol == Protocol::Tcp) {
                want(netns, flow.dst);
            }
        }
        wanted
    }

    /// Takes the connections in that were asked for in one namespace.
    pub fn handle_sockets(&mut self, now: Time, read: NetnsSockets) {
        let mut remotes = BTreeSet::new();
        for socket in &read.sockets {
            if let Some(acknowledged) = self.sockets.acknowledged(read.netns, socket) {
                remotes.insert(socket.flow.dst);
                self.stalls.add_acknowledged(acknowledged);
            }
            self.note_progress(now, read.netns, socket);
        }
        for remote in remotes {
            let refuted = self.stalls.refuted(remote);
            self.exonerate(now, |flow| refuted.contains(flow));
            self.judge_stalls(now, remote);
            self.judge_filtered_sender(now, remote);
        }
        self.ask_senders(now, &read);
        self.sockets.replace(now, read);
    }

    /// A connection that stood still went on: as large as before, then the size was not the reason; or with smaller
    /// segments, then it found the size by itself.
    fn note_progress(&mut self, now: Time, netns: u32, socket: &TcpSocket) {
        let Some((segment, acked)) = self.stalls.stalled_at(netns, &socket.flow) else { return };
        let payload = u64::from(segment.saturating_sub(socket.header_len));
        if socket.bytes_acked < acked + payload {
            return;
        }
        let lost = segment.max(self.claimed_lost(&socket.flow));
        if socket.mss + socket.header_len >= lost {
            self.note_arrival(now, &socket.flow);
            self.stalls.forget_stall(netns, &socket.flow);
            return;
        }
        let mut touched = Vec::new();
        for (key, fault) in &mut self.faults {
            let is_silent = matches!(key.joint, Joint::SilentPath | Joint::Program(_));
            let Some(flow) = fault.flows.get_mut(&socket.flow).filter(|_| is_silent) else { continue };
            if !std::mem::replace(&mut flow.got_through, true) {
                touched.push(key.clone());
            }
        }
        for key in touched {
            self.touch(now, &key);
        }
    }

    /// Sockets of flows that met a fault: a second witness of what became of them.
    fn ask_senders(&mut self, now: Time, read: &NetnsSockets) {
        let theirs: Vec<FaultKey> = self
            .faults
            .iter()
            .filter(|(key, fault)| {
                fault.closed.is_none() && sender_netns(self, key, fault) == Some(read.netns)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in theirs {
            let Some(fault) = self.faults.get_mut(&key) else { continue };
            let mut is_news = false;
            for socket in &read.sockets {
                is_news |= learned(fault, socket, now);
                let is_silent = key.joint == Joint::SilentPath && fault.flows.contains_key(&socket.flow);
                if is_silent && !fault.seconded && stands_still(socket) {
                    let before = self.sockets.read.get(&(read.netns, socket.flow));
                    fault.seconded = is_answered(socket, before.map(|(_, before)| before));
                    is_news |= fault.seconded;
                }
                if is_witnessed(fault) {
                    continue;
                }
                let Some(witness) = witness(&key, fault, socket) else { continue };
                fault.counted.insert(witness);
                is_news = true;
            }
            if is_news {
                self.touch(now, &key);
            }
        }
    }
}

/// A socket that met a limit and uses a path MTU no larger has been told of it.
fn learned(fault: &mut Fault, socket: &TcpSocket, now: Time) -> bool {
    let tells = matches!(fault.key.joint, Joint::Egress(..) | Joint::Router(..) | Joint::PodDevice(..));
    let limit = fault.limit.mtu.filter(|&limit| tells && socket.pmtu > 0 && socket.pmtu <= limit);
    let flow = fault.flows.get_mut(&socket.flow).filter(|flow| flow.drops > 0 && !flow.accepted);
    let (Some(_), Some(flow)) = (limit, flow) else { return false };
    flow.accepted = true;
    flow.told_at.get_or_insert(now);
    true
}

/// The network namespace of the sockets that send what met a fault; `None` if they are not on this node.
fn sender_netns(diagnoser: &Diagnoser, key: &FaultKey, fault: &Fault) -> Option<u32> {
    let sends = matches!(key.direction, Direction::FromPod | Direction::FromHost);
    if !sends || fault.pod.is_none() && key.pod != PodKey::Node {
        return None;
    }
    netns_of(&diagnoser.topology, fault.pod.as_ref())
}

#[cfg(test)]
#[path = "sockets/tests.rs"]
mod tests;
