//! Addresses of a namespace.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums grow with the kernel; what is not asked for is skipped"
)]
use super::connection::{Connection, NetlinkError};
use super::family_number;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use probe_core::model::flow::Family;
use std::net::IpAddr;

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// Index of the interface in its namespace.
    pub ifindex: u32,
    /// The interface's own address.
    pub address: IpAddr,
    /// Length of the network's prefix.
    pub prefix_len: u8,
}

/// The addresses of one family: of the socket's own namespace, or of the one with an id (`CAP_NET_ADMIN`).
pub fn addresses(
    connection: &mut Connection,
    family: Family,
    nsid: Option<i32>,
) -> Result<Vec<InterfaceAddress>, NetlinkError> {
    let mut request = AddressMessage::default();
    request.header.family = family_number(family);
    request.attributes.extend(nsid.map(AddressAttribute::TargetNetNsId));
    let object = format_args!("{} addresses{}", family.name(), super::in_namespace(nsid)).to_string();
    let answer = connection.dump(&object, RouteNetlinkMessage::GetAddress(request))?;
    Ok(answer.into_iter().filter_map(read).collect())
}

fn read(message: RouteNetlinkMessage) -> Option<InterfaceAddress> {
    let RouteNetlinkMessage::NewAddress(message) = message else { return None };
    let (mut local, mut address) = (None, None);
    for attribute in message.attributes {
        match attribute {
            // On a point-to-point link `IFA_ADDRESS` is the other end.
            AddressAttribute::Local(found) => local = Some(found),
            AddressAttribute::Address(found) => address = Some(found),
            _ => {}
        }
    }
    let (ifindex, prefix_len) = (message.header.index, message.header.prefix_len);
    Some(InterfaceAddress { ifindex, address: local.or(address)?, prefix_len })
}
