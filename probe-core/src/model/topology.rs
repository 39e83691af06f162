//! A snapshot of everything that an MTU depends on.
use super::interface::{Interface, Role};
use super::overhead;
use super::pod::Pod;
use super::route::Route;
use super::rule::Rule;
use super::settings::Settings;
use super::vswitch::Vswitch;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Links, routes and pods of the observed namespace at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Inode of the observed network namespace.
    pub netns_inode: u32,
    /// Interfaces by ifindex.
    pub interfaces: BTreeMap<u32, Interface>,
    /// Routes of all tables and both families.
    pub routes: Vec<Route>,
    /// Rules of policy routing; none where they are not known.
    pub rules: Vec<Rule>,
    /// Datapaths of Open vSwitch; none where they are not known.
    pub vswitches: Vec<Vswitch>,
    /// Pods reachable from here.
    pub pods: Vec<Pod>,
    /// Pods that went a short while ago: what was seen of their last moments is theirs.
    pub departed: Vec<Pod>,
    /// Settings by inode of the network namespace: of the observed one and, where it is known, of each pod's.
    pub settings: BTreeMap<u32, Settings>,
}

impl Topology {
    /// An interface by index.
    pub fn interface(&self, ifindex: u32) -> Option<&Interface> {
        self.interfaces.get(&ifindex)
    }

    /// An interface by name.
    pub fn interface_named(&self, name: &str) -> Option<&Interface> {
        self.interfaces.values().find(|interface| interface.name == name)
    }

    /// The pod behind a host interface.
    pub fn pod_behind(&self, host_ifindex: u32) -> Option<&Pod> {
        self.pods.iter().find(|pod| pod.host_ifindex == Some(host_ifindex))
    }

    /// The pod with an address.
    pub fn pod_with_address(&self, address: IpAddr) -> Option<&Pod> {
        self.pods.iter().find(|pod| pod.addresses.contains(&address))
    }

    /// The pod that lives in a network namespace.
    pub fn pod_in_netns(&self, inode: u32) -> Option<&Pod> {
        self.pods.iter().find(|pod| pod.netns_inode == Some(inode))
    }

    /// Settings of a pod's network namespace; `None` asks for the observed one. `None` if they are not known.
    pub fn settings_of(&self, pod: Option<&Pod>) -> Option<&Settings> {
        let inode = pod.map_or(Some(self.netns_inode), |pod| pod.netns_inode)?;
        self.settings.get(&inode)
    }

    /// Whether an address is one of this node's own (not a pod's).
    pub fn is_own_address(&self, address: IpAddr) -> bool {
        self.interfaces.values().any(|interface| interface.addresses.iter().any(|(own, _)| *own == address))
    }

    /// The interfaces of a role.
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = &Interface> {
        self.interfaces.values().filter(move |interface| interface.role == role)
    }

    /// The unicast routes that cover an address, the most specific first.
    pub fn routes_to(&self, address: IpAddr) -> Vec<&Route> {
        let mut routes: Vec<&Route> =
            self.routes.iter().filter(|route| route.unicast && route.covers(address)).collect();
        routes.sort_by_key(|route| std::cmp::Reverse(route.prefix_len()));
        routes
    }

    /// Largest packet in bytes that leaves whole by a device: its MTU, or for a tunnel also the underlay's MTU less the
    /// overhead.
    pub fn device_limit(&self, interface: &Interface) -> u32 {
        let underlay = interface.tunnel.as_ref().and_then(|tunnel| {
            let underlay = self.interface(tunnel.underlay?)?;
            overhead::largest_inner(underlay.mtu, tunnel.overhead?, tunnel.padding, interface.mtu)
        });
        underlay.map_or(interface.mtu, |limit| limit.min(interface.mtu))
    }
}
