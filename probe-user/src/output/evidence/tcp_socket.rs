//! TCP sockets as their kernel shows them when it is asked.
use super::mirror::{Time, mirror};
use super::packet::Flow;
use probe_core::model::tcp_socket;

mirror! {
    TcpSocket = tcp_socket::TcpSocket {
        flow: Flow,
        unacked: u32,
        #[serde(default)]
        sacked: u32,
        unsent: u32,
        mss: u32,
        header_len: u32,
        pmtu: u32,
        retransmits: u8,
        probes: u8,
        total_retrans: u32,
        last_ack_age: Time,
        bytes_acked: u64,
        bytes_received: u64,
        data_segments_out: u32,
        out_of_order: u32,
        window: u32,
    }
}

mirror! {
    NetnsSockets = tcp_socket::NetnsSockets {
        netns: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        began: Option<Time>,
        sockets: Vec<TcpSocket>,
    }
}
