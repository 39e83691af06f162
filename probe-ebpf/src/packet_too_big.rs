//! ICMP errors that tell a sender to send less, at every hook and in both directions.
use crate::{
    debug,
    event::Facts,
    flow::mix,
    gate::Gate,
    maps::{self, Use},
    packet::{ICMP_HEADER, IPV4},
    ring,
    window::{WINDOW, Window, copy},
};
use aya_ebpf::bindings::__sk_buff;
use network_types::ip::Ipv6Hdr;
use probe_common::{
    gate::class,
    interface::InterfaceConfig,
    packet_too_big::PacketTooBigRecord,
    record::{PacketBytes, SNAP, kind},
};

/// Sends an ICMP error, once per flow of the original datagram, hook and interval.
#[inline(always)]
pub fn send<const DIRECTION: u8>(
    skb: *mut __sk_buff,
    config: &InterfaceConfig,
    ethertype: u16,
    facts: Facts,
) {
    let Some(memory) = maps::window(Use::Hook) else { return };
    let bytes = (&raw mut memory.bytes).cast::<PacketBytes>();
    let captured = ring::copy_packet(skb, facts.network(), bytes);
    let window = Window::new(memory, captured as usize);
    let salt = u64::from(config.ifindex) << 32 | u64::from(DIRECTION) << 16 | u64::from(kind::PACKET_TOO_BIG);
    let Some(mut gate) = Gate::of(hash_original(&window, ethertype, salt)) else { return };
    if gate.holds(1, 1) || !gate.has_token(class::PACKET_TOO_BIG, config.ifindex) {
        return;
    }
    debug::line!("interface {}: packet too big of {} bytes", config.ifindex, facts.size());
    let packets = gate.pass(class::PACKET_TOO_BIG, config.ifindex, 0, 1);
    ring::send::<PacketTooBigRecord>(|record| {
        // SAFETY: the ring's memory is as large as the record; the window is larger than a packet copy.
        unsafe {
            (*record).header = ring::header(
                kind::PACKET_TOO_BIG,
                DIRECTION,
                facts.network(),
                config.ifindex,
                packets,
                captured,
            );
            (*record).length = facts.size();
            (*record).ethertype = ethertype.into();
            copy(bytes, &raw mut (*record).packet);
        }
    });
}
const _: () = assert!(SNAP <= WINDOW);

/// A hash of the original datagram's flow and size (a prober's steps are told apart): addresses, protocol, length and the
/// first four bytes behind its header.
#[inline(always)]
fn hash_original(window: &Window<'_>, ethertype: u16, salt: u64) -> u64 {
    let word = |at| u64::from(window.word(at));
    if ethertype == IPV4 {
        let header = (u32::from_be(window.word(0)) >> 24 & 0xf) as usize * 4;
        let original = header + ICMP_HEADER;
        let hash = mix(salt, word(original + 12) << 32 | word(original + 16));
        let protocol = u32::from_be(window.word(original + 8)) >> 16 & 0xff;
        let length = u32::from_be(window.word(original)) & 0xffff;
        return mix(hash, word(original + 20) << 24 | u64::from(length) << 8 | u64::from(protocol));
    }
    let original = Ipv6Hdr::LEN + ICMP_HEADER;
    let length = u32::from_be(window.word(original + 4)) >> 16;
    let mut hash = mix(salt, word(original + Ipv6Hdr::LEN) << 16 | u64::from(length));
    let mut at = 8;
    while at < Ipv6Hdr::LEN {
        hash = mix(hash, word(original + at) << 32 | word(original + at + 4));
        at += 8;
    }
    hash
}
