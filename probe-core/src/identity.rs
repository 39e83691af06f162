//! Whose network namespace it is: what several sources say, merged, and over time.
//!
//! Each pod that the topology shows is a [`Tenant`](tenant) with a number of its own from the moment it is seen. Sources
//! tell what they know as [`Record`]s, when they know it: late, twice, or after the pod has gone. A record belongs to one
//! tenant for good, so that neither an address nor a namespace's number nor a name that is used again mixes two pods.
//!
//! # Layout
//! - [`record`]: what one source says of one sandbox; `tenant`: one pod and when it was there.
//! - `bond`: whether a record is about a tenant; `merge`: what all the records of a tenant amount to.
mod bond;
mod merge;
pub mod record;
mod tenant;
#[cfg(test)]
mod tests;

pub use record::{Anchor, Names, Record};

use crate::model::pod::{Pod, PodSource};
use crate::model::topology::Topology;
use crate::model::{SECOND, Time};
use bond::Bond;
use std::collections::{BTreeMap, BTreeSet};
use tenant::Tenant;

/// A pod that went is remembered so long: its last packets and its name may still be on their way.
const REMEMBERED: Time = 60 * SECOND;
/// Records and tenants kept at most; a node has a few hundred.
const MAX_KEPT: usize = 16_384;

/// What tells one record from another.
type RecordKey = (PodSource, String);

/// A record, and since when it is known.
#[derive(Clone, Debug)]
struct Entry {
    record: Record,
    /// When its source told of it first.
    heard: Time,
    /// When it last saw the namespace or process that it names.
    seen: Time,
    /// Its source tells of it no more since then.
    missing: Option<Time>,
    /// The tenant that it belongs to.
    tenancy: Option<u64>,
}

/// All pods that are here or went a short while ago, and all that is said of them.
#[derive(Debug, Default)]
pub struct Registry {
    tenants: BTreeMap<u64, Tenant>,
    entries: BTreeMap<RecordKey, Entry>,
    last: u64,
    began: Option<Time>,
}

impl Registry {
    /// Gives the pods of a new topology their numbers and names. The links of `removed` went meanwhile: such an index is
    /// another link's now.
    pub fn fill(&mut self, now: Time, topology: &mut Topology, removed: &BTreeSet<u32>) {
        let at_start = self.began.is_none();
        self.began.get_or_insert(now);
        self.number(now, &mut topology.pods, removed, at_start);
        self.bind();
        self.forget(now);
        self.name(topology);
    }

    /// Takes in all that a source says at present. `now` is when it was asked.
    pub fn learn(&mut self, now: Time, source: PodSource, records: Vec<Record>) {
        let mut told = BTreeSet::new();
        for record in records.into_iter().take(MAX_KEPT) {
            let key = (source, record.id.clone());
            told.insert(key.clone());
            match self.entries.get_mut(&key) {
                Some(entry) => {
                    entry.missing = None;
                    if record.anchor.is_present() {
                        entry.seen = now;
                    }
                    entry.record.update(record);
                }
                None => {
                    let entry = Entry { record, heard: now, seen: now, missing: None, tenancy: None };
                    self.entries.insert(key, entry);
                }
            }
        }
        for (key, entry) in &mut self.entries {
            if key.0 == source && !told.contains(key) {
                entry.missing.get_or_insert(now);
            }
        }
        self.bind();
    }

    /// The topology with the names of now, if they differ from those it has.
    pub fn renamed(&self, topology: &Topology) -> Option<Topology> {
        let mut renamed = topology.clone();
        self.name(&mut renamed);
        (renamed.pods != topology.pods || renamed.departed != topology.departed).then_some(renamed)
    }

    /// Whether a pod that came less than `young` ago has its name from a source that is worse than `best`.
    pub fn wants_names(&self, now: Time, young: Time, best: PodSource) -> bool {
        self.tenants.values().any(|tenant| {
            tenant.since + young > now
                && tenant.pods.first().is_some_and(|pod| self.named(pod, tenant).source > best)
        })
    }

    /// Names of the sandbox with a uid, or that holds a container, by the best source.
    pub fn names_of(&self, uid: Option<&str>, container: Option<&str>) -> Option<&Names> {
        let is_it = |names: &Names| {
            let holds = |id| {
                names.container_id.as_deref() == Some(id) || names.containers.iter().any(|one| one.id == id)
            };
            uid.is_some() && names.uid.as_deref() == uid || container.is_some_and(holds)
        };
        self.entries
            .values()
            .map(|entry| &entry.record.names)
            .find(|names| names.name.is_some() && is_it(names))
    }

