//! What the headers of a packet say, read from a [`Window`] of its first bytes. Pure: runs on the host as well.
use crate::{protocol, window::Window};
use network_types::{
    eth::{EthHdr, EtherType},
    icmp::{Icmpv4Hdr, Icmpv6Hdr},
    ip::{Ipv4Hdr, Ipv6Hdr},
    tcp::TcpHdr,
    udp::UdpHdr,
    vlan::VlanHdr,
};
use probe_common::{interface::protocol_class, skip::Skip};

/// EtherType of IPv4 in host order.
pub const IPV4: u16 = u16::from_be(EtherType::Ipv4 as u16);
/// EtherType of IPv6 in host order.
pub const IPV6: u16 = u16::from_be(EtherType::Ipv6 as u16);
const VLAN: u16 = u16::from_be(EtherType::Ieee8021q as u16);
const SERVICE_VLAN: u16 = u16::from_be(EtherType::Ieee8021ad as u16);

/// VLAN tags in line that are read.
const MAX_TAGS: usize = 2;
/// IPv6 extension headers that are read.
const MAX_EXTENSION_HEADERS: usize = 6;

/// ICMP type 3: destination unreachable (RFC 792).
pub const ICMP_UNREACHABLE: u8 = 3;
/// Its code 4: fragmentation needed.
pub const ICMP_FRAG_NEEDED: u8 = 4;
/// ICMPv6 type 2: packet too big (RFC 4443).
pub const ICMPV6_PACKET_TOO_BIG: u8 = 2;

/// TCP flags, second byte: SYN.
pub const TCP_SYN: u8 = 2;
/// TCP flags, second byte: RST.
pub const TCP_RST: u8 = 4;

/// What is special about a packet.
pub mod flag {
    /// IPv4 with DF.
    pub const DF: u8 = 1;
    /// First fragment.
    pub const FIRST_FRAGMENT: u8 = 2;
    /// Fragment after the first.
    pub const LATER_FRAGMENT: u8 = 4;
    /// An IPv6 hop-by-hop header with a jumbo payload option only: BIG TCP, it vanishes when the packet is segmented.
    pub const JUMBO: u8 = 8;
    /// A SYN or SYN-ACK.
    pub const SYN: u8 = 16;
    /// ICMP fragmentation needed, ICMPv6 packet too big.
    pub const PACKET_TOO_BIG: u8 = 32;
    /// Above the smallest limit of its interface, and nothing is known yet of its own.
    pub const CANDIDATE: u8 = 64;
    /// IPv6, where the header itself is not at hand.
    pub const IPV6: u8 = 128;
}

/// The headers of one IP packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// EtherType in host order: [`IPV4`] or [`IPV6`].
    pub ethertype: u16,
    /// IP protocol behind all extension headers that were read.
    pub protocol: u8,
    /// Bits of [`flag`].
    pub flags: u8,
    /// Offset of the IP header.
    pub network: usize,
    /// Offset of what follows the IP header and its extensions.
    pub transport: usize,
    /// Size in bytes that the IP header tells; 0 where it does not (BIG TCP).
    pub length: u32,
    /// Headers beyond these were not understood; the packet still counts.
    pub incomplete: Option<Skip>,
}

impl Packet {
    /// Reads the packet that a window begins with; one of EtherType 0 if it is none that is understood. Not an `Option`:
    /// the compiler carries along what is not in it, and the verifier refuses to read that.
    #[inline(always)]
    pub fn or_none(window: &Window<'_>, ethertype: u16) -> Self {
        Self::from_network(window, 0, ethertype).unwrap_or_default().forget(window)
    }

    /// The same packet, of which the verifier knows nothing any more.
    #[inline(always)]
    pub fn forget(self, window: &Window<'_>) -> Self {
        let incomplete = match self.incomplete {
            None => 0,
            Some(Skip::Truncated) => 1,
            Some(_) => 2,
        };
        let known = window.forget(
            u64::from(self.ethertype)
                | u64::from(self.protocol) << 16
                | u64::from(self.flags) << 24
                | (self.network as u64 & 0xff) << 32
                | (self.transport as u64 & 0xffff) << 40
                | incomplete << 56,
        );
        Self {
            ethertype: known as u16,
            protocol: (known >> 16) as u8,
            flags: (known >> 24) as u8,
            network: (known >> 32) as usize & 0xff,
            transport: (known >> 40) as usize & 0xffff,
            length: window.forget(self.length.into()) as u32,
            incomplete: match known >> 56 {
                0 => None,
                1 => Some(Skip::Truncated),
                _ => Some(Skip::ExtensionHeaders),
            },
        }
    }
}

