//! The address plan. Every network of the lab has the same one: namespaces keep them apart.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Version of the internet protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }

    /// Length of the IP header in bytes, without options.
    pub const fn header(self) -> u32 {
        match self {
            Self::V4 => 20,
            Self::V6 => 40,
        }
    }

    /// Prefix length of one host.
    pub const fn host_bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// Prefix length of one network in this plan.
    pub const fn network_bits(self) -> u8 {
        match self {
            Self::V4 => 16,
            Self::V6 => 64,
        }
    }
}

/// A network in the plan: `10.SITE.0.0/16` and `fd42:0:0:SITE::/64` for pods, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// Routed pods of the node.
    Routed,
    /// Pods on the node's bridge.
    Bridged,
    /// Routed pods of the second node.
    PeerRouted,
    /// Pods on the second node's bridge.
    PeerBridged,
    /// Node and fabric.
    NodeLink,
    /// Second node and fabric.
    PeerLink,
    /// Server and fabric.
    ServerLink,
    /// The fabric and the router.
    RouterLink,
    /// The router and the gateway: the link that may be smaller.
    GatewayLink,
    /// The gateway and the far host.
    FarLink,
    /// Service addresses; on no interface.
    Services,
}

impl Site {
    const fn number(self) -> u8 {
        match self {
            Self::Routed => 1,
            Self::PeerRouted => 2,
            Self::Bridged => 3,
            Self::PeerBridged => 4,
            Self::NodeLink => 101,
            Self::PeerLink => 102,
            Self::ServerLink => 109,
            Self::RouterLink => 110,
            Self::GatewayLink => 111,
            Self::FarLink => 112,
            Self::Services => 200,
        }
    }

    /// Address number `host` of this site.
    pub const fn address(self, family: Family, host: u16) -> IpAddr {
        let [high, low] = host.to_be_bytes();
        match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::new(10, self.number(), high, low)),
            Family::V6 => IpAddr::V6(Ipv6Addr::new(0xfd42, 0, 0, self.number() as u16, 0, 0, 0, host)),
        }
    }

    /// The site's prefix, as `ip route` takes it.
    pub fn prefix(self, family: Family) -> String {
        format!("{}/{}", self.address(family, 0), family.network_bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_prefixes() {
        assert_eq!(Site::Routed.address(Family::V4, 10).to_string(), "10.1.0.10");
        assert_eq!(Site::Routed.address(Family::V4, 266).to_string(), "10.1.1.10");
        assert_eq!(Site::Bridged.prefix(Family::V6), "fd42:0:0:3::/64");
    }
}
