//! TCP connections that close (`sock:inet_sock_set_state`): what a connection delivered, and until when it heard
//! acknowledgements.
use crate::record::RecordHeader;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A connection that leaves ESTABLISHED or is destroyed.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TcpCloseRecord {
    /// Time.
    pub header: RecordHeader,
    /// Bytes acknowledged since the connection began.
    pub bytes_acked: u64,
    /// Bytes received in order since the connection began (`tcp_sock.bytes_received`); a FIN counts as one.
    pub bytes_received: u64,
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
    /// Milliseconds since the last acknowledgement was received (`tcp_sock.rcv_tstamp` against jiffies); `u32::MAX` unknown.
    pub last_ack_ms: u32,
    /// Data segments sent.
    pub data_segments_out: u32,
    /// Data segments received.
    pub data_segments_in: u32,
    /// Retransmissions.
    pub total_retrans: u32,
    /// Payload of a full segment that the socket sends.
    pub mss: u32,
    /// Header bytes of a segment: network header, TCP header and options.
    pub header_len: u32,
    /// Unacknowledged bytes in flight.
    pub unacked: u32,
    /// State that it leaves and that it enters, `old << 16 | new`.
    pub states: u32,
    /// Path MTU that the socket used.
    pub pmtu: u32,
}
const _: () = assert!(size_of::<TcpCloseRecord>() == 24 + 16 + 8 + 32 + 4 + 9 * 4);
