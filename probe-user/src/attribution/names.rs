//! Names of pods while observing: sources are asked on a thread of their own, what they say is kept and merged.
use super::cluster::Cluster;
use super::host_pods::{HostPods, NODE};
use super::sources::{Answer, Moment, Places, Sources, logged_name_of};
use crate::output::wall_clock::monotonic_now;
use crate::output::{Sense, SenseState};
use probe_core::identity::Registry;
use probe_core::model::finding::Finding;
use probe_core::model::flow::Flow;
use probe_core::model::pod::{Pod, PodSource};
use probe_core::model::topology::Topology;
use probe_core::model::{SECOND, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, SystemTime};

/// Sources are asked so often while a pod that just came has no name yet …
const PERIOD_OF_YOUTH: Time = SECOND / 5;
/// … for so long …
const YOUTH: Time = 10 * SECOND;
/// … and so often else: labels change, containers start again.
const PERIOD: Time = 5 * SECOND;
/// Findings that wait for a name; others are told as they are.
const MAX_NAMELESS: usize = 256;
/// A round may take this part of the time at most.
const SHARE: Time = 4;
/// The first answers are waited for so long: names in the first lines are worth it.
pub const FIRST_PATIENCE: Duration = Duration::from_secs(1);

/// Names, as far as they are known.
#[derive(Debug)]
pub struct PodNames {
    registry: Registry,
    cluster: Arc<Cluster>,
    host_pods: HostPods,
    /// Findings by their ids that were told without the name of a container, and when.
    nameless: BTreeMap<String, (Time, Finding)>,
    questions: Option<Sender<Vec<Pod>>>,
    senses: BTreeMap<&'static str, Sense>,
    asked: Option<Time>,
    not_before: Time,
}

/// The thread that asks.
struct Asker {
    sources: Sources,
    questions: Receiver<Vec<Pod>>,
}

