//! A packet as far as its first bytes tell.
use super::flow::{Family, Flow};
use bytes::Bytes;

/// An IP packet, read from a copy of its first bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Addresses and, unless it is a fragment after the first or cut short, ports.
    pub flow: Flow,
    /// Length in bytes that the IP header tells; 0 for a packet of more than 65,535 bytes (BIG TCP).
    pub length: u32,
    /// IPv4's DF; true for IPv6, whose routers never fragment.
    pub df: bool,
    /// Identification and place of a fragment; `None` for a whole packet.
    pub fragment: Option<Fragment>,
    /// IPv4 identification, 0 for IPv6 without fragment header: the same in all fragments and behind NAT.
    pub id: u32,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Bytes of the network header with options or extension headers.
    pub header_len: u32,
    /// What the transport header tells.
    pub transport: Transport,
    /// The captured bytes behind the transport header (UDP), or behind the network header (tunnels without one).
    pub payload: Bytes,
}

impl Packet {
    /// Address family.
    pub fn family(&self) -> Family {
        self.flow.family()
    }
}

/// A fragment's place in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Identification.
    pub id: u32,
    /// Offset in bytes; 0 is the first fragment.
    pub offset: u32,
    /// More fragments follow.
    pub more: bool,
}

/// What the transport header tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp(TcpHeader),
    /// UDP.
    Udp,
    /// An ICMP packet too big (frag-needed or ICMPv6 packet too big), with what it quotes.
    PacketTooBig {
        /// The announced MTU in bytes; 0 from a router older than RFC 1191.
        next_hop_mtu: u32,
        /// The packet it is about; `None` if the quote is too short to read.
        original: Option<Box<Packet>>,
    },
    /// Any other ICMP or ICMPv6 message.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
    /// Not read: another protocol, a later fragment, or cut short.
    Opaque,
}

/// What a TCP header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpHeader {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Flags: FIN 1, SYN 2, RST 4, PSH 8, ACK 16.
    pub flags: u8,
    /// Header bytes with options; 0 where only the first 8 bytes are quoted.
    pub header_len: u32,
    /// Announced maximum segment size (SYN only).
    pub mss: Option<u16>,
    /// The acknowledgement carries SACK blocks: later data arrived, earlier did not (RFC 2018).
    pub sack: bool,
}

impl TcpHeader {
    /// FIN flag.
    pub const FIN: u8 = 1;
    /// SYN flag.
    pub const SYN: u8 = 2;
    /// RST flag.
    pub const RST: u8 = 4;
    /// ACK flag.
    pub const ACK: u8 = 16;
}
