//! One pod, and when it was there.
use crate::model::Time;
use crate::model::pod::Pod;
use std::collections::BTreeSet;

/// A pod that is here, or went a short while ago.
#[derive(Clone, Debug)]
pub(super) struct Tenant {
    /// Its number.
    pub tenancy: u64,
    /// When it was first seen.
    pub since: Time,
    /// When it was first seen to be gone.
    pub until: Option<Time>,
    /// It was there when the observation began: nobody knows since when.
    pub at_start: bool,
    /// Each of its interfaces, as the topology showed it last.
    pub pods: Vec<Pod>,
}

impl Tenant {
    pub fn new(tenancy: u64, since: Time, at_start: bool) -> Self {
        Self { tenancy, since, until: None, at_start, pods: Vec::new() }
    }

    /// Whether an interface is one that this pod has had, and still has.
    pub fn is_end_of(&self, pod: &Pod, removed: &BTreeSet<u32>) -> bool {
        self.pods.iter().any(|end| match (end.host_ifindex, pod.host_ifindex) {
            (Some(old), Some(new)) => {
                old == new
                    && !removed.contains(&new)
                    && agree(end.netns_inode, pod.netns_inode)
                    && end.host_interface == pod.host_interface
            }
            (None, None) => {
                end.netns_inode == pod.netns_inode
                    && end.netns == pod.netns
                    && end.pod_interface == pod.pod_interface
                    && agree(end.pid, pod.pid)
            }
            (None, Some(_)) | (Some(_), None) => false,
        })
    }

    /// Whether a pod is in the same network namespace.
    pub fn shares_namespace(&self, pod: &Pod) -> bool {
        pod.netns_inode.is_some() && self.pods.iter().any(|end| end.netns_inode == pod.netns_inode)
    }

    /// Whether it was there at a time.
    pub fn was_there(&self, time: Time) -> bool {
        (self.at_start || self.since <= time) && self.until.is_none_or(|until| time <= until)
    }
}

/// Equal, as far as both are known.
pub(super) fn agree<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other,
        (None, _) | (_, None) => true,
    }
}
