//! Probes as bytes, DF set by hand.
use super::{Ends, Method};
use probe_core::model::flow::Family;
use std::net::IpAddr;

/// DF in the flags of an IPv4 header.
const DF: u16 = 0x4000;
/// Hops of a probe that is to arrive.
pub const HOP_LIMIT: u8 = 64;
const TCP_ACK: u8 = 0x10;
/// Number of the destination options header (RFC 8200 section 4.6).
pub const DESTINATION_OPTIONS: u8 = 60;
/// Bytes of that header in front of an echo request: with the IPv6 header all that an error of 1280 bytes quotes, less its
/// own headers (RFC 4443 section 3.2).
const OPTIONS: usize = 1280 - 40 - 8 - 40;
/// An option for experiments that nobody knows and all skip (RFC 4727 section 3.5, RFC 8200 section 4.2). Padding of that
/// length is refused (`ip6_parse_tlv`).
const SKIPPED_OPTION: u8 = 0x1e;
/// Bytes of an option at most: type, length and data.
const OPTION: usize = 2 + 255;
/// Bytes of an IPv4 header without options, and of an IPv6 header.
pub const fn ip_header(family: Family) -> usize {
    match family {
        Family::Ipv4 => 20,
        Family::Ipv6 => 40,
    }
}

/// Where a segment stands in its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The next byte that we would send.
    pub next: u32,
    /// The next byte that we expect.
    pub expected: u32,
    /// Our and the peer's timestamp (RFC 7323), if both ends use them.
    pub timestamps: Option<(u32, u32)>,
}

impl Position {
    /// First byte of a probe with this payload: old by as much, and by the number that tells it from others. A peer
    /// acknowledges such a segment at once and takes nothing from it (RFC 9293 section 3.10.7.4).
    pub fn sequence(&self, probe: u16, payload: usize) -> u32 {
        self.next.wrapping_sub(payload as u32).wrapping_sub(u32::from(probe))
    }
}

/// A probe of `size` bytes at layer 3 that may make so many hops. `position` is that of the connection, for TCP.
pub fn probe(ends: &Ends, probe: u16, size: u32, hops: u8, position: Option<&Position>) -> Vec<u8> {
    let family = ends.family();
    let header = ip_header(family);
    let mut packet = vec![0; size as usize];
    let (ip, rest) = packet.split_at_mut(header.min(size as usize));
    network_header(ends, probe, size, hops, ip);
    let rest = match ends.method {
        Method::IcmpBehindOptions => options(ends, probe, rest),
        Method::Icmp | Method::Udp | Method::Tcp => rest,
    };
    let transport = match ends.method {
        Method::Icmp | Method::IcmpBehindOptions => icmp(ends, probe, rest),
        Method::Udp => udp(ends, rest),
        Method::Tcp => tcp(ends, probe, rest, position),
    };
    if let Some(payload) = rest.get_mut(transport..transport + 2) {
        payload.copy_from_slice(&probe.to_be_bytes());
    }
    let place = match ends.method {
        Method::Icmp | Method::IcmpBehindOptions => 2,
        Method::Udp => 6,
        Method::Tcp => 16,
    };
    let sum = match (ends.method, checksum(ends, rest)) {
        // RFC 768: zero means none.
        (Method::Udp, 0) => 0xffff,
        (_, sum) => sum,
    };
    rest[place..place + 2].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn network_header(ends: &Ends, probe: u16, size: u32, hops: u8, ip: &mut [u8]) {
    let size = u16::try_from(size).unwrap_or(u16::MAX);
    let protocol = ends.method.next_header(ends.family());
    match (ends.src, ends.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            ip[0] = 0x45;
            ip[2..4].copy_from_slice(&size.to_be_bytes());
            ip[4..6].copy_from_slice(&probe.to_be_bytes());
            ip[6..8].copy_from_slice(&DF.to_be_bytes());
            ip[8] = hops;
            ip[9] = protocol;
            ip[12..16].copy_from_slice(&src.octets());
            ip[16..20].copy_from_slice(&dst.octets());
        }
        (src, dst) => {
            ip[0] = 0x60;
            ip[4..6].copy_from_slice(&size.saturating_sub(40).to_be_bytes());
            ip[6] = protocol;
            ip[7] = hops;
            ip[8..24].copy_from_slice(&octets(src));
            ip[24..40].copy_from_slice(&octets(dst));
        }
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// Writes a destination options header, and gives what is left behind it. Its first option begins with the numbers of an echo
/// request, by which a quote is known.
fn options<'a>(ends: &Ends, probe: u16, rest: &'a mut [u8]) -> &'a mut [u8] {
    let echo = 8 + 2;
    // In units of eight bytes.
    let length = rest.len().saturating_sub(echo).min(OPTIONS) / 8 * 8;
    let (header, rest) = rest.split_at_mut(length);
    header[0] = Method::IcmpBehindOptions.number(ends.family());
    header[1] = u8::try_from(length / 8 - 1).unwrap_or(u8::MAX);
    for option in header[2..].chunks_mut(OPTION) {
        // A single byte is zero, which is an option too.
        if let [kind, length, data @ ..] = option {
            *kind = SKIPPED_OPTION;
            *length = u8::try_from(data.len()).unwrap_or(u8::MAX);
        }
    }
    header[4..6].copy_from_slice(&ends.src_port.to_be_bytes());
    header[6..8].copy_from_slice(&probe.to_be_bytes());
    rest
}