impl PodNames {
    /// Starts the thread that asks; it hands the answers to `answers` until that says that nobody listens.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        places: &Places,
        answers: impl Fn(Vec<Answer>) -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let (questions, receiver) = mpsc::channel();
        let sources = Sources::new(places)?;
        let cluster = sources.cluster();
        let asker = Asker { sources, questions: receiver };
        std::thread::Builder::new().name("names".to_owned()).spawn(move || asker.serve(answers))?;
        Ok(Self {
            registry: Registry::default(),
            cluster,
            host_pods: HostPods::default(),
            nameless: BTreeMap::new(),
            questions: Some(questions),
            senses: BTreeMap::new(),
            asked: None,
            not_before: 0,
        })
    }

    /// Asks if it is time to; answers follow.
    pub fn ask(&mut self, now: Time, pods: &[Pod]) {
        if self.asked.is_some() || now < self.not_before {
            return;
        }
        let is_sent = self.questions.as_ref().is_some_and(|questions| questions.send(pods.to_vec()).is_ok());
        self.asked = is_sent.then_some(now);
    }

    /// Takes answers in. The topology with new names, if there are any.
    pub fn take(&mut self, now: Time, answers: Vec<Answer>, topology: &Topology) -> Option<Topology> {
        let took = now.saturating_sub(self.asked.take().unwrap_or(now));
        let young = self.has_newcomers(now) || !self.nameless.is_empty();
        self.not_before = now + if young { PERIOD_OF_YOUTH } else { PERIOD }.max(took * SHARE);
        self.learn(answers);
        self.registry.renamed(topology)
    }

    /// Gives the pods of a new topology their numbers and names.
    pub fn fill(&mut self, now: Time, topology: &mut Topology, removed: &BTreeSet<u32>) {
        let before = self.has_newcomers(now);
        self.registry.fill(now, topology, removed);
        if !before && self.has_newcomers(now) {
            // Somebody came: do not wait for the end of a long period.
            self.not_before = self.not_before.min(now + PERIOD_OF_YOUTH);
        }
    }

    /// Names whoever is at the ends of a finding's flows: pods on the host's network by their sockets, and what the
    /// cluster knows and the node does not.
    pub fn name_ends(&mut self, now: Time, finding: &mut Finding, topology: &Topology) {
        if self.name_known_ends(finding, topology) {
            self.nameless.remove(&finding.id);
        } else if self.nameless.len() < MAX_NAMELESS {
            self.nameless.insert(finding.id.clone(), (now, finding.clone()));
            self.not_before = self.not_before.min(now + PERIOD_OF_YOUTH);
        }
    }

    /// Findings that were told without a name that is known now: to be told again.
    pub fn named_late(&mut self, now: Time, topology: &Topology) -> Vec<Finding> {
        let mut named = Vec::new();
        for (id, (since, mut finding)) in std::mem::take(&mut self.nameless) {
            if self.name_known_ends(&mut finding, topology) {
                named.push(finding);
            } else if now < since + YOUTH {
                self.nameless.insert(id, (since, finding));
            }
        }
        named
    }

    /// Names the ends as far as they have names; `false` if a container's may still come.
    fn name_known_ends(&mut self, finding: &mut Finding, topology: &Topology) -> bool {
        let here = |address| topology.pod_with_address(address).map(Pod::display_name);
        let mut is_complete = true;
        for report in &mut finding.flows {
            let flow = report.flow;
            let near_end = if topology.is_own_address(flow.src) {
                Some((&mut report.src_name, flow))
            } else if topology.is_own_address(flow.dst) {
                Some((&mut report.dst_name, flow.reversed()))
            } else {
                None
            };
            if let Some((end, flow)) = near_end {
                let name = self.name_here(&flow);
                is_complete &= name.is_some();
                *end = Some(name.unwrap_or_else(|| NODE.to_owned()));
            }
            let inside = report.nat.unwrap_or(report.flow);
            for (name, address, translated) in [
                (&mut report.src_name, report.flow.src, inside.src),
                (&mut report.dst_name, report.flow.dst, inside.dst),
            ] {
                if name.is_none() {
                    let elsewhere = |address| Some(self.cluster.party(address)?.to_string());
                    *name = [address, translated].into_iter().find_map(here);
                    *name = name.take().or_else(|| [address, translated].into_iter().find_map(elsewhere));
                }
            }
        }
        is_complete
    }

    /// Whose socket is at the near end of a flow of this node; `None` for a container that has no name yet.
    fn name_here(&mut self, flow: &Flow) -> Option<String> {
        let registry = &self.registry;
        self.host_pods.name_of(flow, |group| {
            let (uid, container) = (group.uid.as_deref(), group.container.as_deref());
            let names = registry.names_of(uid, container);
            let known = names.and_then(|names| Some((names.namespace.clone(), names.name.clone()?)));
            let logged = || logged_name_of(uid?).map(|(namespace, name)| (Some(namespace), name));
            known.or_else(logged).map(|(namespace, name)| match namespace {
                Some(namespace) => format!("{namespace}/{name}"),
                None => name,
            })
        })
    }

    /// What `start` says of the sources.
    pub fn senses(&self) -> impl Iterator<Item = Sense> {
        self.senses.values().cloned().chain([HostPods::sense()])
    }

    /// What is kept, for the tests of growth.
    pub fn kept(&self) -> usize {
        self.registry.kept()
    }

    /// Whether a pod came a short while ago and its name may still become better.
    fn has_newcomers(&self, now: Time) -> bool {
        let has_runtime = self.senses.get("cri").is_some_and(|sense| sense.state == SenseState::Works);
        // Without a runtime any name is as good as it gets, but for that of the namespace.
        self.registry.wants_names(
            now,
            YOUTH,
            if has_runtime { PodSource::Cri } else { PodSource::Kubernetes },
        )
    }

    fn learn(&mut self, answers: Vec<Answer>) {
        for answer in answers {
            self.senses.insert(answer.name, answer.sense());
            if let Ok(records) = answer.result {
                self.registry.learn(answer.time, answer.source, records);
            }
        }
    }
}

impl Asker {
    fn serve(mut self, answers: impl Fn(Vec<Answer>) -> bool) {
        while let Ok(pods) = self.questions.recv() {
            if !answers(self.sources.ask(moment(), &pods)) {
                return;
            }
        }
    }
}

fn moment() -> Moment {
    Moment { now: monotonic_now(), wall: SystemTime::now() }
}

/// Names the pods of a topology once, and tells what the sources could say.
pub fn name_once(topology: &mut Topology, places: &Places) -> Vec<Sense> {
    let mut registry = Registry::default();
    registry.fill(monotonic_now(), topology, &BTreeSet::new());
    // Without a runtime for connections the pods keep the names that their namespaces have.
    let Ok(mut sources) = Sources::new(places) else { return Vec::new() };
    sources.cluster().wait_for_first();
    let answers = sources.ask(moment(), &topology.pods);
    let senses = answers.iter().map(Answer::sense).collect();
    for answer in answers {
        if let Ok(records) = answer.result {
            registry.learn(answer.time, answer.source, records);
        }
    }
    if let Some(named) = registry.renamed(topology) {
        *topology = named;
    }
    senses
}
