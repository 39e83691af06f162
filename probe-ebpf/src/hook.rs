//! The one body of all TC programs.
//!
//! An ordinary packet is counted by [`fast`](crate::fast) and that is all. Headers at variable offsets go to
//! [`slow`](crate::slow). What an event may follow from is looked at in [`special`], and sent by [`event::send`]. Each of
//! these is a subprogram that is called from one place only, so that the verifier follows it once.
use crate::{
    event::{self, Facts, fact},
    fast::{Fast, load},
    flow::has_ports,
    maps::{self, Use},
    packet::{IPV4, IPV6, flag},
    skip, slow, tcp_hole,
    window::Window,
};
use aya_ebpf::bindings::__sk_buff;
use network_types::{ip::Ipv4Hdr, ip::Ipv6Hdr, udp::UdpHdr};
use probe_common::{
    interface::{InterfaceConfig, InterfaceStats},
    skip::Skip,
};

/// Counts a packet at a hook and sends the events that follow from it. `L2` is the length of the Ethernet header, 0 on
/// a device without.
#[inline(always)]
pub fn observe<const DIRECTION: u8, const L2: usize>(skb: *mut __sk_buff) {
    // SAFETY: the context is valid for the whole program.
    let ifindex = unsafe { (*skb).ifindex };
    let Some(config) = maps::interface(ifindex) else { return skip::count(Skip::UnknownInterface) };
    let Some(stats) = maps::stats(config.slot, DIRECTION) else { return skip::count(Skip::UnknownInterface) };
    // SAFETY: a value of this CPU alone.
    let stats = unsafe { &mut *stats };
    stats.skbs += 1;
    let facts = Fast::new::<L2>(skb).observe::<DIRECTION, L2>(config, stats);
    if facts == Facts::ORDINARY {
        return;
    }
    let facts = if facts == Facts::UNKNOWN {
        slow::observe::<DIRECTION, L2>(skb, config, stats)
    } else {
        special::<DIRECTION, L2>(skb, config, stats, facts.bits())
    };
    if facts != Facts::ORDINARY.bits() {
        event::send::<DIRECTION>(skb, config, stats, facts);
    }
}

/// A packet of the fast path from which an event may follow: finds out its flow, and whether that was decided before.
#[inline(never)]
fn special<const DIRECTION: u8, const L2: usize>(
    skb: *mut __sk_buff,
    config: &InterfaceConfig,
    stats: &mut InterfaceStats,
    facts: u64,
) -> u64 {
    let facts = Facts::from_bits(facts);
    let Some(memory) = maps::window(Use::Hook) else { return Facts::ORDINARY.bits() };
    let window = Window::new(memory, 0);
    let flow = window.flow();
    flow.clear();
    // After the helper: kept over its call, the end of the packet is widened by shifts, which the verifier refuses.
    // SAFETY: the context is valid for the whole program.
    let (start, end) = unsafe { ((*skb).data as usize, (*skb).data_end as usize) };
    let network = start + L2;
    // SAFETY: all below `end`, as compared.
    unsafe {
        let transport = if facts.flags() & flag::IPV6 != 0 {
            let transport = network + Ipv6Hdr::LEN;
            if transport + UdpHdr::LEN > end {
                return Facts::ORDINARY.bits();
            }
            flow.ethertype = IPV6;
            flow.protocol = load(network + 6);
            flow.service = load(network);
            let mut word = 0;
            while word < 8 {
                flow.addresses[word] = load(network + 8 + word * 4);
                word += 1;
            }
            load(transport)
        } else {
            let transport = network + Ipv4Hdr::LEN;
            if transport + UdpHdr::LEN > end {
                return Facts::ORDINARY.bits();
            }
            flow.ethertype = IPV4;
            flow.protocol = load(network + 9);
            flow.service = load::<u8>(network + 1).into();
            flow.addresses[0] = load(network + 12);
            flow.addresses[4] = load(network + 16);
            load(transport)
        };
        if has_ports(flow.protocol) {
            flow.ports = transport;
        }
    }
    if facts.has(fact::SACK | fact::WATCHED) {
        tcp_hole::observe::<DIRECTION>(skb, config, facts.bits());
    }
    event::follow::<DIRECTION>(config, stats, flow, facts).bits()
}
