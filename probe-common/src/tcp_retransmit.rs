//! TCP retransmissions (`tcp:tcp_retransmit_skb`) of sockets on this node.
use crate::record::RecordHeader;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The state of a socket at a retransmission.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TcpRetransmitRecord {
    /// Time; `packets` counts the retransmissions that the gate held back as well.
    pub header: RecordHeader,
    /// Bytes acknowledged since the connection began (`tcp_sock.bytes_acked`).
    pub bytes_acked: u64,
    /// Inode of the socket's network namespace.
    pub netns: u32,
    /// 2 (AF_INET) or 10 (AF_INET6).
    pub family: u32,
    /// Local address; IPv4 in the first four bytes.
    pub local: [u8; 16],
    /// Remote address; IPv4 in the first four bytes.
    pub remote: [u8; 16],
    /// Local port, host order.
    pub local_port: u16,
    /// Remote port, host order.
    pub remote_port: u16,
    /// TCP payload in bytes of the retransmitted skb (several segments if offloaded).
    pub payload: u32,
    /// Segment payload of the retransmitted skb; 0 for a single segment.
    pub gso_size: u32,
    /// Payload of a full segment (`tcp_sock.mss_cache`).
    pub mss: u32,
    /// First unacknowledged sequence number.
    pub snd_una: u32,
    /// Next sequence number to send.
    pub snd_nxt: u32,
    /// First sequence number of the retransmitted skb.
    pub seq: u32,
    /// Retransmissions of the connection so far (`tcp_sock.total_retrans`).
    pub total_retrans: u32,
    /// Data segments sent so far (`tcp_sock.data_segs_out`).
    pub data_segments_out: u32,
    /// Header bytes of a segment: network header, TCP header and options (`tcp_header_len` and the family).
    pub header_len: u32,
    /// Path MTU that the socket uses (`inet_connection_sock.icsk_pmtu_cookie`).
    pub pmtu: u32,
    /// State of the socket (`TCP_ESTABLISHED` is 1, `TCP_SYN_SENT` 2 …).
    pub state: u32,
    /// Round-trip time in microseconds.
    pub srtt_us: u32,
    /// The retransmission timeout in milliseconds, before it doubles (`inet_connection_sock.icsk_rto`); 0 unknown.
    pub rto_ms: u32,
}
const _: () = assert!(size_of::<TcpRetransmitRecord>() == 24 + 8 + 8 + 32 + 4 + 13 * 4);
