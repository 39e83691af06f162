//! The packets that a segmentation-offload packet becomes on the wire. Pure: runs on the host as well.
use crate::{
    packet::{IPV4, IPV6, Packet, flag},
    protocol,
    window::Window,
};
use network_types::{
    eth::EthHdr, geneve::GeneveHdr, ip::Ipv4Hdr, ip::Ipv6Hdr, tcp::TcpHdr, udp::UdpHdr, vxlan::VxlanHdr,
};

/// `skb_shinfo(skb)->gso_size` of packets whose segments are of unequal size (`GSO_BY_FRAGS`, SCTP).
const BY_FRAGS: u32 = 0xffff;
/// Transparent Ethernet bridging: the protocol type of tunnels that carry frames.
const BRIDGED: u16 = 0x6558;
/// VXLAN: the flag that says that the network identifier is valid (RFC 7348); all others are zero.
const VXLAN_VALID: u8 = 0x08;

/// `count - 1` packets of `full` bytes and one of `last` bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    /// Number of packets, at least 1.
    pub count: u32,
    /// Size in bytes at layer 3 of all but the last.
    pub full: u32,
    /// Size in bytes at layer 3 of the last.
    pub last: u32,
}

impl Segments {
    /// One packet.
    #[inline(always)]
    pub const fn one(size: u32) -> Self {
        Self { count: 1, full: size, last: size }
    }

    /// The segments of a packet of `total` bytes at layer 3, of which each gets the first `headers` and at most
    /// `gso_size` of the others. `gso_segs` may be 0 or wrong (untrusted sources, see `virtio_net`): it is believed only
    /// where it fits, which saves the division.
    #[inline(always)]
    pub fn of(total: u32, headers: u32, gso_size: u32, gso_segs: u32) -> Self {
        let payload = total.saturating_sub(headers);
        if payload <= gso_size || gso_size == 0 {
            return Self::one(total);
        }
        let count = if fits(payload, gso_size, gso_segs) { gso_segs } else { payload.div_ceil(gso_size) };
        let last = payload.wrapping_sub((count - 1).wrapping_mul(gso_size));
        Self { count, full: headers + gso_size, last: headers + last }
    }

    /// What to count for a packet whose headers were not understood: the segment payload alone.
    #[inline(always)]
    pub fn unknown(total: u32, gso_size: u32, gso_segs: u32) -> Self {
        if gso_size == BY_FRAGS {
            let count = if gso_segs == 0 { 1 } else { gso_segs };
            let mean = total / count;
            return Self { count, full: mean, last: mean };
        }
        Self::of(total, 0, gso_size, gso_segs)
    }

    /// The same segments, of which the verifier knows nothing any more.
    #[inline(always)]
    pub fn forget(self, window: &Window<'_>) -> Self {
        Self {
            count: window.forget(self.count.into()) as u32,
            full: window.forget(self.full.into()) as u32,
            last: window.forget(self.last.into()) as u32,
        }
    }

    /// Bytes of all at layer 3.
    #[inline(always)]
    pub const fn bytes(self) -> u64 {
        (self.count as u64 - 1) * self.full as u64 + self.last as u64
    }

    /// Size in bytes of the largest.
    #[inline(always)]
    pub const fn largest(self) -> u32 {
        if self.count > 1 { self.full } else { self.last }
    }
}

/// Whether `segments` of `gso_size` bytes are as many as the payload needs.
#[inline(always)]
fn fits(payload: u32, gso_size: u32, segments: u32) -> bool {
    if segments < 2 {
        return false;
    }
    let before = u64::from(segments - 1) * u64::from(gso_size);
    let payload = u64::from(payload);
    payload > before && payload <= before + u64::from(gso_size)
}

/// Bytes that every segment of a segmentation-offload packet has before its part of the payload, from its network
/// header on: through a tunnel, the outer and the inner headers. `total` is the packet's size at layer 3.
#[inline(always)]
pub fn headers(window: &Window<'_>, packet: &Packet, total: u32) -> Option<u32> {
    let end = payload_offset(window, packet, total)?;
    let jumbo = if packet.flags & flag::JUMBO != 0 { 8 } else { 0 };
    Some((end - packet.network - jumbo) as u32)
}

