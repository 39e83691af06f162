//! Links, addresses, routes and what is at the other end of each veth, over netlink.
//!
//! [`Discovery`] reads one snapshot; [`Monitor`] keeps reading as the kernel tells of changes. Both block and belong to
//! the network namespace of the thread that made them.
mod address;
mod connection;
mod device;
mod discovery;
mod exception;
mod far_namespace;
mod forwarding;
mod generic;
mod inside;
mod listener;
mod monitor;
mod namespace_id;
mod notification;
mod pace;
mod route;
mod rule;
mod stacked;
mod tunnel;
mod underlay;
mod visit;
mod vswitch;
mod way_out;
mod wireguard;

pub use connection::{Connection, NetlinkError};
pub use discovery::Discovery;
pub use exception::pmtu_exceptions;
pub use inside::inside;
pub use monitor::{LinksResult, LinksUpdate, Monitor, MonitorOptions};
pub use namespace_id::{NamespaceHandle, namespace_id};
pub use route::locked_routes;
pub use visit::{tour, visit};
pub use way_out::{WayOut, way_out};

use netlink_packet_route::AddressFamily;
use probe_core::model::flow::Family;

fn family_number(family: Family) -> AddressFamily {
    match family {
        Family::Ipv4 => AddressFamily::Inet,
        Family::Ipv6 => AddressFamily::Inet6,
    }
}

/// Names a target namespace in an error.
fn in_namespace(nsid: Option<i32>) -> String {
    nsid.map(|nsid| format!(" of namespace id {nsid}")).unwrap_or_default()
}
