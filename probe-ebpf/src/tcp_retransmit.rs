//! TCP retransmits (`tcp:tcp_retransmit_skb`).
use crate::{
    buffer::Buffer,
    gate::Gate,
    kernel::{Trusted, offset},
    maps, owner, ring,
    tcp::{Ends, write_address},
};
use probe_common::{
    gate::class,
    record::{RecordHeader, direction, kind},
    tcp_retransmit::TcpRetransmitRecord,
};

/// A segment was sent again.
#[inline(always)]
pub fn observe(socket: Trusted, skb: Trusted) {
    let Some(owner) = owner::of_socket(socket) else { return };
    let Some(ends) = Ends::of(socket) else { return };
    let Some(mut gate) = Gate::of(ends.hash(owner, kind::TCP_RETRANSMIT.into())) else { return };
    if gate.holds(1, 1) || !gate.has_token(class::SOCKET, owner.netns) {
        return;
    }
    let packets = gate.pass(class::SOCKET, owner.netns, 0, 1);
    let socket = socket.address();
    let control = skb.address().at(&offset::SK_BUFF_CB);
    let segments: u16 = control.read(&offset::TCP_SKB_CB_GSO_SEGS);
    let gso_size: u16 = control.read(&offset::TCP_SKB_CB_GSO_SIZE);
    ring::send::<TcpRetransmitRecord>(|record| {
        // SAFETY: the ring's memory is as large as the record.
        unsafe {
            (*record).header = RecordHeader {
                kind: kind::TCP_RETRANSMIT,
                direction: direction::NONE,
                time_ns: ring::now(),
                packets,
                ..RecordHeader::default()
            };
            (*record).bytes_acked = socket.read(&offset::TCP_BYTES_ACKED);
            (*record).netns = owner.netns;
            (*record).family = ends.family;
            write_address(&raw mut (*record).local, ends.local);
            write_address(&raw mut (*record).remote, ends.remote);
            (*record).local_port = ends.local_port;
            (*record).remote_port = ends.remote_port;
            (*record).payload = Buffer(skb).len();
            (*record).gso_size = if segments > 1 { gso_size.into() } else { 0 };
            (*record).mss = socket.read(&offset::TCP_MSS_CACHE);
            (*record).snd_una = socket.read(&offset::TCP_SND_UNA);
            (*record).snd_nxt = socket.read(&offset::TCP_SND_NXT);
            (*record).seq = control.read(&offset::TCP_SKB_CB_SEQ);
            (*record).total_retrans = socket.read(&offset::TCP_TOTAL_RETRANS);
            (*record).data_segments_out = socket.read(&offset::TCP_DATA_SEGS_OUT);
            (*record).header_len = ends.header_len(socket);
            (*record).pmtu = socket.read(&offset::CONNECTION_PMTU);
            (*record).state = socket.read::<u8>(&offset::SOCK_STATE).into();
            // The kernel keeps eight times the round-trip time.
            (*record).srtt_us = socket.read::<u32>(&offset::TCP_SRTT_US) >> 3;
            let rto: u32 = socket.read(&offset::CONNECTION_RTO);
            (*record).rto_ms = (u64::from(rto) * maps::tick_ns() / 1_000_000) as u32;
        }
    });
}
