//! Frames by what they are, for the kernel side's tests and its bench.

/// EtherTypes.
pub const IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
/// EtherType of a VLAN tag.
pub const VLAN: u16 = 0x8100;
/// EtherType of a service tag.
pub const SERVICE_VLAN: u16 = 0x88a8;

/// IP protocol numbers.
pub mod protocol {
    #![expect(missing_docs, reason = "the names are those of the IANA registry")]
    pub const ICMP: u8 = 1;
    pub const IPIP: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const IPV6: u8 = 41;
    pub const GRE: u8 = 47;
    pub const ICMPV6: u8 = 58;
    pub const FRAGMENT: u8 = 44;
    pub const DESTINATION: u8 = 60;
    pub const HOP_BY_HOP: u8 = 0;
}

/// TCP flags.
pub const SYN: u8 = 2;
/// TCP flag: acknowledgement.
pub const ACK: u8 = 16;

/// The addresses of the packets made here, unless told otherwise.
pub const SOURCE: [u8; 4] = [10, 244, 1, 2];
/// Destination of IPv4 packets.
pub const DESTINATION: [u8; 4] = [10, 244, 2, 3];

/// An IPv6 address of documentation (RFC 3849) with a last byte.
pub const fn address6(last: u8) -> [u8; 16] {
    [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

/// What an IPv4 header says.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4<'a> {
    /// Source address.
    pub source: [u8; 4],
    /// Destination address.
    pub destination: [u8; 4],
    /// Flags and fragment offset, as in the header.
    pub fragment: u16,
    /// Options, a multiple of four bytes.
    pub options: &'a [u8],
    /// Protocol of the payload.
    pub protocol: u8,
}

/// The DF bit.
pub const DF: u16 = 0x4000;
/// The bit that says that more fragments follow.
pub const MORE: u16 = 0x2000;

impl Ipv4<'_> {
    /// Don't fragment, no options.
    pub const fn of(protocol: u8) -> Self {
        Self { source: SOURCE, destination: DESTINATION, fragment: DF, options: &[], protocol }
    }

    /// The packet with a payload.
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let header = 20 + self.options.len();
        let total = header + payload.len();
        let mut packet = vec![0x40 | (header / 4) as u8, 0];
        // What does not fit the field is BIG TCP, which says zero.
        packet.extend(u16::try_from(total).unwrap_or(0).to_be_bytes());
        packet.extend([0, 1]);
        packet.extend(self.fragment.to_be_bytes());
        packet.extend([64, self.protocol, 0, 0]);
        packet.extend(self.source);
        packet.extend(self.destination);
        packet.extend(self.options);
        let sum = checksum(&packet, 0);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(payload);
        packet
    }
}

/// An IPv6 packet.
pub fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    ipv6_between(address6(2), address6(3), next, payload)
}

/// An IPv6 packet between addresses.
pub fn ipv6_between(source: [u8; 16], destination: [u8; 16], next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(u16::try_from(payload.len()).unwrap_or(0).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend(source);
    packet.extend(destination);
    packet.extend(payload);
    packet
}

/// An IPv6 extension header of `units` times eight bytes and eight more.
pub fn extension(next: u8, units: u8) -> Vec<u8> {
    let mut header = vec![next, units, 1, 4];
    header.resize(8 + usize::from(units) * 8, 0);
    header
}

/// An IPv6 fragment header.
pub fn fragment_header(next: u8, offset: u16, more: bool) -> Vec<u8> {
    let mut header = vec![next, 0];
    header.extend((offset << 3 | u16::from(more)).to_be_bytes());
    header.extend([0, 0, 0, 9]);
    header
}

/// A TCP segment from port 40000 to 443; `options` a multiple of four bytes.
pub fn tcp(flags: u8, options: &[u8], payload: usize) -> Vec<u8> {
    tcp_from(40_000, flags, options, payload)
}

/// A TCP segment from a port to 443.
pub fn tcp_from(port: u16, flags: u8, options: &[u8], payload: usize) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(port.to_be_bytes());
    segment.extend(443_u16.to_be_bytes());
    segment.extend([0, 0, 0, 1, 0, 0, 0, 2]);
    segment.extend([(((20 + options.len()) / 4) << 4) as u8, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(options);
    segment.resize(segment.len() + payload, 0x2a);
    segment
}

/// The time stamp option as Linux sends it, 12 bytes.
pub const TIMESTAMPS: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];

/// A UDP datagram between ports.
pub fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    datagram.extend(source.to_be_bytes());
    datagram.extend(destination.to_be_bytes());
    datagram.extend(u16::try_from(8 + payload.len()).unwrap_or(0).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

/// An ICMP message with four bytes of header data.
pub fn icmp(kind: u8, code: u8, data: u32, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0];
    message.extend(data.to_be_bytes());
    message.extend(payload);
    let sum = checksum(&message, 0);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// A frag-needed about a packet, quoted as Linux does.
pub fn frag_needed(mtu: u32, original: &[u8]) -> Vec<u8> {
    Ipv4 { source: [10, 0, 0, 1], destination: SOURCE, ..Ipv4::of(protocol::ICMP) }.packet(&icmp(
        3,
        4,
        mtu,
        &original[..original.len().min(548)],
    ))
}

/// An ICMPv6 packet too big about a packet.
pub fn packet_too_big(mtu: u32, original: &[u8]) -> Vec<u8> {
    let quote = &original[..original.len().min(1232)];
    ipv6_between(address6(1), address6(2), protocol::ICMPV6, &icmp(2, 0, mtu, quote))
}

/// A VXLAN header and a frame inside.
pub fn vxlan(inner: &[u8]) -> Vec<u8> {
    [&[8, 0, 0, 0, 0, 0, 7, 0], inner].concat()
}

/// A frame with tags in line; each tag is its EtherType.
pub fn ethernet(tags: &[u16], ethertype: u16, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 7]);
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(packet);
    frame
}

/// The internet checksum.
fn checksum(bytes: &[u8], start: u32) -> u16 {
    let mut sum = start;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
