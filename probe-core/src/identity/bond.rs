//! Whether a record is about a tenant.
use super::Entry;
use super::tenant::{Tenant, agree};
use crate::model::pod::{Pod, PodSource};
use crate::model::{SECOND, Time};

/// A sandbox is made so long before its interface is seen, at most.
const MADE_BEFORE: Time = 60 * SECOND;

/// What shows that a record is about a tenant, in rising order of strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bond {
    /// An address, of a pod that came when the record did.
    Address,
    /// The node's interface, and an address where both are known.
    Interface,
    /// The names that other records gave it.
    Names,
    /// A process.
    Process,
    /// The network namespace's number, while it was this pod's.
    Inode,
    /// The network namespace's file, whose name nobody gives twice.
    File,
}

/// The strongest bond between a record and a tenant, if there is one.
pub(super) fn between(entry: &Entry, tenant: &Tenant, named: impl Fn() -> Option<Pod>) -> Option<Bond> {
    let anchor = &entry.record.anchor;
    let file = tenant.pods.iter().find_map(|pod| pod.netns.as_deref()).map(real_path);
    let told_file = anchor.netns.as_deref().map(real_path);
    if let (Some(told), Some(file)) = (told_file, file) {
        match (told == file, is_unique(told), is_unique(file)) {
            (true, true, _) => return Some(Bond::File),
            (false, true, true) => return None,
            (_, _, _) => {}
        }
    }
    let is_time = tenant.was_there(entry.seen);
    let inode = tenant.pods.iter().find_map(|pod| pod.netns_inode);
    if let (Some(told), Some(inode)) = (anchor.netns_inode, inode) {
        return (told == inode && is_time).then_some(Bond::Inode);
    }
    let pid = tenant.pods.iter().find_map(|pod| pod.pid);
    if anchor.pid.is_some() && anchor.pid == pid && is_time {
        return Some(Bond::Process);
    }
    if is_known_by_id(entry.record.source)
        && let Some(pod) = named()
        && let (Some(told), Some(id)) = (&entry.record.names.container_id, &pod.container_id)
    {
        return (told == id).then_some(Bond::Names);
    }
    if entry.record.source == PodSource::Kubernetes
        && let Some(pod) = named()
        && pod.source < PodSource::Kubernetes
    {
        return is_called(entry, &pod).then_some(Bond::Names);
    }
    if anchor.ended || entry.missing.is_some() || !is_time || !came_together(entry, tenant) {
        return None;
    }
    let has_interface = tenant.pods.iter().any(|pod| {
        pod.host_interface.as_ref().is_some_and(|interface| anchor.host_interfaces.contains(interface))
    });
    let mut addresses = tenant.pods.iter().flat_map(|pod| &pod.addresses).peekable();
    let unknown = anchor.addresses.is_empty() || addresses.peek().is_none();
    let has_address = addresses.any(|address| anchor.addresses.contains(address));
    match (anchor.host_interfaces.is_empty(), has_interface) {
        (false, true) => (has_address || unknown).then_some(Bond::Interface),
        (false, false) => None,
        (true, _) => has_address.then_some(Bond::Address),
    }
}

/// Engines list ids that control groups have in them, and often nothing else.
fn is_known_by_id(source: PodSource) -> bool {
    matches!(source, PodSource::Docker | PodSource::Podman)
}

/// A pod that was seen to come was made then, and not long before.
fn came_together(entry: &Entry, tenant: &Tenant) -> bool {
    let made = entry.record.anchor.created.unwrap_or(entry.heard);
    tenant.at_start || made + MADE_BEFORE >= tenant.since
}

/// The cluster's record has the names that the runtime gave.
fn is_called(entry: &Entry, pod: &Pod) -> bool {
    let names = &entry.record.names;
    match (&names.uid, &pod.uid) {
        (Some(told), Some(uid)) => told == uid,
        (_, _) => {
            names.name.is_some()
                && names.name == pod.name
                && agree(names.namespace.as_ref(), pod.namespace.as_ref())
                && !entry.record.anchor.ended
        }
    }
}

/// `/var/run` is `/run` by another name.
fn real_path(path: &str) -> &str {
    path.strip_prefix("/var").filter(|rest| rest.starts_with("/run/")).unwrap_or(path)
}

/// Whether a file's name ends in a UUID, or is one (`cni-UUID`, `netns-UUID`): no other namespace gets it.
fn is_unique(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let tail = name.len().checked_sub(36).and_then(|start| name.get(start..));
    tail.is_some_and(|uuid| {
        uuid.matches('-').count() == 4 && uuid.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
    })
}
