//! Pods on devices that sit on one of ours (macvlan, ipvlan). Nothing here tells of them: the parent does not list its
//! children in other namespaces, so that those namespaces are looked at instead.
use super::connection::Connection;
use super::far_namespace::{FarDevice, FarNamespace, Leads};
use super::namespace_id::{NamespaceHandle, give_namespace_id};
use super::visit::visit;
use crate::attribution::{NamespaceIdentity, NamespaceIndex, stacked_pod};
use probe_core::model::pod::Pod;
use probe_core::model::roles::WayBack;
use std::fs::File;
use std::os::fd::AsFd as _;

/// What looking takes.
pub struct Sight<'a> {
    /// Our own requests.
    pub connection: &'a mut Connection,
    /// A file of our namespace.
    pub own_namespace: &'a File,
    /// Its inode number.
    pub own_inode: u32,
    /// What we are called in targeted replies.
    pub own_nsid: Option<i32>,
    /// Other namespaces may be entered (`CAP_SYS_ADMIN`).
    pub may_visit: bool,
}

impl Sight<'_> {
    /// The pods on devices that sit on ours.
    pub fn stacked_pods(mut self, namespaces: &NamespaceIndex) -> Vec<Pod> {
        let strangers = namespaces.strangers(self.own_inode);
        strangers.iter().filter_map(|stranger| self.pod_in(stranger)).collect()
    }

    fn pod_in(&mut self, stranger: &NamespaceIdentity) -> Option<Pod> {
        let namespace = self.read(stranger)?;
        let way_back = matches!(namespace.way_back(), WayBack::DefaultRoute | WayBack::OnlyWay);
        let device = namespace.devices.iter().find(|device| is_stacked_here(device)).filter(|_| way_back)?;
        let addresses = namespace.addresses.iter().filter(|address| address.ifindex == device.ifindex);
        let addresses: Vec<_> = addresses.map(|address| address.address).collect();
        Some(stacked_pod(stranger, &device.name, device.mtu, &addresses))
    }

    fn read(&mut self, stranger: &NamespaceIdentity) -> Option<FarNamespace> {
        let file = stranger.open()?;
        if self.may_visit {
            let own = self.own_namespace;
            return visit(&file, || FarNamespace::read_entered(own)).ok()?.ok();
        }
        // An id is a mark that we leave on a namespace of which nothing yet says that it is of this node.
        if !stranger.is_named_by_runtime() {
            return None;
        }
        let nsid = give_namespace_id(self.connection, NamespaceHandle::File(file.as_fd())).ok()??;
        FarNamespace::read(self.connection, nsid, self.own_nsid).ok()
    }
}

fn is_stacked_here(device: &FarDevice) -> bool {
    matches!(device.leads, Leads::Here(_))
        && device.up
        && matches!(device.kind.as_str(), "macvlan" | "macvtap" | "ipvlan" | "ipvtap" | "vlan")
}
