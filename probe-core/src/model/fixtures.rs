//! Interfaces and routes for the tests of the model.
use super::flow::Family;
use super::interface::{Interface, OuterDf, Peer, Role, Tunnel};
use super::route::Route;
use super::topology::Topology;
use std::net::IpAddr;

/// A device that is up.
pub fn device(ifindex: u32, name: &str, kind: &str, mtu: u32) -> Interface {
    Interface::plain(ifindex, name, kind, mtu, Role::Link)
}

/// A veth whose other end is in the namespace with an id, or here.
pub fn pair(ifindex: u32, name: &str, nsid: Option<i32>, mtu: u32, peer_mtu: u32) -> Interface {
    let peer = Peer { ifindex: 2, nsid, mtu: Some(peer_mtu), ..Peer::default() };
    Interface { peer: Some(peer), ..device(ifindex, name, "veth", mtu) }
}

/// A tunnel that adds 50 bytes.
pub fn tunnel(ifindex: u32, name: &str, kind: &str, mtu: u32, underlay: Option<u32>) -> Interface {
    let tunnel = Tunnel {
        overhead: Some(50),
        underlay,
        df: OuterDf::Unset,
        port: None,
        padding: None,
        local: None,
        metadata: false,
        remotes: Vec::new(),
    };
    Interface { tunnel: Some(tunnel), ..device(ifindex, name, kind, mtu) }
}

/// A port of a bridge or bond.
pub fn enslaved(interface: Interface, master: u32, kind: &str) -> Interface {
    Interface { master: Some(master), master_kind: Some(kind.to_owned()), ..interface }
}

/// A route of the main table to `default` or a network.
pub fn route(destination: &str, oif: u32, gateway: Option<&str>) -> Route {
    let destination = destination.split_once('/').map(|(address, length)| {
        (address.parse::<IpAddr>().expect("an address"), length.parse().expect("a length"))
    });
    let gateway = gateway.map(|address| address.parse::<IpAddr>().expect("an address"));
    let family = destination.map(|(address, _)| address).or(gateway).map_or(Family::Ipv4, Family::of);
    Route {
        family,
        table: 254,
        destination,
        priority: 0,
        oif: Some(oif),
        gateway,
        mtu: None,
        mtu_locked: false,
        advmss: None,
        unicast: true,
    }
}

/// All together.
pub fn topology(interfaces: Vec<Interface>, routes: Vec<Route>) -> Topology {
    let interfaces = interfaces.into_iter().map(|interface| (interface.ifindex, interface)).collect();
    Topology { interfaces, routes, ..Topology::default() }
}
