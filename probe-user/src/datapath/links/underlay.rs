//! Where the outer packets of a tunnel go.
use super::connection::{Connection, NetlinkError};
use super::forwarding::remotes;
use super::route::device_towards;
use super::tunnel::TunnelDevice;
use super::wireguard;
use probe_core::model::flow::Family;
use probe_core::model::interface::{Interface, Tunnel};
use probe_core::model::route::Route;
use probe_core::model::topology::Topology;
use std::net::IpAddr;

/// Remote endpoints that are asked for their route, per tunnel: they rarely leave by different devices.
const REMOTES_ASKED: usize = 8;

/// Completes a tunnel by its remote endpoints and its underlay: the device that it is bound to, else the smallest one
/// that a remote endpoint is reached by, else the owner of its local address, else the device of the default route.
pub fn resolve(
    connection: &mut Connection,
    topology: &Topology,
    ifindex: u32,
    kind: &str,
    mut tunnel: TunnelDevice,
) -> Result<Tunnel, NetlinkError> {
    if kind == "vxlan" {
        tunnel.remotes.extend(remotes(connection, ifindex)?);
        tunnel.remotes.sort_unstable();
        tunnel.remotes.dedup();
    }
    let mut mark = 0;
    if kind == "wireguard" {
        // Refused or gone meanwhile: then the default route tells of its underlay.
        let found = wireguard::endpoints(ifindex).unwrap_or_default();
        mark = found.mark;
        let port = found.peers.first().map(|(_, port)| *port);
        tunnel.port = port.filter(|port| found.peers.iter().all(|(_, other)| other == port));
        tunnel.remotes.extend(found.peers.iter().map(|(address, _)| *address));
        tunnel.remotes.dedup();
    }
    let mut underlay = tunnel.lower;
    if underlay.is_none() {
        underlay = smallest_device_towards(connection, topology, ifindex, &tunnel.remotes, mark)?;
    }
    let underlay = underlay
        .or_else(|| owner(topology, tunnel.local?))
        .or_else(|| default_device(topology, ifindex, tunnel.family()));
    let family = tunnel.family().unwrap_or_else(|| default_family(topology, ifindex));
    Ok(tunnel.over(family, underlay))
}

fn smallest_device_towards(
    connection: &mut Connection,
    topology: &Topology,
    tunnel: u32,
    remotes: &[IpAddr],
    mark: u32,
) -> Result<Option<u32>, NetlinkError> {
    let mut smallest = None;
    for &remote in remotes.iter().filter(|remote| !remote.is_multicast()).take(REMOTES_ASKED) {
        let found = device_towards(connection, remote, mark)?
            .filter(|&found| found != tunnel)
            .and_then(|found| topology.interface(found));
        smallest = smallest.into_iter().chain(found).min_by_key(|device: &&Interface| device.mtu);
    }
    Ok(smallest.map(|device| device.ifindex))
}

fn owner(topology: &Topology, address: IpAddr) -> Option<u32> {
    let owns = |interface: &&Interface| interface.addresses.iter().any(|(own, _)| *own == address);
    topology
        .interfaces
        .values()
        .filter(|interface| interface.name != "lo")
        .find(owns)
        .map(|owner| owner.ifindex)
}

fn default_routes(topology: &Topology, tunnel: u32) -> impl Iterator<Item = &Route> {
    topology
        .routes
        .iter()
        .filter(move |route| route.unicast && route.destination.is_none() && route.oif != Some(tunnel))
}

fn default_device(topology: &Topology, tunnel: u32, family: Option<Family>) -> Option<u32> {
    default_routes(topology, tunnel).find(|route| family.is_none_or(|family| family == route.family))?.oif
}

/// Outer packets to nobody yet known: IPv4 where there is an IPv4 way out.
fn default_family(topology: &Topology, tunnel: u32) -> Family {
    default_routes(topology, tunnel).map(|route| route.family).min().unwrap_or(Family::Ipv4)
}
