//! What only a namespace itself shows, read in turn: the path MTUs that it has learned.
use super::Input;
use crate::attribution::{ExceptionsError, learned_exceptions, pod_namespace};
use crate::output::complaint::complain;
use crate::output::{Sense, SenseState};
use crate::system::{CAP_SYS_ADMIN, has_capability};
use probe_core::model::pmtu_exception::NetnsExceptions;
use probe_core::model::pod::Pod;
use probe_core::model::topology::Topology;
use probe_core::model::{SECOND, Time};
use std::collections::BTreeSet;
use tokio::sync::mpsc::UnboundedSender;

/// A round begins so often.
const PERIOD: Time = SECOND;
/// A round may take this part of the time at most.
const SHARE: Time = 10;
/// Pods visited in a round beside those that are wanted.
const IN_TURN: usize = 8;
/// Pods visited in a round because something is being judged there.
const WANTED: usize = 16;

/// What a round found.
#[derive(Debug)]
pub(super) struct Found {
    exceptions: Vec<NetnsExceptions>,
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
    pub fn ask(&mut self, now: Time, topology: &Topology, wanted: impl FnOnce() -> BTreeSet<u32>) {
        if self.busy_since.is_some() || now < self.not_before {
            return;
        }
        self.busy_since = Some(now);
        let wanted = wanted();
        let is_wanted = |pod: &&Pod| pod.netns_inode.is_some_and(|inode| wanted.contains(&inode));
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
        tokio::task::spawn_blocking(move || inputs.send(Input::Visited(round(&pods, own))));
    }

    /// Takes what a round found: what namespaces have learned, and those that have forgotten all.
    pub fn take(&mut self, now: Time, found: Found) -> Vec<NetnsExceptions> {
        let took = now.saturating_sub(self.busy_since.take().unwrap_or(now));
        self.not_before = now + PERIOD.max(took * SHARE);
        if let Some(error) = found.refused
            && !std::mem::replace(&mut self.complained, true)
        {
            complain(&error);
        }
        let is_news = |read: &NetnsExceptions| {
            if read.exceptions.is_empty() {
                return self.learned.remove(&read.netns);
            }
            self.learned.insert(read.netns);
            true
        };
        found.exceptions.into_iter().filter(is_news).collect()
    }

    /// What `start` says of the exceptions: nothing if all are within reach.
    pub fn lack(topology: &Topology) -> Option<String> {
        if !has_capability(CAP_SYS_ADMIN) {
            return Some("pods' PMTU exceptions are out of reach: entering their network namespaces needs CAP_SYS_ADMIN".to_owned());
        }
        let closed = topology.pods.iter().filter(|pod| pod_namespace(pod).is_none());
        let closed: Vec<String> = closed.map(Pod::display_name).collect();
        let first = closed.first()?;
        Some(format!(
            "the network namespaces of {} pods cannot be opened (needs CAP_SYS_PTRACE): {first} …",
            closed.len()
        ))
    }

    /// What `start` says of netlink.
    pub fn netlink_sense(topology: &Topology) -> Sense {
        let why = Self::lack(topology);
        let state = if why.is_none() { SenseState::Works } else { SenseState::Degraded };
        Sense { name: "netlink".into(), state, why }
    }
}

fn round(pods: &[Pod], own: u32) -> Found {
    let mut found = Found { exceptions: Vec::new(), refused: None };
    match learned_exceptions(None, own) {
        Ok(read) => found.exceptions.push(read),
        Err(error) => found.refused = Some(error),
    }
    // A pod may just be going, and `start` told whether they can be entered at all.
    found.exceptions.extend(pods.iter().filter_map(|pod| learned_exceptions(Some(pod), own).ok()));
    found
}