fn icmp(ends: &Ends, probe: u16, rest: &mut [u8]) -> usize {
    rest[0] = match ends.family() {
        Family::Ipv4 => 8,
        Family::Ipv6 => 128,
    };
    rest[4..6].copy_from_slice(&ends.src_port.to_be_bytes());
    rest[6..8].copy_from_slice(&probe.to_be_bytes());
    8
}

fn ports(ends: &Ends, rest: &mut [u8]) {
    rest[0..2].copy_from_slice(&ends.src_port.to_be_bytes());
    rest[2..4].copy_from_slice(&ends.dst_port.to_be_bytes());
}

fn udp(ends: &Ends, rest: &mut [u8]) -> usize {
    ports(ends, rest);
    let length = u16::try_from(rest.len()).unwrap_or(u16::MAX);
    rest[4..6].copy_from_slice(&length.to_be_bytes());
    8
}

fn tcp(ends: &Ends, probe: u16, rest: &mut [u8], position: Option<&Position>) -> usize {
    ports(ends, rest);
    let Some(position) = position else { return 20 };
    let header = if position.timestamps.is_some() { 32 } else { 20 };
    let sequence = position.sequence(probe, rest.len() - header);
    rest[4..8].copy_from_slice(&sequence.to_be_bytes());
    rest[8..12].copy_from_slice(&position.expected.to_be_bytes());
    rest[12] = u8::try_from(header / 4).unwrap_or(5) << 4;
    rest[13] = TCP_ACK;
    rest[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
    if let Some((ours, theirs)) = position.timestamps {
        rest[20..24].copy_from_slice(&[1, 1, 8, 10]);
        rest[24..28].copy_from_slice(&ours.to_be_bytes());
        rest[28..32].copy_from_slice(&theirs.to_be_bytes());
    }
    header
}

/// The Internet checksum (RFC 1071), over the pseudo-header where the protocol has one.
fn checksum(ends: &Ends, transport: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    let protocol = ends.method.number(ends.family());
    if protocol != 1 {
        let addresses = [octets(ends.src), octets(ends.dst)].concat();
        sum += words(match ends.family() {
            // The mapped prefix would count: only the IPv4 addresses do.
            Family::Ipv4 => &[],
            Family::Ipv6 => &addresses,
        });
        if ends.family() == Family::Ipv4 {
            sum += words(&addresses[12..16]) + words(&addresses[28..32]);
        }
        sum += u32::from(protocol) + transport.len() as u32;
    }
    sum += words(transport);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn words(bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    bytes.chunks(2).map(word).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probing::answer::{Heard, heard_error};

    fn ends(method: Method, family: Family) -> Ends {
        let (src, dst) = match family {
            Family::Ipv4 => ("10.1.0.10", "10.9.0.7"),
            Family::Ipv6 => ("fd42::10", "fd42::9"),
        };
        let address = |text: &str| text.parse().expect("an address");
        Ends { method, src: address(src), src_port: 40000, dst: address(dst), dst_port: 443 }
    }

    const METHODS: [(Method, &[Family]); 4] = [
        (Method::Icmp, &Family::ALL),
        (Method::IcmpBehindOptions, &[Family::Ipv6]),
        (Method::Udp, &Family::ALL),
        (Method::Tcp, &Family::ALL),
    ];

    /// What stands between the IP header and the protocol's.
    fn options_of(method: Method, size: usize) -> usize {
        match (method, size) {
            (Method::IcmpBehindOptions, 128) => 72,
            (Method::IcmpBehindOptions, _) => OPTIONS,
            (_, _) => 0,
        }
    }

    const POSITION: Position = Position { next: 1000, expected: 7, timestamps: Some((1, 2)) };

    #[test]
    fn probes_are_whole_and_have_right_sums() {
        for (method, families) in METHODS {
            for &family in families {
                let ends = ends(method, family);
                for size in [128, 1399, 1400] {
                    let packet = probe(&ends, 7, size, HOP_LIMIT, Some(&POSITION));
                    assert_eq!(packet.len(), size as usize);
                    let transport = &packet[ip_header(family) + options_of(method, packet.len())..];
                    // Summed with its own checksum, a right packet gives zero.
                    assert_eq!(checksum(&ends, transport), 0, "{method:?} {family:?}");
                }
            }
        }
    }

    #[test]
    fn an_error_is_known_by_its_quote() {
        for (method, families) in METHODS {
            for &family in families {
                let ends = ends(method, family);
                let packet = probe(&ends, 513, 1400, HOP_LIMIT, Some(&POSITION));
                let mut error = match family {
                    Family::Ipv4 => vec![3, 4, 0, 0, 0, 0, 0x05, 0x14],
                    Family::Ipv6 => vec![2, 0, 0, 0, 0, 0, 0x05, 0x14],
                };
                error.extend(&packet[..packet.len().min(200)]);
                let heard = heard_error(&ends, ends.dst, &error).expect("ours");
                assert_eq!(heard, Heard::TooBig { probe: 513, length: 1400, next_hop_mtu: 1300 });
                for end in 0..error.len() {
                    let _total = heard_error(&ends, ends.dst, &error[..end]);
                }
                let other = Ends { src_port: 40001, ..ends };
                assert_eq!(heard_error(&other, ends.dst, &error), None);
            }
        }
    }

    #[test]
    fn a_quote_ends_before_what_is_behind_the_options() {
        let ends = ends(Method::IcmpBehindOptions, Family::Ipv6);
        let packet = probe(&ends, 7, 1400, HOP_LIMIT, None);
        assert_eq!((packet[6], packet[40], usize::from(packet[41])), (60, 58, OPTIONS / 8 - 1));
        let (header, echo) = packet[40..].split_at(OPTIONS);
        assert_eq!((echo[0], &echo[6..8], 40 + OPTIONS), (128, &[0, 7][..], 1280 - 48));
        // Each option begins where the one before it ends, and they fill the header.
        let mut at = 2;
        let mut count = 0;
        while at < header.len() {
            assert_eq!(header[at], SKIPPED_OPTION);
            at += 2 + usize::from(header[at + 1]);
            count += 1;
        }
        // Hosts take no more than eight (`IP6_DEFAULT_MAX_DST_OPTS_CNT`).
        assert!(at == header.len() && count <= 8, "{count} options, {at} bytes");
    }
}
