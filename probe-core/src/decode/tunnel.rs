//! The packet inside a tunnel's outer packet.
use super::cursor::{be16, byte, tail};
use super::packet;
use crate::model::flow::Protocol;
use crate::model::packet::Packet;
use bytes::Bytes;
use network_types::eth::EthHdr;
use network_types::geneve::GeneveHdr;
use network_types::vxlan::{VXLAN_I_FLAG_MASK, VxlanHdr};

/// EtherTypes.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const SERVICE_VLAN: u16 = 0x88a8;
/// Transparent Ethernet bridging (RFC 1701, RFC 8926).
const ETHERNET: u16 = 0x6558;

/// VLAN tags that an inner frame may have.
const VLAN_TAGS: usize = 2;

/// How a tunnel wraps its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encapsulation {
    /// RFC 7348, and its generic protocol extension.
    Vxlan,
    /// RFC 8926.
    Geneve,
    /// RFC 2784 with RFC 2890, carrying IP or Ethernet.
    Gre,
    /// IP in IP (RFC 2003), IPv6 in IPv4 (RFC 4213), and either in IPv6 (RFC 2473).
    Ip,
}

impl Encapsulation {
    /// From the kernel's `IFLA_INFO_KIND`; `None` for what hides its inner packets (wireguard) or is no tunnel.
    pub fn of_link_kind(kind: &str) -> Option<Self> {
        match kind {
            "vxlan" => Some(Self::Vxlan),
            "geneve" => Some(Self::Geneve),
            "gre" | "gretap" | "ip6gre" | "ip6gretap" => Some(Self::Gre),
            "ipip" | "sit" | "ip6tnl" => Some(Self::Ip),
            _ => None,
        }
    }
}

/// The inner packet of `outer`, as far as it was captured; `None` if `outer` is none of this encapsulation's, or a
/// later fragment. `port` is the tunnel's UDP destination port, if it has one.
pub fn inner(outer: &Packet, encapsulation: Encapsulation, port: Option<u16>) -> Option<Packet> {
    let payload = &outer.payload;
    match (encapsulation, outer.flow.protocol) {
        (Encapsulation::Vxlan, Protocol::Udp) if at_port(outer, port) => vxlan(payload),
        (Encapsulation::Geneve, Protocol::Udp) if at_port(outer, port) => geneve(payload),
        (Encapsulation::Gre, Protocol::Other(47)) => gre(payload),
        (Encapsulation::Ip, Protocol::Other(4 | 41)) => packet::read(payload),
        (
            Encapsulation::Vxlan | Encapsulation::Geneve | Encapsulation::Gre | Encapsulation::Ip,
            Protocol::Tcp | Protocol::Udp | Protocol::Icmp | Protocol::Icmpv6 | Protocol::Other(_),
        ) => None,
    }
}

fn at_port(outer: &Packet, port: Option<u16>) -> bool {
    port.is_none_or(|port| outer.flow.dst_port == port)
}

fn vxlan(bytes: &Bytes) -> Option<Packet> {
    /// The header names the protocol that follows (VXLAN-GPE).
    const NEXT_PROTOCOL: u8 = 0x04;
    let flags = byte(bytes, 0)?;
    if flags & VXLAN_I_FLAG_MASK == 0 {
        return None;
    }
    let inside = tail(bytes, VxlanHdr::LEN);
    match (flags & NEXT_PROTOCOL, byte(bytes, 3)?) {
        (NEXT_PROTOCOL, 1 | 2) => packet::read(&inside),
        (0, _) | (NEXT_PROTOCOL, 3) => ethernet(&inside),
        (_, _) => None,
    }
}

fn geneve(bytes: &Bytes) -> Option<Packet> {
    let first = byte(bytes, 0)?;
    if first >> 6 != 0 {
        return None;
    }
    let options = usize::from(first & 0x3f) * 4;
    of_protocol(be16(bytes, 2)?, &tail(bytes, GeneveHdr::LEN + options))
}

fn gre(bytes: &Bytes) -> Option<Packet> {
    const CHECKSUM: u16 = 0x8000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const VERSION: u16 = 0x0007;
    let flags = be16(bytes, 0)?;
    if flags & VERSION != 0 {
        return None;
    }
    let optional = [CHECKSUM, KEY, SEQUENCE].into_iter().filter(|flag| flags & flag != 0).count();
    of_protocol(be16(bytes, 2)?, &tail(bytes, 4 + 4 * optional))
}

fn of_protocol(ethertype: u16, bytes: &Bytes) -> Option<Packet> {
    match ethertype {
        IPV4 | IPV6 => packet::read(bytes),
        ETHERNET => ethernet(bytes),
        _ => None,
    }
}

fn ethernet(bytes: &Bytes) -> Option<Packet> {
    let mut at = EthHdr::LEN - 2;
    for _ in 0..=VLAN_TAGS {
        match be16(bytes, at)? {
            VLAN | SERVICE_VLAN => at += 4,
            IPV4 | IPV6 => return packet::read(&tail(bytes, at + 2)),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
#[path = "tunnel/tests.rs"]
mod tests;
