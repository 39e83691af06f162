//! TCP connections that open and close (`sock:inet_sock_set_state`): what a connection delivered.
use crate::{
    gate::Gate,
    kernel::{Trusted, offset},
    maps, owner, ring,
    tcp::{Ends, write_address},
};
use aya_ebpf::helpers::bpf_jiffies64;
use probe_common::{
    gate::class,
    record::{RecordHeader, direction, kind},
    tcp_close::TcpCloseRecord,
};

const ESTABLISHED: u32 = 1;
const SYN_SENT: u32 = 2;
/// `IPPROTO_TCP`; the tracepoint serves SCTP and others as well.
const TCP: u16 = 6;

/// A socket goes from one state to another.
#[inline(always)]
pub fn observe(socket: Trusted, old: u32, new: u32) {
    if old != ESTABLISHED && !(old == SYN_SENT && new == ESTABLISHED) {
        return;
    }
    let Some(owner) = owner::of_socket(socket) else { return };
    if socket.address().read::<u16>(&offset::SOCK_PROTOCOL) != TCP {
        return;
    }
    let Some(ends) = Ends::of(socket) else { return };
    // Thousands of connections a second to one address say the same, but one that repeated segments has its own story.
    let salt = u64::from(kind::TCP_CLOSE) << 32 | u64::from(old == ESTABLISHED);
    let repeated = socket.address().read::<u32>(&offset::TCP_TOTAL_RETRANS) > 0;
    let hash = if repeated { ends.hash(owner, salt) } else { ends.hash_remote(owner, salt) };
    let Some(mut gate) = Gate::of(hash) else { return };
    if gate.holds(1, 1) || !gate.has_token(class::SOCKET, owner.netns) {
        return;
    }
    let packets = gate.pass(class::SOCKET, owner.netns, 0, 1);
    let socket = socket.address();
    let (una, next): (u32, u32) = (socket.read(&offset::TCP_SND_UNA), socket.read(&offset::TCP_SND_NXT));
    ring::send::<TcpCloseRecord>(|record| {
        // SAFETY: the ring's memory is as large as the record.
        unsafe {
            (*record).header = RecordHeader {
                kind: kind::TCP_CLOSE,
                direction: direction::NONE,
                time_ns: ring::now(),
                packets,
                ..RecordHeader::default()
            };
            (*record).bytes_acked = socket.read(&offset::TCP_BYTES_ACKED);
            (*record).bytes_received = socket.read(&offset::TCP_BYTES_RECEIVED);
            (*record).netns = owner.netns;
            (*record).family = ends.family;
            write_address(&raw mut (*record).local, ends.local);
            write_address(&raw mut (*record).remote, ends.remote);
            (*record).local_port = ends.local_port;
            (*record).remote_port = ends.remote_port;
            (*record).last_ack_ms = last_ack_ms(socket.read(&offset::TCP_RCV_TSTAMP));
            (*record).data_segments_out = socket.read(&offset::TCP_DATA_SEGS_OUT);
            (*record).data_segments_in = socket.read(&offset::TCP_DATA_SEGS_IN);
            (*record).total_retrans = socket.read(&offset::TCP_TOTAL_RETRANS);
            (*record).mss = socket.read(&offset::TCP_MSS_CACHE);
            (*record).header_len = ends.header_len(socket);
            (*record).unacked = next.wrapping_sub(una);
            (*record).states = old << 16 | (new & 0xffff);
            (*record).pmtu = socket.read(&offset::CONNECTION_PMTU);
        }
    });
}

/// Milliseconds since a time in jiffies (`tcp_jiffies32`); 0 is no time.
#[inline(always)]
fn last_ack_ms(stamp: u32) -> u32 {
    if stamp == 0 {
        return u32::MAX;
    }
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_jiffies64() } as u32;
    let milliseconds = u64::from(now.wrapping_sub(stamp)) * maps::tick_ns() / 1_000_000;
    if milliseconds > u64::from(u32::MAX) { u32::MAX } else { milliseconds as u32 }
}