/// Why there is no [`Packet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPacket {
    /// Another EtherType.
    NotIp,
    /// It says that it is IP, and is not understood.
    Skip(Skip),
}

/// The index of `InterfaceStats::by_protocol` for a packet; fragments after the first have no ports and count as other.
#[inline(always)]
pub fn class_of(ethertype: u16, protocol: u8) -> usize {
    let family = if ethertype == IPV6 { protocol_class::IPV6 } else { 0 };
    family
        + match protocol {
            protocol::TCP => protocol_class::TCP,
            protocol::UDP => protocol_class::UDP,
            number if number == icmp(ethertype) => protocol_class::ICMP,
            _ => protocol_class::OTHER,
        }
}

/// Whether an IPv6 next header is an extension that is read.
#[inline(always)]
pub const fn is_extension(next: u8) -> bool {
    matches!(
        next,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::FRAGMENT
            | protocol::AUTHENTICATION
            | protocol::DESTINATION
            | protocol::MOBILITY
            | protocol::HIP
            | protocol::SHIM6
    )
}

impl Packet {
    /// Reads a frame that begins with an Ethernet header, VLAN tags in line included.
    #[inline(always)]
    pub fn from_ethernet(window: &Window<'_>) -> Result<Self, NotPacket> {
        let truncated = NotPacket::Skip(Skip::Truncated);
        let mut network = EthHdr::LEN;
        let mut ethertype = window.be16(network - 2).ok_or(truncated)?;
        let mut tags = 0;
        while tags < MAX_TAGS && (ethertype == VLAN || ethertype == SERVICE_VLAN) {
            network += size_of::<VlanHdr>();
            ethertype = window.be16(network - 2).ok_or(truncated)?;
            tags += 1;
        }
        if ethertype == VLAN || ethertype == SERVICE_VLAN {
            return Err(NotPacket::Skip(Skip::VlanDepth));
        }
        Self::from_network(window, window.forget(network as u64) as usize, ethertype)
    }

    /// Reads a packet whose network header begins at `network`.
    #[inline(always)]
    pub fn from_network(window: &Window<'_>, network: usize, ethertype: u16) -> Result<Self, NotPacket> {
        match ethertype {
            IPV4 => Self::from_ipv4(window, network),
            IPV6 => Self::from_ipv6(window, network),
            _ => Err(NotPacket::NotIp),
        }
    }

    #[inline(always)]
    fn from_ipv4(window: &Window<'_>, network: usize) -> Result<Self, NotPacket> {
        let truncated = NotPacket::Skip(Skip::Truncated);
        let first = window.u8(network).ok_or(truncated)?;
        if first >> 4 != 4 {
            return Err(NotPacket::Skip(Skip::BadVersion));
        }
        let header = usize::from(first & 0xf) * 4;
        let length = window.be16(network + 2).ok_or(truncated)?;
        let fragment = window.be16(network + 6).ok_or(truncated)?;
        let next = window.u8(network + 9).ok_or(truncated)?;
        if header < Ipv4Hdr::LEN || network + header > window.len() {
            return Err(truncated);
        }
        let mut flags = 0;
        if fragment & 0x4000 != 0 {
            flags |= flag::DF;
        }
        if fragment & 0x1fff != 0 {
            flags |= flag::LATER_FRAGMENT;
        } else if fragment & 0x2000 != 0 {
            flags |= flag::FIRST_FRAGMENT;
        }
        let packet = Self {
            ethertype: IPV4,
            protocol: next,
            flags,
            network,
            transport: network + header,
            length: length.into(),
            incomplete: None,
        };
        Ok(packet.with_transport(window))
    }

    #[inline(always)]
    fn from_ipv6(window: &Window<'_>, network: usize) -> Result<Self, NotPacket> {
        let truncated = NotPacket::Skip(Skip::Truncated);
        if window.u8(network).ok_or(truncated)? >> 4 != 6 {
            return Err(NotPacket::Skip(Skip::BadVersion));
        }
        if network + Ipv6Hdr::LEN > window.len() {
            return Err(truncated);
        }
        let payload = u32::from(window.be16(network + 4).ok_or(truncated)?);
        let mut packet = Self {
            ethertype: IPV6,
            protocol: window.u8(network + 6).ok_or(truncated)?,
            flags: 0,
            network,
            transport: network + Ipv6Hdr::LEN,
            length: if payload == 0 { 0 } else { payload + Ipv6Hdr::LEN as u32 },
            incomplete: None,
        };
        let mut read = 0;
        while read < MAX_EXTENSION_HEADERS && packet.pass_extension(window) {
            read += 1;
        }
        if packet.incomplete.is_none()
            && packet.flags & flag::LATER_FRAGMENT == 0
            && is_extension(packet.protocol)
        {
            packet.incomplete = Some(Skip::ExtensionHeaders);
        }
        Ok(packet.with_transport(window))
    }

