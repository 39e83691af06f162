//! What a pod has in a namespace of its own.
use super::address::addresses;
use super::connection::{Connection, NetlinkError};
use super::device::devices;
use super::namespace_id::{NamespaceHandle, namespace_id};
use super::route::routes;
use super::underlay::resolve;
use probe_core::model::flow::Family;
use probe_core::model::interface::{Interface, Role};
use probe_core::model::topology::Topology;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd as _;

/// Links, addresses, tunnels and routes of the namespace that the calling thread has entered; `own` is a file of ours. A
/// device that sits on one of ours has that one's index as `lower`, and no interface has a role: it is not this node's.
pub fn inside(connection: &mut Connection, netns_inode: u32, own: &File) -> Result<Topology, NetlinkError> {
    let devices = devices(connection, None)?;
    // That listing gave us an id there, if any device leads to us (`rtnl_fill_link_netnsid`).
    let own_nsid = namespace_id(connection, NamespaceHandle::File(own.as_fd()))?;
    let mut topology = Topology { netns_inode, ..Topology::default() };
    let mut found_addresses = Vec::new();
    for family in [Family::Ipv4, Family::Ipv6] {
        found_addresses.extend(addresses(connection, family, None)?);
        topology.routes.extend(routes(connection, family)?);
    }
    let kinds: BTreeMap<u32, String> =
        devices.iter().map(|device| (device.ifindex, device.kind.clone())).collect();
    let mut tunnels = Vec::new();
    for device in devices {
        let is_here = device.link_nsid.is_some() && device.link_nsid == own_nsid;
        let is_its_own = device.link_nsid.is_none();
        let lower = device.link.filter(|_| device.is_stacked() && (is_here || is_its_own));
        let own = found_addresses.iter().filter(|address| address.ifindex == device.ifindex);
        let master_kind = device.master.and_then(|master| kinds.get(&master).cloned());
        if let Some(tunnel) = device.tunnel {
            tunnels.push((device.ifindex, device.kind.clone(), tunnel));
        }
        let interface = Interface {
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
            peer: None,
            table: device.table,
            tunnel: None,
            addresses: own.map(|address| (address.address, address.prefix_len)).collect(),
            counters: device.counters,
        };
        topology.interfaces.insert(interface.ifindex, interface);
    }
    for (ifindex, kind, tunnel) in tunnels {
        let tunnel = resolve(connection, &topology, ifindex, &kind, tunnel)?;
        if let Some(interface) = topology.interfaces.get_mut(&ifindex) {
            interface.tunnel = Some(tunnel);
        }
    }
    Ok(topology)
}
