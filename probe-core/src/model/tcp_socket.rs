//! TCP sockets as their kernel shows them when it is asked (`sock_diag`).
use super::Time;
use super::flow::Flow;

/// The state of one connection (`struct inet_diag_msg` and `struct tcp_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpSocket {
    /// From the socket's point of view: `src` is local.
    pub flow: Flow,
    /// Segments sent and not acknowledged.
    pub unacked: u32,
    /// Of them, segments that the other side has reported to have arrived (SACK).
    pub sacked: u32,
    /// Bytes that were not sent yet.
    pub unsent: u32,
    /// Payload of a full segment that the socket sends.
    pub mss: u32,
    /// Header bytes of a segment: network header, TCP header and options.
    pub header_len: u32,
    /// Path MTU that the socket uses.
    pub pmtu: u32,
    /// Timeouts since something was acknowledged last.
    pub retransmits: u8,
    /// Probes of a closed window since it was.
    pub probes: u8,
    /// Retransmissions of the connection so far.
    pub total_retrans: u32,
    /// Time since the last acknowledgement.
    pub last_ack_age: Time,
    /// Bytes acknowledged so far.
    pub bytes_acked: u64,
    /// Bytes received in order so far.
    pub bytes_received: u64,
    /// Data segments sent so far, repetitions too.
    pub data_segments_out: u32,
    /// Segments that arrived out of order so far.
    pub out_of_order: u32,
    /// The window that the other side announces, in bytes.
    pub window: u32,
}

/// The sockets of one network namespace that were asked for, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetnsSockets {
    /// Inode of the network namespace.
    pub netns: u32,
    /// When reading began; `None` if a recording does not tell.
    pub began: Option<Time>,
    /// The connections.
    pub sockets: Vec<TcpSocket>,
}
