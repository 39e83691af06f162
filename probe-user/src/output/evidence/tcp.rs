//! TCP sockets.
use super::mirror::{Time, mirror, mirror_names};
use super::packet::Flow;
use probe_core::model::tcp;

mirror! {
    TcpRetransmit = tcp::TcpRetransmit {
        time: Time,
        packets: u32,
        netns: u32,
        flow: Flow,
        segment: u32,
        bytes_acked: u64,
        snd_una: u32,
        snd_nxt: u32,
        seq: u32,
        total_retrans: u32,
        data_segments_out: u32,
        header_len: u32,
        pmtu: u32,
        established: bool,
        srtt_us: u32,
        timeout: Option<Time>,
    }
}

mirror! {
    TcpStateChange = tcp::TcpStateChange {
        time: Time,
        netns: u32,
        flow: Flow,
        established: bool,
        bytes_acked: u64,
        bytes_received: u64,
        last_ack: Option<Time>,
        data_segments_out: u32,
        data_segments_in: u32,
        total_retrans: u32,
        header_len: u32,
        mss: u32,
        unacked: u32,
    }
}

mirror_names! {
    HoleState = tcp::HoleState {
        Open,
        Filled,
        Reset,
    }
}

mirror! {
    TcpHole = tcp::TcpHole {
        time: Time,
        ifindex: u32,
        flow: Flow,
        since: Time,
        last: Time,
        state: HoleState,
        ack: u32,
        missing: u32,
        first: u32,
        beyond: u32,
        reports: u32,
        tcp_header: u32,
        arrived: Vec<Arrival>,
    }
}

mirror! {
    Arrival = tcp::Arrival {
        time: Time,
        size: u32,
    }
}
