//! An IP packet from a copy of its first bytes.
use super::cursor::{be16, be32, byte, tail};
use super::network::{self, NetworkHeader};
use crate::model::flow::{Family, Flow, Protocol};
use crate::model::packet::{Packet, TcpHeader, Transport};
use bytes::Bytes;
use network_types::icmp::{Icmpv4Hdr, Icmpv6Hdr};
use network_types::tcp::TcpHdr;
use network_types::udp::UdpHdr;
use std::mem::offset_of;
use std::net::IpAddr;

/// RFC 792: destination unreachable, fragmentation needed and DF set.
const FRAGMENTATION_NEEDED: (u8, u8) = (3, 4);
/// RFC 4443 section 3.2; the code is ignored by the receiver.
const PACKET_TOO_BIG: u8 = 2;
/// Echo request and reply, RFC 792 and RFC 4443 section 4.
const ECHO: [(Family, u8); 4] =
    [(Family::Ipv4, 8), (Family::Ipv4, 0), (Family::Ipv6, 128), (Family::Ipv6, 129)];

/// Whether an ICMP error's quote is read: a quote within a quote is not, which bounds the recursion.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Read,
    Leave,
}

/// Reads a packet from its network header on; `None` if that is no whole IP header.
pub fn read(bytes: &Bytes) -> Option<Packet> {
    read_quoting(bytes, Quotes::Read)
}

fn read_quoting(bytes: &Bytes, quotes: Quotes) -> Option<Packet> {
    let header = network::read(bytes)?;
    let behind = tail(bytes, header.header_len);
    let protocol = Protocol::from_number(header.protocol);
    let found = if header.carries_transport() {
        transport(&header, protocol, &behind, quotes)
    } else {
        Found::OPAQUE
    };
    Some(Packet {
        flow: Flow {
            protocol,
            src: header.src,
            src_port: found.ports.0,
            dst: header.dst,
            dst_port: found.ports.1,
        },
        length: header.length,
        df: header.df,
        fragment: header.fragment,
        id: header.id,
        ttl: header.ttl,
        header_len: header.header_len as u32,
        transport: found.transport,
        payload: found.payload,
    })
}

/// What stands behind the network header.
struct Found {
    ports: (u16, u16),
    transport: Transport,
    payload: Bytes,
}

impl Found {
    const OPAQUE: Self = Self { ports: (0, 0), transport: Transport::Opaque, payload: Bytes::new() };
}

fn transport(header: &NetworkHeader, protocol: Protocol, bytes: &Bytes, quotes: Quotes) -> Found {
    match protocol {
        Protocol::Tcp => tcp(bytes).unwrap_or(Found::OPAQUE),
        Protocol::Udp => udp(bytes).unwrap_or(Found::OPAQUE),
        Protocol::Icmp | Protocol::Icmpv6 => {
            icmp(header.src, protocol, bytes, quotes).unwrap_or(Found::OPAQUE)
        }
        Protocol::Other(_) => Found { payload: bytes.clone(), ..Found::OPAQUE },
    }
}

/// TCP; a quote may hold its first 8 bytes only (RFC 792): ports and sequence number.
fn tcp(bytes: &[u8]) -> Option<Found> {
    let ports = (be16(bytes, offset_of!(TcpHdr, source))?, be16(bytes, offset_of!(TcpHdr, dest))?);
    let seq = be32(bytes, offset_of!(TcpHdr, seq))?;
    let mut header = TcpHeader { seq, ack: 0, flags: 0, header_len: 0, mss: None, sack: false };
    if let Some(rest) = bytes.get(..TcpHdr::LEN) {
        header.ack = be32(rest, offset_of!(TcpHdr, ack_seq))?;
        let header_len = usize::from(byte(rest, 12)? >> 4) * 4;
        header.flags = byte(rest, 13)?;
        header.header_len = header_len as u32;
        let options = bytes.get(TcpHdr::LEN..header_len.min(bytes.len())).unwrap_or_default();
        tcp_options(options, &mut header);
    }
    Some(Found { ports, transport: Transport::Tcp(header), payload: Bytes::new() })
}

/// RFC 9293 section 3.2 (kinds 0 to 2) and RFC 2018 section 3 (kind 5).
fn tcp_options(mut options: &[u8], header: &mut TcpHeader) {
    while let Some((&kind, rest)) = options.split_first() {
        match kind {
            0 => return,
            1 => {
                options = rest;
                continue;
            }
            2 if header.flags & TcpHeader::SYN != 0 => header.mss = be16(options, 2),
            5 => header.sack = true,
            _ => {}
        }
        let length = usize::from(byte(options, 1).unwrap_or(0));
        // A length below 2 would not move on.
        let Some(next) = options.get(length..).filter(|_| length >= 2) else { return };
        options = next;
    }
}

fn udp(bytes: &Bytes) -> Option<Found> {
    let ports = (be16(bytes, offset_of!(UdpHdr, src))?, be16(bytes, offset_of!(UdpHdr, dst))?);
    Some(Found { ports, transport: Transport::Udp, payload: tail(bytes, UdpHdr::LEN) })
}

fn icmp(src: IpAddr, protocol: Protocol, bytes: &Bytes, quotes: Quotes) -> Option<Found> {
    const _: () = assert!(Icmpv4Hdr::LEN == 8 && Icmpv6Hdr::LEN == 8);
    let family = Family::of(src);
    let (kind, code) = (byte(bytes, 0)?, byte(bytes, 1)?);
    let identifier = if ECHO.contains(&(family, kind)) { be16(bytes, 4)? } else { 0 };
    let next_hop_mtu = match (family, protocol) {
        // RFC 1191 section 4: the lower half of the word that RFC 792 left unused.
        (Family::Ipv4, Protocol::Icmp) if (kind, code) == FRAGMENTATION_NEEDED => {
            be16(bytes, 6).map(u32::from)
        }
        (Family::Ipv6, Protocol::Icmpv6) if kind == PACKET_TOO_BIG => be32(bytes, 4),
        (
            Family::Ipv4 | Family::Ipv6,
            Protocol::Icmp | Protocol::Icmpv6 | Protocol::Tcp | Protocol::Udp | Protocol::Other(_),
        ) => None,
    };
    let transport = match next_hop_mtu {
        Some(next_hop_mtu) => {
            let quote = tail(bytes, Icmpv4Hdr::LEN);
            let original = (quotes == Quotes::Read).then(|| read_quoting(&quote, Quotes::Leave)).flatten();
            Transport::PacketTooBig { next_hop_mtu, original: original.map(Box::new) }
        }
        None => Transport::Icmp { kind, code },
    };
    Some(Found { ports: (identifier, identifier), transport, payload: Bytes::new() })
}

#[cfg(test)]
#[path = "packet/tests.rs"]
mod tests;
