//! What an answer is about. Total: any bytes may come in.
use super::wire::ip_header;
use super::{Ends, Method};
use probe_core::model::flow::Family;
use std::net::IpAddr;

/// Something that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The destination got a probe; `None` if the answer does not tell which.
    Answer(Option<u16>),
    /// A packet was too big for somebody.
    TooBig {
        /// Number of the quoted probe.
        probe: u16,
        /// Its length as quoted.
        length: u32,
        /// What is announced.
        next_hop_mtu: u32,
    },
    /// A probe met more hops than it was allowed.
    Expired {
        /// Number of the quoted probe.
        probe: u16,
    },
    /// The destination cannot be reached.
    Unreachable {
        /// Number of the quoted probe.
        probe: u16,
        /// In words.
        what: &'static str,
    },
}

/// Reads an ICMP message without its IP header: an error about a probe, or an echo reply.
pub fn heard(ends: &Ends, from: IpAddr, message: &[u8]) -> Option<Heard> {
    let reply = match ends.family() {
        Family::Ipv4 => 0,
        Family::Ipv6 => 129,
    };
    if byte(message, 0)? != reply {
        return heard_error(ends, from, message);
    }
    let ours = ends.method.is_echo() && from == ends.dst && be16(message, 4)? == ends.src_port;
    ours.then_some(Heard::Answer(Some(be16(message, 6)?)))
}

/// Reads an ICMP error without its IP header. `None` if it is none, or not about a probe.
pub fn heard_error(ends: &Ends, from: IpAddr, message: &[u8]) -> Option<Heard> {
    let (kind, code) = (byte(message, 0)?, byte(message, 1)?);
    let (probe, length) = quoted(ends, message.get(8..)?)?;
    let unreachable = |what| Some(Heard::Unreachable { probe, what });
    let port = |what| {
        // From the host itself: it got the probe. A firewall on the way rejects with the same code.
        if from == ends.dst { Some(Heard::Answer(Some(probe))) } else { unreachable(what) }
    };
    match (ends.family(), kind, code) {
        (Family::Ipv4, 3, 4) => Some(Heard::TooBig { probe, length, next_hop_mtu: be16(message, 6)?.into() }),
        (Family::Ipv6, 2, _) => {
            let next_hop_mtu = u32::from(be16(message, 4)?) << 16 | u32::from(be16(message, 6)?);
            Some(Heard::TooBig { probe, length, next_hop_mtu })
        }
        (Family::Ipv4, 3, 2 | 3) | (Family::Ipv6, 1, 4) => port("rejects it"),
        (Family::Ipv4, 3, 9 | 10 | 13) | (Family::Ipv6, 1, 1 | 5 | 6) => unreachable("prohibits it"),
        (Family::Ipv4, 3, 0 | 6 | 11) | (Family::Ipv6, 1, 0) => unreachable("has no route to it"),
        (Family::Ipv4, 3, _) | (Family::Ipv6, 1, _) => unreachable("cannot reach it"),
        (Family::Ipv4, 11, 0) | (Family::Ipv6, 3, 0) => Some(Heard::Expired { probe }),
        (_, _, _) => None,
    }
}

/// Number and length of the quoted probe, if it is one of ours.
fn quoted(ends: &Ends, quote: &[u8]) -> Option<(u16, u32)> {
    let family = ends.family();
    let (protocol, length, src, dst, header) = match family {
        Family::Ipv4 => {
            let header = usize::from(byte(quote, 0)? & 0xf) * 4;
            (byte(quote, 9)?, be16(quote, 2)?.into(), v4(quote, 12)?, v4(quote, 16)?, header)
        }
        Family::Ipv6 => {
            let length = u32::from(be16(quote, 4)?) + 40;
            (byte(quote, 6)?, length, v6(quote, 8)?, v6(quote, 24)?, ip_header(family))
        }
    };
    let transport = quote.get(header..)?;
    let is_ours = match ends.method {
        // The option begins with the same two numbers at the same place.
        Method::Icmp | Method::IcmpBehindOptions => be16(transport, 4)? == ends.src_port,
        Method::Udp | Method::Tcp => {
            be16(transport, 0)? == ends.src_port && be16(transport, 2)? == ends.dst_port
        }
    };
    if protocol != ends.method.next_header(family) || src != ends.src || dst != ends.dst || !is_ours {
        return None;
    }
    let probe = match (family, ends.method) {
        // Eight bytes of what follows the header are all that a router need quote (RFC 792).
        (Family::Ipv4, _) => be16(quote, 4)?,
        (Family::Ipv6, Method::Icmp | Method::IcmpBehindOptions) => be16(transport, 6)?,
        (Family::Ipv6, Method::Udp) => be16(transport, 8)?,
        (Family::Ipv6, Method::Tcp) => be16(transport, usize::from(byte(transport, 12)? >> 4) * 4)?,
    };
    Some((probe, length))
}

pub(super) fn byte(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn v4(bytes: &[u8], at: usize) -> Option<IpAddr> {
    let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(octets.into())
}

fn v6(bytes: &[u8], at: usize) -> Option<IpAddr> {
    let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
    Some(octets.into())
}
