//! SYN and SYN-ACK packets at pods' interfaces, uplinks and tunnels: the segment size that they announce, before and
//! after a clamp.
use crate::{event::Facts, flow::Flow, gate::Gate, ring};
use aya_ebpf::bindings::__sk_buff;
use probe_common::{gate::class, interface::InterfaceConfig, record::kind, tcp_mss::TcpMssRecord};

/// Sends a SYN, once per pair of addresses, direction and interval: what two hosts announce to each other is the same
/// for all their connections.
#[inline(always)]
pub fn send<const DIRECTION: u8>(skb: *mut __sk_buff, config: &InterfaceConfig, flow: &Flow, facts: Facts) {
    let salt = u64::from(config.ifindex) << 32 | u64::from(DIRECTION) << 16 | u64::from(kind::TCP_MSS);
    let Some(mut gate) = Gate::of(flow.hash_addresses(salt)) else { return };
    if gate.holds(1, 1) || !gate.has_token(class::TCP_MSS, config.ifindex) {
        return;
    }
    let packets = gate.pass(class::TCP_MSS, config.ifindex, 0, 1);
    ring::send::<TcpMssRecord>(|record| {
        // SAFETY: the ring's memory is as large as the record.
        unsafe {
            let captured = ring::copy_packet(skb, facts.network(), &raw mut (*record).packet);
            (*record).header =
                ring::header(kind::TCP_MSS, DIRECTION, facts.network(), config.ifindex, packets, captured);
            (*record).length = facts.size();
            (*record).ethertype = flow.ethertype.into();
        }
    });
}
