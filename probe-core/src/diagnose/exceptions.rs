//! Path MTUs that namespaces have learned: that the sender was told, and whether anything explains them.
//!
//! An exception that no known path explains is suspicious: absurd by its size, or learned while all errors that passed
//! were seen and none was about it. Whatever was learned before the observation began has a past that nobody here knows:
//! only its size can make it suspicious.
pub(super) mod suspicion;

pub use suspicion::{Oddity, Suspicion};

use super::Diagnoser;
use super::fault::Joint;
use crate::model::finding::Direction;
use crate::model::flow::Flow;
use crate::model::pmtu_exception::{NetnsExceptions, PmtuException};
use crate::model::pod::{Pod, PodKey};
use crate::model::route::Route;
use crate::model::topology::Topology;
use crate::model::{SECOND, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

/// Errors are remembered for the exceptions that they make, which show once a packet is routed by them.
const REMEMBERED: Time = 700 * SECOND;
/// At most so many.
const MAX_REMEMBERED: usize = 4096;

/// What is known of what was learned.
#[derive(Debug, Default)]
pub(super) struct Exceptions {
    /// When the observation began.
    began: Option<Time>,
    /// Evidence may have been lost until then: an error that was not seen may have come all the same.
    doubtful_until: Time,
    namespaces: BTreeMap<u32, Vec<Known>>,
    /// Routes whose MTU is locked, by network namespace.
    pub locked: BTreeMap<u32, Vec<Route>>,
    errors: VecDeque<Announced>,
}

/// An exception, as it was read last.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub exception: PmtuException,
    /// It was learned, or confirmed, between these two times.
    pub learned: (Time, Time),
    /// A socket held on to it, at one reading at least.
    pub used: bool,
}

/// An ICMP error that was seen somewhere.
#[derive(Clone, Copy, Debug)]
struct Announced {
    time: Time,
    destination: IpAddr,
    mtu: u32,
}

impl Exceptions {
    /// Notes when the observation began.
    pub fn begin(&mut self, now: Time) {
        self.began.get_or_insert(now);
    }

    /// Evidence was lost.
    pub fn doubt(&mut self, now: Time) {
        self.doubtful_until = now;
    }

    /// An error about a packet to `destination` was seen, wherever that was.
    pub fn note_error(&mut self, time: Time, destination: IpAddr, mtu: u32) {
        while self.errors.len() >= MAX_REMEMBERED
            || self.errors.front().is_some_and(|first| first.time + REMEMBERED < time)
        {
            self.errors.pop_front();
        }
        self.errors.push_back(Announced { time, destination, mtu });
    }

    fn update(&mut self, now: Time, topology: &Topology, read: NetnsExceptions) {
        let settings = topology.settings.get(&read.netns);
        let before = self.namespaces.remove(&read.netns).unwrap_or_default();
        let known = read.exceptions.into_iter().map(|exception| {
            // The age is told in whole seconds.
            let age = Time::from(exception.age(settings)) * SECOND;
            let learned = (now.saturating_sub(age + SECOND), now.saturating_sub(age.saturating_sub(SECOND)));
            let was_used = before.iter().any(|old| {
                old.used
                    && old.exception.destination == exception.destination
                    && old.exception.mtu == exception.mtu
            });
            Known { used: was_used || exception.users > 0, learned, exception }
        });
        self.namespaces.insert(read.netns, known.collect());
    }

    /// What a namespace has learned about a destination, as far as it is known.
    pub fn of<'a>(&'a self, netns: u32, destination: IpAddr) -> impl Iterator<Item = &'a Known> + 'a {
        let known = self.namespaces.get(&netns).into_iter().flatten();
        known.filter(move |known| known.exception.destination == destination)
    }

    /// What tells of the limit of a tunnel: the node's own exceptions on its device (kernel: `skb_tunnel_check_pmtu`).
    fn on_device(&self, netns: u32, ifindex: u32) -> impl Iterator<Item = &PmtuException> {
        let known = self.namespaces.get(&netns).into_iter().flatten();
        known.map(|known| &known.exception).filter(move |exception| exception.ifindex == Some(ifindex))
    }
}

/// The namespace that a sender's routing is in.
pub(super) fn netns_of(topology: &Topology, pod: Option<&Pod>) -> Option<u32> {
    pod.map_or(Some(topology.netns_inode), |pod| pod.netns_inode)
}

