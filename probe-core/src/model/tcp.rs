//! TCP sockets of this node, as tracepoints show them.
use super::Time;
use super::flow::Flow;

/// A socket retransmits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpRetransmit {
    /// When.
    pub time: Time,
    /// Retransmissions that the record stands for.
    pub packets: u32,
    /// Inode of the socket's network namespace.
    pub netns: u32,
    /// From the socket's point of view: `src` is local.
    pub flow: Flow,
    /// Size in bytes at layer 3 of the retransmitted segment (a full one where several are sent as one).
    pub segment: u32,
    /// Bytes acknowledged so far.
    pub bytes_acked: u64,
    /// First unacknowledged sequence number.
    pub snd_una: u32,
    /// Next sequence number to send.
    pub snd_nxt: u32,
    /// First sequence number of the retransmitted segment.
    pub seq: u32,
    /// Retransmissions of the connection so far.
    pub total_retrans: u32,
    /// Data segments sent so far.
    pub data_segments_out: u32,
    /// Header bytes of a segment.
    pub header_len: u32,
    /// Path MTU that the socket uses.
    pub pmtu: u32,
    /// The connection is established (or closing); else it is still in its handshake.
    pub established: bool,
    /// Round-trip time in microseconds.
    pub srtt_us: u32,
    /// The retransmission timeout that has just passed; `None` where it is not known.
    pub timeout: Option<Time>,
}

/// A socket changes its state: established, or on its way to closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpStateChange {
    /// When.
    pub time: Time,
    /// Inode of the socket's network namespace.
    pub netns: u32,
    /// From the socket's point of view: `src` is local.
    pub flow: Flow,
    /// It has just become established; else it leaves that state.
    pub established: bool,
    /// Bytes acknowledged so far.
    pub bytes_acked: u64,
    /// Bytes received in order so far.
    pub bytes_received: u64,
    /// When the last acknowledgement came in; `None` where it is not known.
    pub last_ack: Option<Time>,
    /// Data segments sent.
    pub data_segments_out: u32,
    /// Data segments received.
    pub data_segments_in: u32,
    /// Retransmissions.
    pub total_retrans: u32,
    /// Header bytes of a segment.
    pub header_len: u32,
    /// Payload of a full segment that the socket sends.
    pub mss: u32,
    /// Bytes sent and not acknowledged.
    pub unacked: u32,
}

/// What became of a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoleState {
    /// Nothing more was acknowledged.
    Open,
    /// The receiver has acknowledged more.
    Filled,
    /// The receiver has reset the connection.
    Reset,
}

/// A connection towards a pod or the node whose receiver reports that later data arrived and earlier did not (RFC 2018).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpHole {
    /// When this was so.
    pub time: Time,
    /// The host's end of the pod's veth; the uplink, if the receiver is the node or sits on the uplink.
    pub ifindex: u32,
    /// From the sender of the data to the pod.
    pub flow: Flow,
    /// When the hole was reported first.
    pub since: Time,
    /// When a packet of the pod said so last, or that it is filled.
    pub last: Time,
    /// What became of it.
    pub state: HoleState,
    /// The first missing sequence number.
    pub ack: u32,
    /// Bytes from there to the first that arrived.
    pub missing: u32,
    /// Bytes that arrived when it was reported first.
    pub first: u32,
    /// Bytes that arrived beyond it.
    pub beyond: u32,
    /// Acknowledgements that reported it.
    pub reports: u32,
    /// TCP header bytes of a segment.
    pub tcp_header: u32,
    /// TCP packets that came from the same address to the pod since; of each size the last.
    pub arrived: Vec<Arrival>,
}

/// A TCP packet that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub time: Time,
    /// Size in bytes at layer 3.
    pub size: u32,
}