    /// Records that are kept, for a test of growth.
    pub fn kept(&self) -> usize {
        self.entries.len() + self.tenants.len()
    }

    /// Finds each pod's tenant, or makes one.
    fn number(&mut self, now: Time, pods: &mut [Pod], removed: &BTreeSet<u32>, at_start: bool) {
        let mut present: BTreeSet<u64> = BTreeSet::new();
        let mut newcomers = Vec::new();
        for (index, pod) in pods.iter_mut().enumerate() {
            let stays = self
                .tenants
                .values()
                .find(|tenant| tenant.until.is_none() && tenant.is_end_of(pod, removed))
                .map(|tenant| tenant.tenancy);
            match stays {
                Some(tenancy) => {
                    pod.tenancy = tenancy;
                    present.insert(tenancy);
                }
                None => newcomers.push(index),
            }
        }
        for index in newcomers {
            let pod = &mut pods[index];
            // Another interface of a pod that is there.
            let joins = self
                .tenants
                .values()
                .find(|tenant| present.contains(&tenant.tenancy) && tenant.shares_namespace(pod))
                .map(|tenant| tenant.tenancy);
            pod.tenancy = joins.unwrap_or_else(|| {
                self.last += 1;
                self.tenants.insert(self.last, Tenant::new(self.last, now, at_start));
                self.last
            });
            present.insert(pod.tenancy);
            if joins.is_none()
                && let Some(tenant) = self.tenants.get_mut(&pod.tenancy)
            {
                tenant.pods = vec![pod.clone()];
            }
        }
        for tenant in self.tenants.values_mut() {
            let ends: Vec<Pod> = pods.iter().filter(|pod| pod.tenancy == tenant.tenancy).cloned().collect();
            if ends.is_empty() {
                tenant.until.get_or_insert(now);
            } else {
                tenant.pods = ends;
            }
        }
    }

    /// Gives each record that has no tenant yet the one that it is about.
    fn bind(&mut self) {
        for _ in 0..2 {
            // Twice: what the cluster says is recognized by names that other records give.
            for key in self.entries.keys().cloned().collect::<Vec<_>>() {
                let Some(entry) = self.entries.get(&key).filter(|entry| entry.tenancy.is_none()) else {
                    continue;
                };
                let best = self
                    .tenants
                    .values()
                    .filter_map(|tenant| Some((self.bond(entry, tenant)?, tenant.tenancy)))
                    .max();
                if let Some((_, tenancy)) = best
                    && let Some(entry) = self.entries.get_mut(&key)
                {
                    entry.tenancy = Some(tenancy);
                }
            }
        }
    }

    fn bond(&self, entry: &Entry, tenant: &Tenant) -> Option<Bond> {
        let named = || tenant.pods.first().map(|pod| self.named(pod, tenant));
        bond::between(entry, tenant, named)
    }

    fn name(&self, topology: &mut Topology) {
        for pod in &mut topology.pods {
            if let Some(tenant) = self.tenants.get(&pod.tenancy) {
                *pod = self.named(&bare(tenant, pod), tenant);
            }
        }
        let departed = self.tenants.values().filter(|tenant| tenant.until.is_some());
        topology.departed =
            departed.flat_map(|tenant| tenant.pods.iter().map(|pod| self.named(pod, tenant))).collect();
    }

    fn named(&self, pod: &Pod, tenant: &Tenant) -> Pod {
        // In the order of the sources: best first.
        let records = self.entries.values().filter(|entry| entry.tenancy == Some(tenant.tenancy));
        merge::named(pod, records.map(|entry| &entry.record))
    }

    fn forget(&mut self, now: Time) {
        self.tenants.retain(|_, tenant| tenant.until.is_none_or(|until| until + REMEMBERED > now));
        let (tenants, mut kept) = (&self.tenants, 0);
        self.entries.retain(|_, entry| {
            let is_needed = entry.tenancy.is_some_and(|tenancy| tenants.contains_key(&tenancy));
            // Still told of, though its pod is long gone: it must not be taken for news.
            let is_told = entry.missing.is_none_or(|missing| missing + REMEMBERED > now);
            kept += usize::from(is_needed || is_told);
            (is_needed || is_told) && kept <= MAX_KEPT
        });
    }
}

/// The pod as the topology showed it, before it was named.
fn bare(tenant: &Tenant, pod: &Pod) -> Pod {
    let same = tenant
        .pods
        .iter()
        .find(|end| end.host_ifindex == pod.host_ifindex && end.pod_interface == pod.pod_interface);
    same.unwrap_or(pod).clone()
}
