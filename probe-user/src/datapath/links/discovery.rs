//! One snapshot of everything that an MTU depends on.
use super::address::{InterfaceAddress, addresses};
use super::connection::{Connection, NetlinkError};
use super::device::{Device, devices};
use super::far_namespace::{FarNamespace, Leads, read_default_routes};
use super::forwarding::port_of;
use super::namespace_id::{NamespaceHandle, give_namespace_id};
use super::route::routes;
use super::rule::rules;
use super::stacked::Sight;
use super::underlay::resolve;
use super::visit::visit;
use super::vswitch::{Switching, switching};
use crate::attribution::{NamespaceIndex, is_link_local, pods};
use probe_core::model::flow::Family;
use probe_core::model::interface::{Interface, Peer, Role};
use probe_core::model::pod::Pod;
use probe_core::model::roles::{self, Surroundings, WayBack};
use probe_core::model::route::Route;
use probe_core::model::topology::Topology;
use probe_core::model::vswitch;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::os::linux::fs::MetadataExt as _;

/// Reads snapshots of the network namespace that it was made in.
#[derive(Debug)]
pub struct Discovery {
    connection: Connection,
    own_namespace: File,
    own_inode: u32,
    /// What we are called in targeted replies; `None` without `CAP_NET_ADMIN`.
    own_nsid: Option<i32>,
    namespaces: NamespaceIndex,
    /// Namespaces read before, until they are forgotten.
    far: BTreeMap<i32, FarNamespace>,
    may_visit: bool,
    /// Pods without an interface of ours, until they are forgotten.
    stacked: Option<Vec<Pod>>,
}

impl Discovery {
    /// A reader of the calling thread's network namespace.
    pub fn new() -> Result<Self, NetlinkError> {
        let failed =
            |source| NetlinkError::Socket { operation: "open our network namespace".to_owned(), source };
        let own_namespace = File::open("/proc/thread-self/ns/net").map_err(failed)?;
        let own_inode = own_namespace.metadata().map_err(failed)?.st_ino();
        let mut connection = Connection::open()?;
        let own_nsid =
            give_namespace_id(&mut connection, NamespaceHandle::File(own_namespace.as_fd())).unwrap_or(None);
        Ok(Self {
            connection,
            own_namespace,
            // The kernel keeps it in 32 bits (`struct ns_common`).
            own_inode: u32::try_from(own_inode).unwrap_or(0),
            own_nsid,
            namespaces: NamespaceIndex::default(),
            far: BTreeMap::new(),
            may_visit: true,
            stacked: None,
        })
    }

    /// Reads everything. What was read of other namespaces before is used again until it is forgotten.
    pub fn snapshot(&mut self) -> Result<Topology, NetlinkError> {
        let devices = devices(&mut self.connection, None)?;
        let mut found_addresses = Vec::new();
        let mut found_routes = Vec::new();
        let mut found_rules = Vec::new();
        for family in [Family::Ipv4, Family::Ipv6] {
            found_addresses.extend(addresses(&mut self.connection, family, None)?);
            found_routes.extend(routes(&mut self.connection, family)?);
            found_rules.extend(rules(&mut self.connection, family)?);
        }
        self.read_namespaces(&devices, &found_routes);

        let switching = read_switching(&devices);
        let mut topology = Topology {
            netns_inode: self.own_inode,
            routes: found_routes,
            rules: found_rules,
            vswitches: switching.vswitches,
            ..Topology::default()
        };
        let kinds: BTreeMap<u32, String> =
            devices.iter().map(|device| (device.ifindex, device.kind.clone())).collect();
        let mut tunnels = Vec::new();
        for device in devices {
            if let Some(tunnel) = &device.tunnel {
                tunnels.push((device.ifindex, device.kind.clone(), tunnel.clone()));
            }
            let interface = self.interface(device, &kinds, &found_addresses);
            topology.interfaces.insert(interface.ifindex, interface);
        }
        self.name_local_peers(&mut topology);
        for (ifindex, kind, mut tunnel) in tunnels {
            if let Some(asked) = switching.tunnels.get(&ifindex) {
                tunnel.take_flows(asked);
            }
            let tunnel = resolve(&mut self.connection, &topology, ifindex, &kind, tunnel)?;
            if let Some(interface) = topology.interfaces.get_mut(&ifindex) {
                interface.tunnel = Some(tunnel);
            }
        }
        let surroundings = self.surroundings(&topology);
        roles::assign(&mut topology, &surroundings);
        topology.pods = pods(&topology, &self.namespaces);
        topology.pods.extend(self.stacked_pods().iter().cloned());
        Ok(topology)
    }