impl Diagnoser {
    /// Takes in what a namespace has learned of path MTUs, all of it.
    pub fn handle_exceptions(&mut self, now: Time, read: NetnsExceptions) {
        let netns = read.netns;
        let alive: BTreeSet<u32> = self
            .topology
            .pods
            .iter()
            .filter_map(|pod| pod.netns_inode)
            .chain([self.topology.netns_inode])
            .collect();
        self.exceptions.namespaces.retain(|netns, _| alive.contains(netns));
        self.exceptions.locked.retain(|netns, _| alive.contains(netns));
        if !alive.contains(&netns) {
            return;
        }
        if self.exceptions.locked.get(&netns).is_none_or(|known| *known != read.locked) {
            self.exceptions.locked.insert(netns, read.locked.clone());
            self.find_mismatches();
        }
        self.exceptions.update(now, &self.topology, read);
        self.tell_senders(now, netns);
        self.tell_announcements(now, netns);
        if netns == self.topology.netns_inode {
            self.note_tunnels(now);
        }
        self.tell_mismatches(now);
    }

    /// The namespaces whose exceptions and sockets would tell more about what is being judged: of pods with faults that
    /// began a short while ago, and of connections that stand still.
    pub fn wants_a_look(&self, now: Time) -> BTreeSet<u32> {
        let young =
            self.faults.values().filter(|fault| fault.closed.is_none() && fault.last_seen + YOUNG > now);
        let of_faults = young.filter_map(|fault| netns_of(&self.topology, fault.pod.as_ref()));
        of_faults.chain(self.stalls.namespaces(now)).collect()
    }

    /// An exception no larger than a limit that packets met shows that their sender was told of it.
    fn tell_senders(&mut self, now: Time, netns: u32) {
        let mut touched = Vec::new();
        for (key, fault) in &mut self.faults {
            let limits = fault.limit.mtu.filter(|_| key.joint.tells_of_limit());
            let (Some(limit), true) =
                (limits, key.direction == Direction::FromPod || key.direction == Direction::FromHost)
            else {
                continue;
            };
            if fault.pod.is_none() && key.pod != PodKey::Node
                || netns_of(&self.topology, fault.pod.as_ref()) != Some(netns)
            {
                continue;
            }
            for flow in fault.flows.values_mut().filter(|flow| flow.drops > 0 && !flow.accepted) {
                let accepted = self.exceptions.of(netns, flow.flow.dst).find(|known| {
                    known.exception.mtu <= limit && known.learned.1 >= flow.first && known.exception.mtu > 0
                });
                if let Some(known) = accepted {
                    flow.accepted = true;
                    flow.told_at.get_or_insert(known.learned.1.min(now));
                    touched.push(key.clone());
                }
            }
        }
        for key in touched {
            self.touch(now, &key);
        }
    }

    /// An implausible error that made an exception has done harm.
    fn tell_announcements(&mut self, now: Time, netns: u32) {
        let mut touched = Vec::new();
        for (key, fault) in &mut self.faults {
            let Joint::Announcement(mtu) = key.joint else { continue };
            if fault.took_effect || netns_of(&self.topology, fault.pod.as_ref()) != Some(netns) {
                continue;
            }
            let makes = |known: &Known| {
                let exception = &known.exception;
                (exception.mtu == mtu || exception.locked && exception.mtu >= mtu)
                    && known.learned.1 >= fault.first_seen
            };
            let flows: Vec<Flow> = fault.flows.keys().copied().collect();
            if flows.iter().any(|flow| self.exceptions.of(netns, flow.dst).any(makes)) {
                fault.took_effect = true;
                touched.push(key.clone());
            }
        }
        for key in touched {
            self.touch(now, &key);
        }
    }

    /// The node learns the limit of its own tunnels for the packets inside: a second witness of what they lose or cut.
    fn note_tunnels(&mut self, now: Time) {
        let mut touched = Vec::new();
        for (key, fault) in &mut self.faults {
            let Joint::Tunnel(ifindex) = key.joint else { continue };
            let learned = self
                .exceptions
                .on_device(self.topology.netns_inode, ifindex)
                .find(|exception| fault.limit.mtu.is_some_and(|limit| exception.mtu <= limit));
            if let Some(exception) = learned {
                let device = fault.limit.interface.as_deref().unwrap_or("the tunnel");
                let witness = format!(
                    "the node's own path MTU of {} to {} by {device}",
                    exception.mtu, exception.destination
                );
                if !fault.witnesses.iter().any(|known| known.starts_with("the node's own path MTU")) {
                    fault.witnesses.insert(witness);
                    touched.push(key.clone());
                }
            }
        }
        for key in touched {
            self.touch(now, &key);
        }
    }
}

/// Faults met so recently may still be judged otherwise.
const YOUNG: Time = 30 * SECOND;

#[cfg(test)]
#[path = "exceptions/tests.rs"]
mod tests;
