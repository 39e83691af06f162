//! Names of pods while observing: sources are asked on a thread of their own, what they say is kept and merged.
use super::cluster::Cluster;
use super::host_pods::HostPods;
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
        let young = self.has_newcomers(now);
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
    pub fn name_ends(&mut self, finding: &mut Finding, topology: &Topology) {
        let here = |address| topology.pod_with_address(address).map(Pod::display_name);
        for report in &mut finding.flows {
            if topology.is_own_address(report.flow.src) {
                report.src_name = Some(self.name_here(&report.flow));
            } else if topology.is_own_address(report.flow.dst) {
                report.dst_name = Some(self.name_here(&report.flow.reversed()));
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
    }

    /// Whose socket is at the near end of a flow of this node.
    fn name_here(&mut self, flow: &Flow) -> String {
        let name = self.host_pods.container_of(flow).and_then(|group| {
            let (uid, container) = (group.uid.as_deref(), group.container.as_deref());
            let names = self.registry.names_of(uid, container);
            let known = names.and_then(|names| Some((names.namespace.clone(), names.name.clone()?)));
            known.or_else(|| logged_name_of(uid?).map(|(namespace, name)| (Some(namespace), name)))
        });
        match name {
            Some((Some(namespace), name)) => format!("{namespace}/{name}"),
            Some((None, name)) => name,
            None => "host".to_owned(),
        }
    }

    /// What `start` says of the sources.
    pub fn senses(&self) -> impl Iterator<Item = Sense> {
        self.senses.values().cloned()
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