    /// Forgets what was read of the namespace that an interface leads to: one of its ends changed.
    pub fn forget_behind(&mut self, ifindex: u32) {
        self.far.retain(|_, namespace| {
            !namespace.devices.iter().any(|device| device.leads == Leads::Here(ifindex))
        });
    }

    /// Forgets what was read of the namespace with an id: it changed, or the id is another's now. False if nothing
    /// was.
    pub fn forget_namespace(&mut self, nsid: i32) -> bool {
        self.far.remove(&nsid).is_some()
    }

    /// Forgets what was read of namespaces that may be pods in the making.
    pub fn forget_undecided(&mut self, topology: &Topology) {
        for nsid in undecided(topology) {
            self.far.remove(&nsid);
        }
    }

    /// Whether some link leads to what may be a pod in the making.
    pub fn has_undecided(topology: &Topology) -> bool {
        undecided(topology).next().is_some()
    }

    /// Forgets all that was read of other namespaces.
    pub fn forget_all(&mut self) {
        self.far.clear();
        self.stacked = None;
    }

    /// Netlink messages that could not be decoded since the last call.
    pub fn take_undecodable(&mut self) -> u64 {
        self.connection.take_undecodable()
    }

    fn stacked_pods(&mut self) -> &[Pod] {
        let Self { connection, own_namespace, own_inode, own_nsid, namespaces, may_visit, stacked, .. } =
            self;
        stacked.get_or_insert_with(|| {
            let (own_inode, own_nsid, may_visit) = (*own_inode, *own_nsid, *may_visit);
            Sight { connection, own_namespace, own_inode, own_nsid, may_visit }.stacked_pods(namespaces)
        })
    }

    fn read_namespaces(&mut self, devices: &[Device], routes: &[Route]) {
        let mut ends: BTreeMap<i32, Vec<&Device>> = BTreeMap::new();
        for device in devices.iter().filter(|device| device.is_pair()) {
            if let Some(nsid) = device.link_nsid.filter(|&nsid| nsid >= 0) {
                ends.entry(nsid).or_default().push(device);
            }
        }
        self.namespaces.refresh(&mut self.connection, &ends.keys().copied().collect());
        self.far.retain(|nsid, namespace| {
            ends.get(nsid).is_some_and(|ends| ends.iter().all(|end| knows_end(namespace, end)))
        });
        for (nsid, ends) in ends {
            if !self.far.contains_key(&nsid)
                && let Some(namespace) = self.read_namespace(nsid)
            {
                self.far.insert(nsid, namespace);
            }
            let leads_to_router = |route: &Route| {
                let gateway = route.gateway.is_some_and(|gateway| self.has_address(nsid, gateway));
                gateway || route.gateway.is_some() && ends.iter().any(|end| route.oif == Some(end.ifindex))
            };
            let is_router = routes.iter().any(leads_to_router);
            self.prove_way_back(nsid, is_router);
        }
    }

    fn has_address(&self, nsid: i32, address: IpAddr) -> bool {
        self.far
            .get(&nsid)
            .is_some_and(|namespace| namespace.addresses.iter().any(|own| own.address == address))
    }

    fn read_namespace(&mut self, nsid: i32) -> Option<FarNamespace> {
        match FarNamespace::read(&mut self.connection, nsid, self.own_nsid) {
            Ok(namespace) => Some(namespace),
            Err(error) if error.is_permission() => self.enter(nsid, FarNamespace::read_entered)?.ok(),
            // It is gone, or going: the next event tells.
            Err(_) => None,
        }
    }

    /// Reads the default routes of a namespace whose devices alone do not tell whether it is a pod's.
    fn prove_way_back(&mut self, nsid: i32, is_router: bool) {
        let Some(namespace) = self.far.get(&nsid) else { return };
        let doubtful = namespace.way_back() == WayBack::Unknown || is_router;
        if namespace.default_routes.is_some() || !doubtful {
            return;
        }
        let defaults =
            self.enter(nsid, |_| read_default_routes(&mut Connection::open().ok()?).ok()).flatten();
        if let Some(namespace) = self.far.get_mut(&nsid) {
            namespace.default_routes = defaults;
        }
    }

    /// Runs `work` in a namespace where we may and where a file of it is known.
    fn enter<T: Send>(&mut self, nsid: i32, work: impl FnOnce(&File) -> T + Send) -> Option<T> {
        if !self.may_visit {
            return None;
        }
        let file = self.namespaces.open(&mut self.connection, nsid)?;
        let own = &self.own_namespace;
        match visit(&file, || work(own)) {
            Ok(result) => Some(result),
            Err(error) => {
                self.may_visit = error.kind() != io::ErrorKind::PermissionDenied;
                None
            }
        }
    }

