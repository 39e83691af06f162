//! By which device, and how large, the calling thread's namespace sends to a destination.
use super::connection::{Connection, NetlinkError};
use super::device::devices;
use super::route::route_towards;
use std::net::IpAddr;

/// The way out towards a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayOut {
    /// The device.
    pub interface: String,
    /// Its MTU in bytes at layer 3.
    pub mtu: u32,
    /// The route's own MTU, if it has one.
    pub route_mtu: Option<u32>,
}

/// The way out, as the routing table has it, whatever path MTUs were learned; `None` without a route.
///
/// # Errors
/// The kernel refuses the look-up.
pub fn way_out(destination: IpAddr) -> Result<Option<WayOut>, NetlinkError> {
    let mut connection = Connection::open()?;
    let Some(route) = route_towards(&mut connection, destination)? else { return Ok(None) };
    let device = devices(&mut connection, None)?.into_iter().find(|device| Some(device.ifindex) == route.oif);
    Ok(device.map(|device| WayOut { interface: device.name, mtu: device.mtu, route_mtu: route.mtu }))
}
