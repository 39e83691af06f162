//! Routes of the observed namespace.
use super::flow::Family;
use std::net::IpAddr;

/// A route; a multipath route is one of these per next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Family.
    pub family: Family,
    /// Routing table.
    pub table: u32,
    /// Destination network; `None` is the default route.
    pub destination: Option<(IpAddr, u8)>,
    /// Metric (`RTA_PRIORITY`): of several routes to one network in a table the kernel takes the lowest.
    pub priority: u32,
    /// Device it leaves by; `None` for blackhole and the like.
    pub oif: Option<u32>,
    /// Next hop.
    pub gateway: Option<IpAddr>,
    /// MTU metric in bytes (`RTAX_MTU`).
    pub mtu: Option<u32>,
    /// The MTU metric is locked: no path MTU discovery on this route.
    pub mtu_locked: bool,
    /// Advertised MSS metric in bytes (`RTAX_ADVMSS`).
    pub advmss: Option<u32>,
    /// Unicast route (not local, broadcast, blackhole …).
    pub unicast: bool,
}

impl Route {
    /// Whether an address is in the destination network.
    pub fn covers(&self, address: IpAddr) -> bool {
        match (self.destination, self.family) {
            (None, family) => family == Family::of(address),
            (Some((network, length)), _) => prefix_covers(network, length, address),
        }
    }

    /// Length of the destination prefix.
    pub fn prefix_len(&self) -> u8 {
        self.destination.map_or(0, |(_, length)| length)
    }
}

/// Whether `address` begins with the first `length` bits of `network`.
pub fn prefix_covers(network: IpAddr, length: u8, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}
