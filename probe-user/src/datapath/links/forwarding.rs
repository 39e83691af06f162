//! Forwarding and neighbour entries: where a vxlan device sends, and behind which port of a bridge a router is.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums grow with the kernel; what is not asked for is skipped"
)]
use super::connection::{Connection, NetlinkError};
use super::family_number;
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use probe_core::model::flow::Family;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The remote endpoints in a vxlan device's forwarding database, without wildcards.
pub fn remotes(connection: &mut Connection, vxlan: u32) -> Result<Vec<IpAddr>, NetlinkError> {
    let mut request = NeighbourMessage::default();
    request.header.family = AddressFamily::Bridge;
    // `valid_fdb_dump_strict` takes the device from the header.
    request.header.ifindex = vxlan;
    let object = format!("forwarding entries of interface {vxlan}");
    let mut remotes: Vec<IpAddr> = entries(connection, &object, request)?
        .iter()
        .filter(|entry| entry.header.ifindex == vxlan)
        .flat_map(|entry| entry.attributes.iter().filter_map(destination))
        .filter(|address| !address.is_unspecified())
        .collect();
    remotes.sort_unstable();
    remotes.dedup();
    Ok(remotes)
}

/// The port of a bridge behind which the neighbour with an address is, if the bridge has learned it.
pub fn port_of(
    connection: &mut Connection,
    bridge: u32,
    neighbour: IpAddr,
) -> Result<Option<u32>, NetlinkError> {
    let mut request = NeighbourMessage::default();
    request.header.family = family_number(Family::of(neighbour));
    request.attributes.push(NeighbourAttribute::IfIndex(bridge));
    let object = format!("neighbours on interface {bridge}");
    let hardware = entries(connection, &object, request)?
        .iter()
        .filter(|entry| entry.header.ifindex == bridge)
        .find(|entry| entry.attributes.iter().any(|attribute| destination(attribute) == Some(neighbour)))
        .and_then(hardware_address);
    let Some(hardware) = hardware else { return Ok(None) };

    let mut request = NeighbourMessage::default();
    request.header.family = AddressFamily::Bridge;
    request.attributes.push(NeighbourAttribute::Controller(bridge));
    let object = format!("forwarding entries of bridge {bridge}");
    Ok(entries(connection, &object, request)?
        .iter()
        .find(|entry| entry.header.ifindex != bridge && hardware_address(entry).as_ref() == Some(&hardware))
        .map(|entry| entry.header.ifindex))
}

fn entries(
    connection: &mut Connection,
    object: &str,
    request: NeighbourMessage,
) -> Result<Vec<NeighbourMessage>, NetlinkError> {
    let answer = connection.dump(&object, RouteNetlinkMessage::GetNeighbour(request))?;
    Ok(answer
        .into_iter()
        .filter_map(|message| match message {
            RouteNetlinkMessage::NewNeighbour(entry) => Some(entry),
            _ => None,
        })
        .collect())
}

fn hardware_address(entry: &NeighbourMessage) -> Option<Vec<u8>> {
    entry.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) => Some(bytes.clone()),
        _ => None,
    })
}

/// A forwarding entry belongs to `AF_BRIDGE`, so the decoder leaves its address raw.
fn destination(attribute: &NeighbourAttribute) -> Option<IpAddr> {
    match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some((*address).into()),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some((*address).into()),
        NeighbourAttribute::Destination(NeighbourAddress::Other(bytes)) => match bytes.len() {
            4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(&bytes[..]).ok()?).into()),
            16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[..]).ok()?).into()),
            _ => None,
        },
        _ => None,
    }
}