    fn interface(
        &self,
        device: Device,
        kinds: &BTreeMap<u32, String>,
        addresses: &[InterfaceAddress],
    ) -> Interface {
        let peer =
            device.link.filter(|_| device.is_pair()).map(|ifindex| self.peer(ifindex, device.link_nsid));
        let lower = device.link.filter(|_| device.is_stacked() && device.link_nsid.is_none());
        let master_kind = device.master.and_then(|master| kinds.get(&master).cloned());
        let own = addresses.iter().filter(|address| address.ifindex == device.ifindex);
        Interface {
            ifindex: device.ifindex,
            name: device.name,
            kind: device.kind,
            mtu: device.mtu,
            ipv6_mtu: device.ipv6_mtu,
            min_mtu: device.min_mtu,
            max_mtu: device.max_mtu,
            up: device.up,
            ethernet: device.ethernet,
            role: Role::Link,
            master: device.master,
            master_kind: master_kind.or(device.master_kind),
            lower,
            peer,
            table: device.table,
            tunnel: None,
            addresses: own.map(|address| (address.address, address.prefix_len)).collect(),
            counters: device.counters,
        }
    }

    fn peer(&self, ifindex: u32, nsid: Option<i32>) -> Peer {
        let mut peer = Peer { ifindex, nsid, ..Peer::default() };
        let Some(namespace) = nsid.and_then(|nsid| self.far.get(&nsid)) else { return peer };
        if let Some(device) = namespace.device(ifindex) {
            peer.name = Some(device.name.clone());
            peer.mtu = Some(device.mtu);
            peer.counters = Some(device.counters);
            let addresses = namespace.addresses.iter().filter(|address| address.ifindex == ifindex);
            peer.addresses = addresses.map(|address| address.address).collect();
        }
        peer
    }

    /// Completes the other ends that are in our own namespace.
    fn name_local_peers(&self, topology: &mut Topology) {
        let ends: BTreeMap<u32, (String, u32, Vec<IpAddr>)> = topology
            .interfaces
            .values()
            .map(|end| {
                let addresses = end.addresses.iter().map(|(address, _)| *address).collect();
                (end.ifindex, (end.name.clone(), end.mtu, addresses))
            })
            .collect();
        for peer in topology.interfaces.values_mut().filter_map(|interface| interface.peer.as_mut()) {
            if peer.nsid.is_none()
                && let Some((name, mtu, addresses)) = ends.get(&peer.ifindex)
            {
                peer.name = Some(name.clone());
                peer.mtu = Some(*mtu);
                peer.addresses = addresses.clone();
            }
        }
    }

    fn surroundings(&mut self, topology: &Topology) -> Surroundings {
        Surroundings {
            namespaces: self.far.iter().map(|(&nsid, namespace)| (nsid, namespace.way_back())).collect(),
            recorded: self.namespaces.recorded(),
            router_ports: self.router_ports(topology),
        }
    }

    /// The ports of bridges behind which our routers are. Only veth ports are doubtful: hardware leads outside anyway.
    fn router_ports(&mut self, topology: &Topology) -> BTreeSet<u32> {
        let mut ports = BTreeSet::new();
        for route in topology.routes.iter().filter(|route| route.unicast && route.destination.is_none()) {
            let (Some(bridge), Some(gateway)) = (route.oif, route.gateway) else { continue };
            let is_bridge = topology.interface(bridge).is_some_and(|interface| interface.kind == "bridge");
            if is_bridge {
                // Not learned is not wrong: the bridge has not heard of it yet.
                ports.extend(port_of(&mut self.connection, bridge, gateway).ok().flatten());
            }
        }
        ports
    }
}

/// The datapaths of Open vSwitch, where there are any. Refused or gone meanwhile: what its ports are is known all the same.
fn read_switching(devices: &[Device]) -> Switching {
    let is_used = devices.iter().any(|device| device.kind == vswitch::KIND);
    if is_used { switching().unwrap_or_default() } else { Switching::default() }
}

/// Namespaces at the other end of plain links and of pods without an address.
fn undecided(topology: &Topology) -> impl Iterator<Item = i32> {
    topology.interfaces.values().filter_map(|interface| {
        let peer = interface.peer.as_ref()?;
        let is_ready = match interface.role {
            Role::Pod => peer.addresses.iter().any(|address| !is_link_local(*address)),
            Role::Link | Role::Port => false,
            Role::Overlay | Role::Bridge | Role::Uplink => true,
        };
        peer.nsid.filter(|_| !is_ready)
    })
}

/// Whether what was read of a namespace still tells of this end's other end.
fn knows_end(namespace: &FarNamespace, end: &Device) -> bool {
    end.link
        .and_then(|ifindex| namespace.device(ifindex))
        .is_some_and(|device| device.leads == Leads::Here(end.ifindex))
}