    /// Goes behind one IPv6 extension header; false when there is none to read.
    #[inline(always)]
    fn pass_extension(&mut self, window: &Window<'_>) -> bool {
        if !is_extension(self.protocol) || self.flags & flag::LATER_FRAGMENT != 0 {
            return false;
        }
        let at = self.transport;
        let (Some(next), Some(units)) = (window.u8(at), window.u8(at + 1)) else {
            self.incomplete = Some(Skip::Truncated);
            return false;
        };
        let units = usize::from(units);
        let size = match self.protocol {
            protocol::FRAGMENT => {
                let Some(word) = window.be16(at + 2) else {
                    self.incomplete = Some(Skip::Truncated);
                    return false;
                };
                if word & 0xfff8 != 0 {
                    self.flags |= flag::LATER_FRAGMENT;
                } else if word & 1 != 0 {
                    self.flags |= flag::FIRST_FRAGMENT;
                }
                8
            }
            // RFC 4302: in units of four bytes, less two.
            protocol::AUTHENTICATION => (units + 2) * 4,
            protocol::HOP_BY_HOP => {
                // RFC 2675: option 0xc2 with four bytes, alone in a header of eight.
                if units == 0 && window.be16(at + 2) == Some(0xc204) && self.length == 0 {
                    self.flags |= flag::JUMBO;
                }
                8 + units * 8
            }
            _ => 8 + units * 8,
        };
        let known = window.forget((at + size) as u64 | u64::from(next) << 32 | u64::from(self.flags) << 40);
        self.transport = known as u32 as usize;
        self.protocol = (known >> 32) as u8;
        self.flags = (known >> 40) as u8;
        true
    }

    /// Looks at the transport header for what an event may follow from.
    #[inline(always)]
    fn with_transport(mut self, window: &Window<'_>) -> Self {
        if self.flags & flag::LATER_FRAGMENT != 0 || self.incomplete.is_some() {
            return self;
        }
        let at = self.transport;
        match self.protocol {
            protocol::TCP => match window.u8(at + 13) {
                Some(flags) if flags & TCP_SYN != 0 => self.flags |= flag::SYN,
                Some(_) => {}
                None => self.incomplete = Some(Skip::Truncated),
            },
            number if number == icmp(self.ethertype) => match (window.u8(at), window.u8(at + 1)) {
                (Some(kind), Some(code)) => {
                    if is_packet_too_big(self.ethertype, kind, code) {
                        self.flags |= flag::PACKET_TOO_BIG;
                    }
                }
                (None, _) | (_, None) => self.incomplete = Some(Skip::Truncated),
            },
            _ => {}
        }
        self
    }

    /// The size in bytes at layer 3 of a packet that is `available` bytes from its network header on: what its header
    /// says, without the padding of short Ethernet frames; a header that says more than there is is not believed.
    #[inline(always)]
    pub fn size(&self, available: u32) -> (u32, Option<Skip>) {
        if self.length > available {
            return (available, Some(Skip::Truncated));
        }
        if self.length == 0 {
            return (available, None);
        }
        (self.length, None)
    }
}

/// The number of ICMP in a family.
#[inline(always)]
pub const fn icmp(ethertype: u16) -> u8 {
    if ethertype == IPV6 { protocol::ICMPV6 } else { protocol::ICMP }
}

/// Whether an ICMP header of this family is a packet too big.
#[inline(always)]
pub fn is_packet_too_big(ethertype: u16, kind: u8, code: u8) -> bool {
    if ethertype == IPV4 {
        kind == ICMP_UNREACHABLE && code == ICMP_FRAG_NEEDED
    } else {
        kind == ICMPV6_PACKET_TOO_BIG
    }
}

/// Bytes before the original datagram in an ICMP error.
pub const ICMP_HEADER: usize = Icmpv4Hdr::LEN;
const _: () = assert!(Icmpv4Hdr::LEN == Icmpv6Hdr::LEN && UdpHdr::LEN == 8 && TcpHdr::LEN == 20);

#[cfg(test)]
mod tests;
