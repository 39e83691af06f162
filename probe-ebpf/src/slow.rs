//! Counting a packet whose headers are at variable offsets, not in the linear part, or contradict themselves: its first
//! bytes are copied by helper and read within a window.
use crate::{
    event::{self, Facts},
    flow::Flow,
    maps::{self, Use},
    packet::{NotPacket, Packet, class_of, flag},
    segments::{self, Segments},
    size_histogram::{add_one, add_segments},
    skip,
    window::{WINDOW, Window, bounded},
};
use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_skb_load_bytes};
use network_types::eth::EthHdr;
use probe_common::{
    interface::{InterfaceConfig, InterfaceStats},
    skip::Skip,
};

/// Counts the packet; gives the bits of its [`Facts`].
#[inline(never)]
pub fn observe<const DIRECTION: u8, const L2: usize>(
    skb: *mut __sk_buff,
    config: &InterfaceConfig,
    stats: &mut InterfaceStats,
) -> u64 {
    match read::<L2>(skb) {
        Ok((window, packet)) => count::<DIRECTION>(skb, config, stats, &window, &packet).bits(),
        Err(reason) => {
            match reason {
                NotPacket::NotIp => stats.not_ip += 1,
                NotPacket::Skip(reason) => skip::count(reason),
            }
            Facts::ORDINARY.bits()
        }
    }
}

/// Reads the headers.
#[inline(always)]
fn read<const L2: usize>(skb: *mut __sk_buff) -> Result<(Window<'static>, Packet), NotPacket> {
    let truncated = NotPacket::Skip(Skip::Truncated);
    // SAFETY: the context is valid for the whole program.
    let (length, protocol) = unsafe { ((*skb).len, (*skb).protocol) };
    let memory = maps::window(Use::Hook).ok_or(truncated)?;
    let wanted = bounded::<{ WINDOW as u32 }>(length).ok_or(truncated)?;
    // SAFETY: the helper checks the packet's bounds, `wanted` those of the window.
    if unsafe { bpf_skb_load_bytes(skb.cast(), 0, memory.bytes.as_mut_ptr().cast(), wanted) } != 0 {
        return Err(truncated);
    }
    let window = Window::new(memory, wanted as usize);
    let packet = if L2 == EthHdr::LEN {
        Packet::from_ethernet(&window)
    } else {
        Packet::from_network(&window, 0, u16::from_be(protocol as u16))
    }?;
    Ok((window, packet.forget(&window)))
}

#[inline(always)]
fn count<const DIRECTION: u8>(
    skb: *mut __sk_buff,
    config: &InterfaceConfig,
    stats: &mut InterfaceStats,
    window: &Window<'_>,
    packet: &Packet,
) -> Facts {
    // SAFETY: the context is valid for the whole program.
    let (length, gso_size, gso_segs) = unsafe { ((*skb).len, (*skb).gso_size, (*skb).gso_segs) };
    let network = packet.network as u32;
    let available = length.saturating_sub(network);
    let class = if packet.flags & flag::LATER_FRAGMENT != 0 || packet.incomplete.is_some() {
        class_of(packet.ethertype, u8::MAX)
    } else {
        class_of(packet.ethertype, packet.protocol)
    };
    let class = window.forget(class as u64) as usize;
    if let Some(reason) = packet.incomplete {
        skip::count(reason);
    }
    let df = packet.flags & flag::DF != 0;
    let (size, count) = if gso_size == 0 {
        let (size, reason) = packet.size(available);
        if let Some(reason) = reason {
            skip::count(reason);
        }
        let size = window.forget(size.into()) as u32;
        add_one(stats, size, class, df);
        (size, 1)
    } else {
        let segments = match segments::headers(window, packet, available) {
            Some(headers) => {
                let jumbo = if packet.flags & flag::JUMBO != 0 { 8 } else { 0 };
                Segments::of(available.saturating_sub(jumbo), headers, gso_size, gso_segs)
            }
            None => {
                skip::count(Skip::GsoHeaders);
                Segments::unknown(available, gso_size, gso_segs)
            }
        };
        let segments = segments.forget(window);
        add_segments(stats, segments, class, df);
        (segments.largest(), segments.count)
    };
    if packet.flags & flag::FIRST_FRAGMENT != 0 {
        stats.fragments_first += 1;
    }
    if packet.flags & flag::LATER_FRAGMENT != 0 {
        stats.fragments_more += 1;
    }
    let flags = packet.flags & (flag::FIRST_FRAGMENT | flag::SYN | flag::PACKET_TOO_BIG);
    if size <= config.limit[usize::from(DIRECTION)] && flags == 0 {
        return Facts::ORDINARY;
    }
    let facts = window.forget(Facts::new(size, count, network, flags.into()).bits());
    event::follow::<DIRECTION>(config, stats, Flow::of(window, packet), Facts::from_bits(facts))
}
