//! What only a namespace itself shows: the path MTUs that it has learned, read in turn, and its TCP connections, where
//! some are asked for.
use super::Input;
use crate::attribution::{ExceptionsError, connections, learned_exceptions, pod_namespace};
use crate::output::complaint::complain;
use crate::output::{Sense, SenseState};
use crate::system::{CAP_SYS_ADMIN, has_capability};
use probe_core::model::amount::amount;
use probe_core::model::pmtu_exception::NetnsExceptions;
use probe_core::model::pod::Pod;
use probe_core::model::tcp_socket::NetnsSockets;
use probe_core::model::topology::Topology;
use probe_core::model::{SECOND, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use tokio::sync::mpsc::UnboundedSender;

/// A round begins so often.
const PERIOD: Time = SECOND;
/// A round may take this part of the time at most.
const SHARE: Time = 10;
/// Pods visited in a round beside those that are wanted.
const IN_TURN: usize = 8;
/// Pods visited in a round because something is being judged there.
const WANTED: usize = 16;

/// Connections that are asked for: their other ends, by network namespace.
pub(super) type Remotes = BTreeMap<u32, BTreeSet<IpAddr>>;

/// What a round found.
#[derive(Debug)]
pub(super) struct Found {
    exceptions: Vec<NetnsExceptions>,
    pub sockets: Vec<NetnsSockets>,
    /// Why the node's own namespace did not show them.
    refused: Option<ExceptionsError>,
}

/// Visits namespaces, a round at a time, on a thread that may block.
#[derive(Debug)]
pub(super) struct Visits {
    inputs: UnboundedSender<Input>,
    busy_since: Option<Time>,
    not_before: Time,
    next: usize,
    complained: bool,
    /// Namespaces that had learned something when they were read last.
    learned: BTreeSet<u32>,
}

impl Visits {
    pub fn new(inputs: UnboundedSender<Input>) -> Self {
        Self { inputs, busy_since: None, not_before: 0, next: 0, complained: false, learned: BTreeSet::new() }
    }

    /// Begins a round if it is time for one; an [`Input::Visited`] follows.
    pub fn ask(&mut self, now: Time, topology: &Topology, wanted: impl FnOnce() -> (BTreeSet<u32>, Remotes)) {
        if self.busy_since.is_some() || now < self.not_before {
            return;
        }
        self.busy_since = Some(now);
        let (wanted, remotes) = wanted();
        let is_wanted = |pod: &&Pod| {
            pod.netns_inode.is_some_and(|inode| wanted.contains(&inode) || remotes.contains_key(&inode))
        };
        let first = topology.pods.iter().filter(is_wanted).take(WANTED);
        let count = topology.pods.len();
        let in_turn = topology.pods.iter().cycle().skip(self.next % count.max(1)).take(IN_TURN.min(count));
        let mut pods: Vec<Pod> = first.cloned().collect();
        for pod in in_turn {
            if !pods.contains(pod) {
                pods.push(pod.clone());
            }
        }
        self.next = self.next.wrapping_add(IN_TURN);
        let (own, inputs) = (topology.netns_inode, self.inputs.clone());
        tokio::task::spawn_blocking(move || inputs.send(Input::Visited(round(&pods, own, &remotes))));
    }

    /// Takes what a round found: what namespaces have learned, and those that have forgotten all; and connections.
    pub fn take(&mut self, now: Time, found: Found) -> (Vec<NetnsExceptions>, Vec<NetnsSockets>) {
        let took = now.saturating_sub(self.busy_since.take().unwrap_or(now));
        self.not_before = now + PERIOD.max(took * SHARE);
        if let Some(error) = found.refused
            && !std::mem::replace(&mut self.complained, true)
        {
            complain(&error);
        }
        let is_news = |read: &NetnsExceptions| {
            if read.exceptions.is_empty() && read.locked.is_empty() {
                return self.learned.remove(&read.netns);
            }
            self.learned.insert(read.netns);
            true
        };
        (found.exceptions.into_iter().filter(is_news).collect(), found.sockets)
    }

    /// What `start` says of the exceptions: nothing if all are within reach.
    pub fn lack(topology: &Topology) -> Option<String> {
        if !has_capability(CAP_SYS_ADMIN) {
            return Some("pods' PMTU exceptions are out of reach: entering their network namespaces needs CAP_SYS_ADMIN".to_owned());
        }
        Self::closed(topology)
    }

    fn closed(topology: &Topology) -> Option<String> {
        let closed = topology.pods.iter().filter(|pod| pod_namespace(pod).is_none());
        let closed: Vec<String> = closed.map(Pod::display_name).collect();
        let first = closed.first()?;
        Some(format!(
            "network namespaces cannot be opened (needs CAP_SYS_PTRACE), those of {}: {first} …",
            amount(closed.len() as u64, "pod")
        ))
    }

    /// What `start` says of the state of sockets.
    pub fn sockets_sense(topology: &Topology) -> Sense {
        let name = "sock_diag".into();
        if let Err(error) = connections(None, topology.netns_inode, &BTreeSet::new()) {
            let why =
                format!("the kernel does not tell the state of TCP sockets ({error}; CONFIG_INET_TCP_DIAG)");
            return Sense { name, state: SenseState::Missing, why: Some(why) };
        }
        let why = if has_capability(CAP_SYS_ADMIN) {
            Self::closed(topology)
        } else {
            Some(
                "those of pods are out of reach: entering their network namespaces needs CAP_SYS_ADMIN"
                    .to_owned(),
            )
        };
        let state = if why.is_none() { SenseState::Works } else { SenseState::Degraded };
        Sense { name, state, why }
    }

    /// What `start` says of netlink.
    pub fn netlink_sense(topology: &Topology) -> Sense {
        let why = Self::lack(topology);
        let state = if why.is_none() { SenseState::Works } else { SenseState::Degraded };
        Sense { name: "netlink".into(), state, why }
    }
}

fn round(pods: &[Pod], own: u32, remotes: &Remotes) -> Found {
    let mut found = Found { exceptions: Vec::new(), sockets: Vec::new(), refused: None };
    match learned_exceptions(None, own) {
        Ok(read) => found.exceptions.push(read),
        Err(error) => found.refused = Some(error),
    }
    // Several pods of one namespace have the same connections.
    let mut asked = BTreeSet::new();
    let of_pods = pods.iter().filter_map(|pod| Some((pod.netns_inode?, Some(pod))));
    for (netns, pod) in of_pods.chain([(own, None)]) {
        if let (Some(remotes), true) = (remotes.get(&netns), asked.insert(netns)) {
            // Whether they can be told at all was told by `start`.
            found.sockets.extend(connections(pod, own, remotes).ok().flatten());
        }
    }
    // A pod may just be going, and `start` told whether they can be entered at all.
    found.exceptions.extend(pods.iter().filter_map(|pod| learned_exceptions(Some(pod), own).ok()));
    found
}
