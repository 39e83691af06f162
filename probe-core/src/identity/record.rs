//! What one source says of one sandbox.
use crate::model::Time;
use crate::model::pod::{Container, Owner, PodSource};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What one source says of one sandbox (a pod, or a container with a network namespace of its own).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who says it.
    pub source: PodSource,
    /// What the source calls it: the same sandbox has the same id always, and no other has it ever.
    pub id: String,
    /// Its names.
    pub names: Names,
    /// What it can be recognized by.
    pub anchor: Anchor,
}

/// Names of a sandbox; what is not told is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Kubernetes namespace.
    pub namespace: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Kubernetes uid.
    pub uid: Option<String>,
    /// Container (sandbox) id.
    pub container_id: Option<String>,
    /// Containers in it.
    pub containers: Vec<Container>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// What made it.
    pub owner: Option<Owner>,
}

/// What a sandbox can be recognized by; what is not told is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anchor {
    /// File that its network namespace is bound to.
    pub netns: Option<String>,
    /// Inode number of its network namespace, as it was when the source was asked.
    pub netns_inode: Option<u32>,
    /// A process in it that was seen to be its own.
    pub pid: Option<u32>,
    /// The node's interfaces that lead to it.
    pub host_interfaces: Vec<String>,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
    /// When it was made.
    pub created: Option<Time>,
    /// It has ended: its addresses may be another's.
    pub ended: bool,
}

impl Anchor {
    /// Something of it was seen when the source was asked.
    pub(super) fn is_present(&self) -> bool {
        self.netns_inode.is_some() || self.pid.is_some() || !self.ended
    }
}

impl Record {
    /// Takes in what the source says now. What it can no longer see of a sandbox that ended was true before.
    pub(super) fn update(&mut self, news: Self) {
        let Self { source: _, id: _, names, anchor } = news;
        let before = std::mem::replace(&mut self.anchor, anchor);
        let anchor = &mut self.anchor;
        anchor.netns = anchor.netns.take().or(before.netns);
        anchor.netns_inode = anchor.netns_inode.or(before.netns_inode);
        anchor.pid = anchor.pid.or(before.pid);
        if anchor.host_interfaces.is_empty() {
            anchor.host_interfaces = before.host_interfaces;
        }
        if anchor.addresses.is_empty() {
            anchor.addresses = before.addresses;
        }
        self.names = names;
    }
}
