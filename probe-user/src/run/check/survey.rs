//! The reading: the observed namespace by netlink, and each pod's by one visit.
use crate::attribution::names::name_once;
use crate::attribution::sources::Places;
use crate::attribution::{learned_exceptions, pod_namespace, shown_settings};
use crate::config::Selection;
use crate::datapath::links::{Connection, Discovery, inside, pmtu_exceptions, tour};
use crate::filters::{self, FiltersError};
use crate::system::{CAP_NET_ADMIN, has_capability};
use anyhow::Context as _;
use probe_core::model::filters::Filters;
use probe_core::model::interface::{Interface, Role};
use probe_core::model::pmtu_exception::{NetnsExceptions, PmtuException};
use probe_core::model::pod::{Pod, PodKey};
use probe_core::model::settings::Settings;
use probe_core::model::survey::{Survey, Unseen};
use probe_core::model::topology::Topology;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;

/// What a visit of a pod's namespace brings.
struct Visit {
    topology: anyhow::Result<Topology>,
    exceptions: anyhow::Result<Vec<PmtuException>>,
    settings: Option<Settings>,
    filters: Result<Filters, FiltersError>,
    legacy: Vec<String>,
}

/// Reads what can be read, and notes what cannot.
pub(super) fn read(selection: &Selection, places: &Places) -> anyhow::Result<Survey> {
    let mut discovery = Discovery::new().context("read links")?;
    let mut node = discovery.snapshot().context("read links")?;
    name_once(&mut node, places);
    let own = File::open("/proc/thread-self/ns/net").context("open our network namespace")?;
    let mut reader = Reader { survey: Survey { node, ..Survey::default() }, unseen: BTreeMap::new() };
    reader.node();
    reader.pod_ends();
    let mut visited: BTreeSet<PodKey> = BTreeSet::new();
    let mut stops: Vec<(Pod, u32)> = Vec::new();
    for pod in reader.survey.node.pods.clone() {
        if !selection.wants_pod(&pod) || !visited.insert(pod.key()) {
            continue;
        }
        match pod.netns_inode {
            Some(inode) => stops.push((pod, inode)),
            None => {
                reader.miss("pods_inside", "no file and no process of their network namespaces is known", 1);
            }
        }
    }
    let seen = tour(&stops, |(pod, _)| pod_namespace(pod), |(_, inode)| look(*inode, &own))
        .context("visit network namespaces")?;
    for ((pod, inode), seen) in stops.iter().zip(seen) {
        reader.pod(pod, *inode, seen);
    }
    let Reader { mut survey, unseen } = reader;
    survey.unseen = unseen.into_iter().map(|((what, why), pods)| Unseen { what, pods, why }).collect();
    Ok(survey)
}

struct Reader {
    survey: Survey,
    /// What and why → how many pods.
    unseen: BTreeMap<(&'static str, String), u32>,
}

impl Reader {
    fn miss(&mut self, what: &'static str, why: impl Into<String>, pods: u32) {
        *self.unseen.entry((what, why.into())).or_default() += pods;
    }

    /// What the observed namespace has beside links and routes.
    fn node(&mut self) {
        let inode = self.survey.node.netns_inode;
        self.survey.node.settings.extend(shown_settings(None).map(|settings| (inode, settings)));
        match learned_exceptions(None, inode) {
            Ok(found) => self.survey.exceptions.push(found),
            Err(error) => self.miss("exceptions", error.to_string(), 0),
        }
        self.filters(inode, filters::read(), 0);
        self.legacy(&filters::legacy_tables(), 0);
    }

    fn filters(&mut self, inode: u32, found: Result<Filters, FiltersError>, pods: u32) {
        match found {
            Ok(found) => {
                self.survey.filters.insert(inode, found);
            }
            Err(error) => self.miss("filters", error.to_string(), pods),
        }
    }

    fn legacy(&mut self, tables: &[String], pods: u32) {
        if !tables.is_empty() {
            let why = format!("iptables-legacy has tables that no netlink tells: {}", tables.join(", "));
            self.miss("legacy_filters", why, pods);
        }
    }

    /// Pods whose own end is not known, and links that may lead to pods.
    fn pod_ends(&mut self) {
        let leads_out = |link: &&Interface| {
            link.role == Role::Link && link.peer.as_ref().is_some_and(|peer| peer.nsid.is_some())
        };
        let unknown = self.survey.node.interfaces.values().filter(leads_out).count();
        if unknown > 0 && !has_capability(CAP_NET_ADMIN) {
            let why = format!(
                "{unknown} veths lead to other network namespaces; whether they are pods' is told to CAP_NET_ADMIN"
            );
            self.miss("pods", why, 0);
        }
        let without = self.survey.node.pods.iter().filter(|pod| pod.pod_mtu.is_none()).count();
        if without > 0 {
            let pods = u32::try_from(without).unwrap_or(u32::MAX);
            self.miss("pod_links", "reading the other ends of veths needs CAP_NET_ADMIN", pods);
        }
    }

    /// Takes in what a visit brought; `None` if there was no way in.
    fn pod(&mut self, pod: &Pod, inode: u32, seen: Option<io::Result<Visit>>) {
        let visit = match seen {
            None => {
                let why = "their network namespaces cannot be opened (needs root, or CAP_SYS_PTRACE)";
                self.miss("pods_inside", why, 1);
                return;
            }
            Some(Err(error)) => {
                let why = format!("enter their network namespaces: {error} (needs CAP_SYS_ADMIN)");
                self.miss("pods_inside", why, 1);
                return;
            }
            Some(Ok(visit)) => visit,
        };
        match visit.topology {
            Ok(topology) => {
                self.survey.inside.insert(pod.key(), topology);
            }
            Err(error) => self.miss("pods_inside", format!("{error:#}"), 1),
        }
        match visit.exceptions {
            Ok(exceptions) => {
                self.survey.exceptions.push(NetnsExceptions { netns: inode, exceptions, locked: Vec::new() })
            }
            Err(error) => self.miss("exceptions", format!("{error:#}"), 1),
        }
        self.survey.node.settings.extend(visit.settings.map(|settings| (inode, settings)));
        self.filters(inode, visit.filters, 1);
        self.legacy(&visit.legacy, 1);
    }
}

/// Reads the namespace that the calling thread is in.
fn look(inode: u32, own: &File) -> Visit {
    let topology = || -> anyhow::Result<Topology> { Ok(inside(&mut Connection::open()?, inode, own)?) };
    let exceptions =
        || -> anyhow::Result<Vec<PmtuException>> { Ok(pmtu_exceptions(&mut Connection::open()?, inode)?) };
    Visit {
        topology: topology(),
        exceptions: exceptions(),
        settings: shown_settings(None),
        filters: filters::read(),
        legacy: filters::legacy_tables(),
    }
}
