//! The network header: IPv4 with options, IPv6 with extension headers.
use super::cursor::{array, be16, be32, byte};
use crate::model::packet::Fragment;
use network_types::ip::{IpProto, Ipv4Hdr, Ipv6Hdr};
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Extension headers that are read at most; RFC 8200 section 4.1 knows seven, each at most once or twice.
const EXTENSION_HEADERS: usize = 8;
/// `IP_DF` of the flags and fragment offset.
const DF: u16 = 0x4000;
/// `IP_MF`.
const MORE_FRAGMENTS: u16 = 0x2000;
/// Fragment offset in units of 8 bytes.
const OFFSET: u16 = 0x1fff;

/// What a network header tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct NetworkHeader {
    pub src: IpAddr,
    pub dst: IpAddr,
    /// Protocol behind it and its extension headers.
    pub protocol: u8,
    /// Length of the whole packet in bytes that it tells; 0 for BIG TCP.
    pub length: u32,
    pub df: bool,
    pub fragment: Option<Fragment>,
    pub id: u32,
    pub ttl: u8,
    /// Its own bytes, extension headers included.
    pub header_len: usize,
}

impl NetworkHeader {
    /// Whether the transport header follows: not in a fragment after the first.
    pub fn carries_transport(&self) -> bool {
        self.fragment.is_none_or(|fragment| fragment.offset == 0)
    }
}

/// Reads a network header; the version tells the family.
pub(super) fn read(bytes: &[u8]) -> Option<NetworkHeader> {
    match byte(bytes, 0)? >> 4 {
        4 => ipv4(bytes),
        6 => ipv6(bytes),
        _ => None,
    }
}

fn ipv4(bytes: &[u8]) -> Option<NetworkHeader> {
    let header_len = usize::from(byte(bytes, 0)? & 0xf) * 4;
    if header_len < Ipv4Hdr::LEN {
        return None;
    }
    let id = u32::from(be16(bytes, offset_of!(Ipv4Hdr, id))?);
    let fragmentation = be16(bytes, offset_of!(Ipv4Hdr, frags))?;
    let offset = u32::from(fragmentation & OFFSET) * 8;
    let more = fragmentation & MORE_FRAGMENTS != 0;
    Some(NetworkHeader {
        src: Ipv4Addr::from(array(bytes, offset_of!(Ipv4Hdr, src_addr))?).into(),
        dst: Ipv4Addr::from(array(bytes, offset_of!(Ipv4Hdr, dst_addr))?).into(),
        protocol: byte(bytes, offset_of!(Ipv4Hdr, proto))?,
        length: u32::from(be16(bytes, offset_of!(Ipv4Hdr, tot_len))?),
        df: fragmentation & DF != 0,
        fragment: (more || offset > 0).then_some(Fragment { id, offset, more }),
        id,
        ttl: byte(bytes, offset_of!(Ipv4Hdr, ttl))?,
        header_len,
    })
}

fn ipv6(bytes: &[u8]) -> Option<NetworkHeader> {
    let payload = u32::from(be16(bytes, offset_of!(Ipv6Hdr, payload_len))?);
    let mut header = NetworkHeader {
        src: Ipv6Addr::from(array::<16>(bytes, offset_of!(Ipv6Hdr, src_addr))?).into(),
        dst: Ipv6Addr::from(array::<16>(bytes, offset_of!(Ipv6Hdr, dst_addr))?).into(),
        protocol: byte(bytes, offset_of!(Ipv6Hdr, next_hdr))?,
        // A jumbogram (RFC 2675) has 0 here, as BIG TCP within the host.
        length: if payload == 0 { 0 } else { payload + Ipv6Hdr::LEN as u32 },
        df: true,
        fragment: None,
        id: 0,
        ttl: byte(bytes, offset_of!(Ipv6Hdr, hop_limit))?,
        header_len: Ipv6Hdr::LEN,
    };
    for _ in 0..EXTENSION_HEADERS {
        let Some(length) = extension_length(header.protocol, bytes, header.header_len) else {
            break;
        };
        if header.protocol == IpProto::Ipv6Frag as u8 {
            let place = be16(bytes, header.header_len + 2)?;
            let id = be32(bytes, header.header_len + 4)?;
            header.id = id;
            let fragment = Fragment { id, offset: u32::from(place & !7), more: place & 1 != 0 };
            // An atomic fragment (RFC 6946) is a whole packet.
            header.fragment = (fragment.more || fragment.offset > 0).then_some(fragment);
        }
        header.protocol = byte(bytes, header.header_len)?;
        header.header_len += length;
        if !header.carries_transport() {
            break;
        }
    }
    Some(header)
}

/// Length in bytes of the extension header at `at`; `None` if the protocol is none, or it is cut short.
fn extension_length(protocol: u8, bytes: &[u8], at: usize) -> Option<usize> {
    const HOP_BY_HOP: u8 = IpProto::HopOpt as u8;
    const ROUTING: u8 = IpProto::Ipv6Route as u8;
    const FRAGMENT: u8 = IpProto::Ipv6Frag as u8;
    const DESTINATION: u8 = IpProto::Ipv6Opts as u8;
    const AUTHENTICATION: u8 = IpProto::Ah as u8;
    let units = usize::from(byte(bytes, at + 1)?);
    match protocol {
        HOP_BY_HOP | ROUTING | DESTINATION => Some((units + 1) * 8),
        FRAGMENT => Some(8),
        // RFC 4302 section 2.2 counts in units of 4 bytes, less 2.
        AUTHENTICATION => Some((units + 2) * 4),
        _ => None,
    }
}
