//! Which interfaces are observed, and how far each has come.
use crate::config::{Selection, Urgency};
use crate::datapath::attach::{Mechanism, Pace, Request};
use crate::output::{AttachedInterface, Hook};
use probe_core::model::interface::Interface;
use probe_core::model::pod::Pod;
use probe_core::model::topology::Topology;
use probe_core::model::{SECOND, Time};
use std::collections::{BTreeMap, BTreeSet};

/// A qdisc is made on a new pod's link at the latest after this time (a CNI is done by then, or never).
const SANDBOX_PATIENCE: Time = 10 * SECOND;

/// The line about a new interface waits so long for its pod to be known; it is observed meanwhile.
const POD_PATIENCE: Time = SECOND * 3 / 10;

/// How far an interface has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The attacher was asked.
    Asked,
    /// It waits until a qdisc may be made.
    Postponed,
    /// The programs are on it.
    Attached(Hook),
    /// The kernel refused; told once, not tried again.
    Refused,
}

/// An interface that is wanted.
#[derive(Debug)]
struct Attachment {
    interface: Interface,
    pod: Option<Pod>,
    since: Time,
    /// It was there at the start.
    urgency: Option<Urgency>,
    state: State,
    /// Whether it was told that it is observed, in whatever line.
    told: bool,
}

/// All interfaces that are wanted.
#[derive(Debug)]
pub(super) struct Attachments {
    selection: Selection,
    wanted: BTreeMap<u32, Attachment>,
}

/// An interface came or went while observing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub interface: AttachedInterface,
    pub pod: Option<Pod>,
}

/// What a snapshot changed.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub requests: Vec<Request>,
    /// Interfaces to take the programs off.
    pub gone: Vec<u32>,
    /// Those of them that were attached.
    pub went: Vec<Event>,
}

impl Attachments {
    pub fn new(selection: Selection) -> Self {
        Self { selection, wanted: BTreeMap::new() }
    }

    /// Takes the first snapshot in.
    pub fn begin(&mut self, now: Time, topology: &Topology) -> Difference {
        self.compare(now, topology, &BTreeSet::new(), true)
    }

    /// Takes a later snapshot in. The links of `removed` went meanwhile; such an index is another link's by now.
    pub fn update(&mut self, now: Time, topology: &Topology, removed: &BTreeSet<u32>) -> Difference {
        self.compare(now, topology, removed, false)
    }

    fn compare(
        &mut self,
        now: Time,
        topology: &Topology,
        removed: &BTreeSet<u32>,
        at_start: bool,
    ) -> Difference {
        let mut difference = Difference::default();
        let selection = &self.selection;
        self.wanted.retain(|&ifindex, attachment| {
            let still = topology.interface(ifindex).filter(|interface| {
                !removed.contains(&ifindex) && selection.urgency(topology, interface).is_some()
            });
            if still.is_none() {
                difference.gone.push(ifindex);
                difference.went.extend(attachment.event().filter(|_| attachment.told));
            }
            still.is_some()
        });
        for interface in topology.interfaces.values() {
            let Some(urgency) = self.selection.urgency(topology, interface) else { continue };
            let pod = topology.pod_behind(interface.ifindex).cloned();
            if let Some(known) = self.wanted.get_mut(&interface.ifindex) {
                known.interface = interface.clone();
                known.pod = pod;
                continue;
            }
            let attachment = Attachment {
                interface: interface.clone(),
                pod,
                since: now,
                urgency: at_start.then_some(urgency),
                state: State::Asked,
                told: at_start,
            };
            // What is paced is asked for when `start` was told.
            if attachment.urgency != Some(Urgency::Later) {
                difference.requests.push(attachment.request(now));
            }
            self.wanted.insert(interface.ifindex, attachment);
        }
        difference
    }

    /// Indexes of all that are wanted.
    pub fn wanted(&self) -> BTreeSet<u32> {
        self.wanted.keys().copied().collect()
    }

    /// The interfaces that the start leaves for later.
    pub fn paced(&self, now: Time) -> Vec<Request> {
        let later = self.wanted.values().filter(|attachment| attachment.urgency == Some(Urgency::Later));
        later.map(|attachment| attachment.request(now)).collect()
    }

    /// Names of the interfaces still to come.
    pub fn pending(&self) -> Vec<String> {
        let asked = self.wanted.values().filter(|attachment| attachment.state == State::Asked);
        asked.map(|attachment| attachment.interface.name.clone()).collect()
    }

