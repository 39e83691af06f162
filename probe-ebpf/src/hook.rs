//! The one body of all TC programs.
//!
//! An ordinary packet is counted here by array look-ups and direct packet access at constant offsets, without a helper
//! call. What is rare goes to [`slow`] (headers at variable offsets) or [`special`] (an event may follow).
use crate::{
    event::{self, Facts},
    flow::{Flow, has_ports},
    maps::{self, Use},
    packet::{
        IPV4, IPV6, NotPacket, Packet, TCP_SYN, class_of, flag, is_extension, is_packet_too_big, protocol,
    },
    segments::{self, Segments},
    size_histogram::{add_one, add_segments},
    skip,
    window::{WINDOW, Window, opaque},
};
use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_skb_load_bytes};
use network_types::{eth::EthHdr, ip::Ipv4Hdr, ip::Ipv6Hdr, tcp::TcpHdr, udp::UdpHdr};
use probe_common::{
    interface::{InterfaceConfig, InterfaceStats, protocol_class},
    skip::Skip,
};

/// A packet on the fast path: where it lies, and what the socket buffer says.
#[derive(Clone, Copy)]
struct Fast {
    skb: *mut __sk_buff,
    /// Address of the first byte and of the end of the linear part.
    start: usize,
    end: usize,
    /// Bytes from the network header on.
    total: u32,
    gso_size: u32,
}

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
    // SAFETY: as above.
    let fast = unsafe {
        Fast {
            skb,
            start: (*skb).data as usize,
            end: (*skb).data_end as usize,
            total: (*skb).len - L2 as u32,
            gso_size: (*skb).gso_size,
        }
    };
    if !fast.observe::<DIRECTION, L2>(config, stats) {
        slow::<DIRECTION, L2>(skb, config, stats);
    }
}

impl Fast {
    /// False, with nothing counted, if the packet has to go the slow way.
    #[inline(always)]
    fn observe<const DIRECTION: u8, const L2: usize>(
        self,
        config: &InterfaceConfig,
        stats: &mut InterfaceStats,
    ) -> bool {
        let network = self.start + L2;
        if network + Ipv4Hdr::LEN + UdpHdr::LEN > self.end {
            return false;
        }
        let ethertype = if L2 == 0 {
            // SAFETY: the context is valid for the whole program.
            unsafe { (*self.skb).protocol as u16 }
        } else {
            // SAFETY: below `end`.
            unsafe { load::<u16>(network - 2) }
        };
        // SAFETY: below `end`.
        let first = unsafe { load::<u8>(network) };
        if ethertype == IPV4.to_be() {
            // SAFETY: below `end`.
            let (told, fragment, number) =
                unsafe { (load::<u16>(network + 2), load::<u16>(network + 6), load::<u8>(network + 9)) };
            if first != 0x45 || fragment & 0x3fff_u16.to_be() != 0 {
                return false;
            }
            let df = fragment & 0x4000_u16.to_be() != 0;
            self.count::<DIRECTION, L2, { Ipv4Hdr::LEN }>(
                config,
                stats,
                number,
                u16::from_be(told).into(),
                df,
            )
        } else if ethertype == IPV6.to_be() {
            if network + Ipv6Hdr::LEN + UdpHdr::LEN > self.end || first >> 4 != 6 {
                return false;
            }
            // SAFETY: below `end`.
            let (payload, number) = unsafe { (load::<u16>(network + 4), load::<u8>(network + 6)) };
            let told = u32::from(u16::from_be(payload)) + Ipv6Hdr::LEN as u32;
            self.count::<DIRECTION, L2, { Ipv6Hdr::LEN }>(config, stats, number, told, false)
        } else {
            false
        }
    }

    /// The rest, for an IP header of `HEADER` bytes that is followed by at least eight more.
    #[inline(always)]
    fn count<const DIRECTION: u8, const L2: usize, const HEADER: usize>(
        self,
        config: &InterfaceConfig,
        stats: &mut InterfaceStats,
        number: u8,
        told: u32,
        df: bool,
    ) -> bool {
        let is_ipv6 = HEADER == Ipv6Hdr::LEN;
        let family = if is_ipv6 { protocol_class::IPV6 } else { 0 };
        let icmp = if is_ipv6 { protocol::ICMPV6 } else { protocol::ICMP };
        let transport = self.start + L2 + HEADER;
        let mut flags = 0;
        // Length of the TCP header; 0 for other protocols. Read here, where the verifier knows that it is there.
        let mut tcp = 0;
        let class = if number == protocol::TCP {
            if transport + TcpHdr::LEN > self.end {
                return false;
            }
            // SAFETY: below `end`.
            let (offset, bits) = unsafe { (load::<u8>(transport + 12), load::<u8>(transport + 13)) };
            tcp = u32::from(offset >> 4) * 4;
            if bits & TCP_SYN != 0 {
                flags = flag::SYN;
            }
            family + protocol_class::TCP
        } else if number == protocol::UDP {
            family + protocol_class::UDP
        } else if number == icmp {
            // SAFETY: below `end`.
            let (kind, code) = unsafe { (load::<u8>(transport), load::<u8>(transport + 1)) };
            if is_packet_too_big(if is_ipv6 { IPV6 } else { IPV4 }, kind, code) {
                flags = flag::PACKET_TOO_BIG;
            }
            family + protocol_class::ICMP
        } else if is_ipv6 && is_extension(number) {
            return false;
        } else {
            family + protocol_class::OTHER
        };
        let (size, count) = if self.gso_size == 0 {
            // Short Ethernet frames are padded; any other difference wants a closer look.
            if told != self.total && (told < HEADER as u32 || told > self.total) {
                return false;
            }
            add_one(stats, told, class, df);
            (told, 1)
        } else {
            if tcp < TcpHdr::LEN as u32 {
                return false;
            }
            // SAFETY: the context is valid for the whole program.
            let gso_segs = unsafe { (*self.skb).gso_segs };
            let segments = Segments::of(self.total, HEADER as u32 + tcp, self.gso_size, gso_segs);
            add_segments(stats, segments, class, df);
            (segments.largest(), segments.count)
        };
        if size > config.limit[usize::from(DIRECTION)] || flags != 0 {
            let facts = Facts::new(size, count, L2 as u32, flags);
            special::<DIRECTION, L2, HEADER>(self.skb, config, stats, facts.bits());
        }
        true
    }
}

