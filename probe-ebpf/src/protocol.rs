//! IP protocol numbers (IANA).

/// ICMP.
pub const ICMP: u8 = 1;
/// IPv4 in IP.
pub const IPIP: u8 = 4;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// IPv6 in IP.
pub const IPV6: u8 = 41;
/// Generic routing encapsulation.
pub const GRE: u8 = 47;
/// ICMPv6.
pub const ICMPV6: u8 = 58;
/// IPv6 hop-by-hop options.
pub const HOP_BY_HOP: u8 = 0;
/// IPv6 routing header.
pub const ROUTING: u8 = 43;
/// IPv6 fragment header.
pub const FRAGMENT: u8 = 44;
/// Authentication header.
pub const AUTHENTICATION: u8 = 51;
/// IPv6 destination options.
pub const DESTINATION: u8 = 60;
/// Mobility header.
pub const MOBILITY: u8 = 135;
/// Host identity protocol.
pub const HIP: u8 = 139;
/// Shim6.
pub const SHIM6: u8 = 140;