    /// Whether interfaces of the start are still to come; `None` asks for all of them.
    pub fn awaits(&self, urgency: Option<Urgency>) -> bool {
        self.wanted.values().any(|attachment| {
            attachment.state == State::Asked
                && attachment.urgency.is_some()
                && (urgency.is_none() || attachment.urgency == urgency)
        })
    }

    /// All that are attached.
    pub fn attached(&self) -> Vec<AttachedInterface> {
        self.wanted.values().filter_map(Attachment::event).map(|event| event.interface).collect()
    }

    /// The interface is attached.
    pub fn note_attached(&mut self, ifindex: u32, mechanism: Mechanism) {
        self.set_state(
            ifindex,
            State::Attached(match mechanism {
                Mechanism::Tcx => Hook::Tcx,
                Mechanism::Clsact => Hook::Clsact,
            }),
        );
    }

    /// Interfaces that came while observing and are to be told of now.
    pub fn came(&mut self, now: Time) -> Vec<Event> {
        let untold = self.wanted.values_mut().filter(|attachment| !attachment.told);
        let mut events = Vec::new();
        for attachment in untold {
            let may_become_a_pod = attachment.pod.is_none() && attachment.interface.peer.is_some();
            if may_become_a_pod && now < attachment.since + POD_PATIENCE {
                continue;
            }
            if let Some(event) = attachment.event() {
                attachment.told = true;
                events.push(event);
            }
        }
        events
    }

    /// The interface is gone: the next snapshot says what is there instead.
    pub fn note_vanished(&mut self, ifindex: u32) {
        self.wanted.remove(&ifindex);
    }

    /// It has to wait for its qdisc.
    pub fn note_postponed(&mut self, ifindex: u32) {
        self.set_state(ifindex, State::Postponed);
    }

    /// The kernel refused.
    pub fn note_refused(&mut self, ifindex: u32) {
        self.set_state(ifindex, State::Refused);
    }

    /// The postponed ones whose time has come.
    pub fn due(&mut self, now: Time) -> Vec<Request> {
        let mut requests = Vec::new();
        for attachment in self.wanted.values_mut().filter(|attachment| attachment.state == State::Postponed) {
            if attachment.may_make_qdisc(now) {
                attachment.state = State::Asked;
                requests.push(attachment.request(now));
            }
        }
        requests
    }

    /// Whether programs are on an interface; `None` while that is not decided.
    pub fn is_attached(&self, ifindex: u32) -> Option<bool> {
        match self.wanted.get(&ifindex)?.state {
            State::Asked | State::Postponed => None,
            State::Attached(_) => Some(true),
            State::Refused => Some(false),
        }
    }

    /// Name of a wanted interface.
    pub fn name(&self, ifindex: u32) -> Option<&str> {
        self.wanted.get(&ifindex).map(|attachment| attachment.interface.name.as_str())
    }

    fn set_state(&mut self, ifindex: u32, state: State) {
        if let Some(attachment) = self.wanted.get_mut(&ifindex) {
            attachment.state = state;
        }
    }
}

impl Attachment {
    fn request(&self, now: Time) -> Request {
        Request {
            ifindex: self.interface.ifindex,
            ethernet: self.interface.ethernet,
            pace: if self.urgency == Some(Urgency::Later) { Pace::Paced } else { Pace::Urgent },
            may_make_qdisc: self.may_make_qdisc(now),
        }
    }

    /// A CNI that is still at work must not find a qdisc of ours: its bandwidth plugin would fail.
    fn may_make_qdisc(&self, now: Time) -> bool {
        let comes_while_observing = self.urgency.is_none() && self.interface.peer.is_some();
        !comes_while_observing || self.sandbox_is_ready() || now >= self.since + SANDBOX_PATIENCE
    }

    /// Something runs in it, a runtime has a record of it, or it has its addresses.
    fn sandbox_is_ready(&self) -> bool {
        self.pod.as_ref().is_some_and(|pod| {
            pod.pid.is_some() || pod.uid.is_some() || pod.container_id.is_some() || !pod.addresses.is_empty()
        })
    }

    fn event(&self) -> Option<Event> {
        let State::Attached(hook) = self.state else { return None };
        let interface =
            AttachedInterface { interface: self.interface.name.clone(), role: self.interface.role, hook };
        Some(Event { interface, pod: self.pod.clone() })
    }
}

#[cfg(test)]
#[path = "attachments/tests.rs"]
mod tests;
