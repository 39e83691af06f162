//! The sources of pods' names. Each is optional, is asked by itself, and says whether it could answer.
mod cni_cache;
mod control_groups;
mod cri;
mod engine;
mod podman_storage;

use super::cluster::{Access, Cluster};
use super::processes;
use crate::output::{Sense, SenseState};
use crate::system::node_name;
use probe_core::identity::Record;
use probe_core::model::Time;
use probe_core::model::pod::{Pod, PodSource};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use control_groups::logged_name_of;
pub use cri::{Client as CriClient, messages as cri_messages};

/// Where sources are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The socket of a container runtime, instead of those at the usual places.
    pub cri: Option<PathBuf>,
    /// The Kubernetes API.
    pub kubernetes: Access,
    /// What this node is called there, instead of its host name.
    pub node: Option<String>,
}

impl Places {
    /// The usual ones, but for those that are given.
    pub fn new(cri: Option<PathBuf>, kubeconfig: Option<PathBuf>, node: Option<String>) -> Self {
        Self { cri, kubernetes: kubeconfig.map_or(Access::InCluster, Access::Kubeconfig), node }
    }
}

/// What a source answered.
#[derive(Debug)]
pub struct Answer {
    /// Which.
    pub source: PodSource,
    /// Its name among the senses.
    pub name: &'static str,
    /// When it was asked.
    pub time: Time,
    /// All that it knows; or why it does not answer, in which case what it said before stands.
    pub result: Result<Vec<Record>, Unavailable>,
    /// What it lacks, though it answers.
    pub lacks: Option<&'static str>,
}

/// Why a source does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// It is not there at all.
    Absent(String),
    /// It is there, and does not answer.
    Silent(String),
}

/// The moment of asking, on the clocks that matter.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The monotonic clock.
    pub now: Time,
    /// The wall clock.
    pub wall: SystemTime,
}

impl Moment {
    /// When something was, that a source dates by the wall clock.
    pub fn of_wall(self, time: SystemTime) -> Option<Time> {
        let ago = self.wall.duration_since(time).unwrap_or(Duration::ZERO);
        Some(self.now.saturating_sub(u64::try_from(ago.as_nanos()).ok()?))
    }
}

/// All sources of this machine.
#[derive(Debug)]
pub struct Sources {
    cri: cri::Cri,
    engines: [engine::Engine; 2],
    cluster: Arc<Cluster>,
    runtime: tokio::runtime::Runtime,
}

impl Sources {
    /// Sources at these places.
    ///
    /// # Errors
    /// The runtime for their connections cannot be started.
    pub fn new(places: &Places) -> std::io::Result<Self> {
        let node = places.node.clone().unwrap_or_else(node_name);
        Ok(Self {
            cluster: Arc::new(Cluster::start(&places.kubernetes, &node)),
            cri: cri::Cri::new(places.cri.clone()),
            engines: [engine::Engine::docker(), engine::Engine::podman()],
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        })
    }

    /// The Kubernetes API, for names of whoever is elsewhere.
    pub fn cluster(&self) -> Arc<Cluster> {
        Arc::clone(&self.cluster)
    }

    /// Asks all of them. Blocks for as long as the slowest takes, a few seconds at most.
    pub fn ask(&mut self, moment: Moment, pods: &[Pod]) -> Vec<Answer> {
        let Self { cri, engines: [docker, podman], cluster, runtime } = self;
        let (cri, docker, podman) =
            runtime.block_on(async { tokio::join!(cri.ask(moment), docker.ask(moment), podman.ask(moment)) });
        // Podman's own files tell less, but need no service.
        let podman = podman.or_else(|_| podman_storage::read(moment));
        let answer = |source, name, result| Answer { source, name, time: moment.now, result, lacks: None };
        let lacks = control_groups::lacks(pods);
        vec![
            answer(PodSource::Cri, "cri", cri),
            answer(PodSource::Cni, "cni", cni_cache::read(moment)),
            Answer { lacks, ..answer(PodSource::Cgroup, "cgroup", Ok(control_groups::read(pods))) },
            answer(PodSource::Docker, "docker", docker),
            answer(PodSource::Podman, "podman", podman),
            answer(PodSource::Kubernetes, "kubernetes", cluster.records(moment)),
        ]
    }
}

impl Answer {
    /// What `start` says of it.
    pub fn sense(&self) -> Sense {
        let (state, why) = match &self.result {
            Ok(_) if self.lacks.is_some() => (SenseState::Missing, self.lacks.map(str::to_owned)),
            Ok(_) => (SenseState::Works, None),
            Err(Unavailable::Absent(why) | Unavailable::Silent(why)) => {
                (SenseState::Missing, Some(why.clone()))
            }
        };
        Sense { name: self.name.into(), state, why }
    }
}

/// Whether a process that a runtime names is what its number means to us: its control group has the container's id.
fn is_process_of(pid: u32, container: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|text| text.contains(container))
}

/// A process that a runtime names, with its namespace's number, if it is what its number means to us.
fn process_anchor(pid: u32, container: &str) -> (Option<u32>, Option<u32>) {
    let pid = Some(pid).filter(|&pid| pid != 0 && is_process_of(pid, container));
    (pid, pid.and_then(processes::network_namespace))
}
