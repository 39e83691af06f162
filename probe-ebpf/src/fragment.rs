//! First fragments: they alone carry ports, or the inner headers of a tunnel.
use crate::{event::Facts, flow::Flow, gate::Gate, ring};
use aya_ebpf::bindings::__sk_buff;
use probe_common::{fragment::FragmentRecord, gate::class, interface::InterfaceConfig, record::kind};

/// Sends a first fragment, once per flow, hook and interval.
#[inline(always)]
pub fn send<const DIRECTION: u8>(skb: *mut __sk_buff, config: &InterfaceConfig, flow: &Flow, facts: Facts) {
    let salt = u64::from(config.ifindex) << 32 | u64::from(DIRECTION) << 16 | u64::from(kind::FRAGMENT);
    let Some(mut gate) = Gate::of(flow.hash(salt)) else { return };
    if gate.holds(1, 1) || !gate.has_token(class::FRAGMENT, config.ifindex) {
        return;
    }
    let packets = gate.pass(class::FRAGMENT, config.ifindex, 0, 1);
    ring::send::<FragmentRecord>(|record| {
        // SAFETY: the ring's memory is as large as the record.
        unsafe {
            let captured = ring::copy_packet(skb, facts.network(), &raw mut (*record).packet);
            (*record).header =
                ring::header(kind::FRAGMENT, DIRECTION, facts.network(), config.ifindex, packets, captured);
            (*record).length = facts.size();
            (*record).ethertype = flow.ethertype.into();
        }
    });
}