#[inline(always)]
fn payload_offset(window: &Window<'_>, packet: &Packet, total: u32) -> Option<usize> {
    let at = packet.transport;
    let end = packet.network + total as usize;
    match packet.protocol {
        protocol::TCP => behind_tcp(window, at),
        protocol::UDP => Some(behind_udp_tunnel(window, at + UdpHdr::LEN, end).unwrap_or(at + UdpHdr::LEN)),
        protocol::GRE => behind_gre(window, at, end),
        protocol::IPIP => behind_inner(window, at, end, IPV4),
        protocol::IPV6 => behind_inner(window, at, end, IPV6),
        _ => None,
    }
}

#[inline(always)]
fn behind_tcp(window: &Window<'_>, at: usize) -> Option<usize> {
    let header = usize::from(window.u8(at + 12)? >> 4) * 4;
    (header >= TcpHdr::LEN).then_some(at + header)
}

/// VXLAN or Geneve by what it looks like, not by its port: the inner packet has to end where the outer one does.
#[inline(always)]
fn behind_udp_tunnel(window: &Window<'_>, at: usize, end: usize) -> Option<usize> {
    let first = window.u8(at)?;
    let kind = window.be16(at + 2)?;
    if first == VXLAN_VALID && window.u8(at + 7)? == 0 && kind == 0 {
        return behind_frame(window, at + VxlanHdr::LEN, end);
    }
    // RFC 8926: version 0 and the length of the options in units of four bytes.
    if first >> 6 != 0 {
        return None;
    }
    let inner = at + GeneveHdr::LEN + usize::from(first & 0x3f) * 4;
    match kind {
        BRIDGED => behind_frame(window, inner, end),
        IPV4 | IPV6 => behind_inner(window, inner, end, kind),
        _ => None,
    }
}

/// RFC 2890: four bytes, and four more each for checksum, key and sequence number.
#[inline(always)]
fn behind_gre(window: &Window<'_>, at: usize, end: usize) -> Option<usize> {
    let flags = window.u8(at)?;
    let kind = window.be16(at + 2)?;
    let inner = at + 4 + ((flags & 0xb0).count_ones() as usize) * 4;
    match kind {
        BRIDGED => behind_frame(window, inner, end),
        IPV4 | IPV6 => behind_inner(window, inner, end, kind),
        _ => None,
    }
}

#[inline(always)]
fn behind_frame(window: &Window<'_>, at: usize, end: usize) -> Option<usize> {
    let network = at + EthHdr::LEN;
    let kind = window.be16(network - 2)?;
    behind_inner(window, network, end, kind)
}

/// Behind the inner IP and transport header. One function for both families keeps the program small.
#[inline(always)]
fn behind_inner(window: &Window<'_>, network: usize, end: usize, ethertype: u16) -> Option<usize> {
    let version = window.u8(network)?;
    let (header, length, next) = match ethertype {
        IPV4 if version >> 4 == 4 => {
            let header = usize::from(version & 0xf) * 4;
            (header, usize::from(window.be16(network + 2)?), window.u8(network + 9)?)
        }
        IPV6 if version >> 4 == 6 => {
            let payload = usize::from(window.be16(network + 4)?);
            let length = if payload == 0 { 0 } else { payload + Ipv6Hdr::LEN };
            (Ipv6Hdr::LEN, length, window.u8(network + 6)?)
        }
        _ => return None,
    };
    // Zero is BIG TCP: the length does not fit the field.
    if header < Ipv4Hdr::LEN || (length != 0 && network + length != end) {
        return None;
    }
    let transport = network + header;
    match next {
        protocol::TCP => behind_tcp(window, transport),
        protocol::UDP => Some(transport + UdpHdr::LEN),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