/// A packet of the fast path from which an event may follow.
#[inline(never)]
fn special<const DIRECTION: u8, const L2: usize, const HEADER: usize>(
    skb: *mut __sk_buff,
    config: &InterfaceConfig,
    stats: &mut InterfaceStats,
    facts: u64,
) {
    // SAFETY: the context is valid for the whole program.
    let (start, end) = unsafe { ((*skb).data as usize, (*skb).data_end as usize) };
    let network = start + L2;
    if network + HEADER + UdpHdr::LEN > end {
        return;
    }
    let mut flow = Flow::default();
    // SAFETY: all below `end`.
    unsafe {
        if HEADER == Ipv6Hdr::LEN {
            flow.ethertype = IPV6;
            flow.protocol = load(network + 6);
            flow.service = load(network);
            let mut word = 0;
            while word < 8 {
                flow.addresses[word] = load(network + 8 + word * 4);
                word += 1;
            }
        } else {
            flow.ethertype = IPV4;
            flow.protocol = load(network + 9);
            flow.service = load::<u8>(network + 1).into();
            flow.addresses[0] = load(network + 12);
            flow.addresses[4] = load(network + 16);
        }
        if has_ports(flow.protocol) {
            flow.ports = load(network + HEADER);
        }
    }
    event::send::<DIRECTION>(skb, config, stats, &flow, facts);
}

/// A packet whose headers are at variable offsets, not in the linear part, or contradict themselves.
#[inline(never)]
fn slow<const DIRECTION: u8, const L2: usize>(
    skb: *mut __sk_buff,
    config: &InterfaceConfig,
    stats: &mut InterfaceStats,
) {
    // SAFETY: the context is valid for the whole program.
    let (length, protocol, gso_size, gso_segs) =
        unsafe { ((*skb).len, (*skb).protocol, (*skb).gso_size, (*skb).gso_segs) };
    let Some(memory) = maps::window(Use::Hook) else { return };
    // The verifier has to see both bounds on the very number that the helper gets.
    let wanted = opaque(if length > WINDOW as u32 { WINDOW as u32 } else { length });
    if wanted == 0 || wanted > WINDOW as u32 {
        return skip::count(Skip::Truncated);
    }
    // SAFETY: the helper checks the packet's bounds, `wanted` those of the window.
    if unsafe { bpf_skb_load_bytes(skb.cast(), 0, memory.bytes.as_mut_ptr().cast(), wanted) } != 0 {
        return skip::count(Skip::Truncated);
    }
    let window = Window::new(memory, wanted as usize);
    let packet = if L2 == EthHdr::LEN {
        Packet::from_ethernet(&window)
    } else {
        Packet::from_network(&window, 0, u16::from_be(protocol as u16))
    };
    let packet = match packet {
        Ok(packet) => packet.forget(&window),
        Err(NotPacket::NotIp) => {
            stats.not_ip += 1;
            return;
        }
        Err(NotPacket::Skip(reason)) => return skip::count(reason),
    };
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
        add_one(stats, size, class, df);
        (size, 1)
    } else {
        let segments = match segments::headers(&window, &packet, available) {
            Some(headers) => {
                let jumbo = if packet.flags & flag::JUMBO != 0 { 8 } else { 0 };
                Segments::of(available.saturating_sub(jumbo), headers, gso_size, gso_segs)
            }
            None => {
                skip::count(Skip::GsoHeaders);
                Segments::unknown(available, gso_size, gso_segs)
            }
        };
        let segments = segments.forget(&window);
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
    if size > config.limit[usize::from(DIRECTION)] || flags != 0 {
        let flow = Flow::of(&window, &packet);
        event::send::<DIRECTION>(skb, config, stats, &flow, Facts::new(size, count, network, flags).bits());
    }
}

/// Reads a number of the packet in the order of the wire.
///
/// # Safety
/// The bytes have to be below the end of the linear part. IP headers are aligned to four bytes (`NET_IP_ALIGN`).
#[inline(always)]
unsafe fn load<T: Copy>(address: usize) -> T {
    // SAFETY: the caller's.
    unsafe { *(address as *const T) }
}
