//! TCP connections towards a pod with a hole that its acknowledgements report, see [`probe_common::tcp_hole`].
use crate::{
    event::{Facts, fact},
    flow::{Flow, mix},
    maps::{self, Use},
    packet::{IPV4, TCP_RST, flag},
    ring, skip,
    window::{Memory, Window, bounded, clear},
};
use aya_ebpf::{
    bindings::__sk_buff,
    helpers::{bpf_jiffies64, generated::bpf_skb_load_bytes},
};
use network_types::{ip::Ipv4Hdr, ip::Ipv6Hdr};
use probe_common::{
    interface::{InterfaceConfig, role},
    record::direction::INGRESS,
    skip::Skip,
    tcp_hole::{SIZES, TcpHole, WATCH_NS, size_place, state},
};

/// The longest TCP header.
const LONGEST: u32 = 60;
/// Two bytes of padding and the timestamps option, as kernels send them (RFC 7323, appendix A).
const TIMESTAMPS: u32 = 0x0101_080a_u32.to_be();
/// Bytes of the two.
const TIMESTAMPS_LEN: usize = 12;
/// Kind of the SACK option (RFC 2018).
const SACK: u8 = 5;
/// Blocks that fit.
const MAX_BLOCKS: usize = 4;

/// What an acknowledgement reports.
struct Report {
    ack: u32,
    /// Bytes from `ack` to the first block; 0 if there is no hole.
    missing: u32,
    /// Bytes of the block that is reported first: the one that grew last.
    first: u32,
    beyond: u32,
    header_len: u32,
    is_reset: bool,
}

/// Looks at a TCP packet whose flow is in the window's memory.
#[inline(never)]
pub fn observe<const DIRECTION: u8>(skb: *mut __sk_buff, config: &InterfaceConfig, facts: u64) {
    let facts = Facts::from_bits(facts);
    if config.role != role::POD && config.role != role::UPLINK {
        return;
    }
    // At the host's end of a veth its packets come in, at an uplink they go out.
    let is_of_receiver = (DIRECTION == INGRESS) == (config.role == role::POD);
    let (Some(memory), Some(same)) = (maps::window(Use::Hook), maps::window(Use::Hook)) else { return };
    let flow: &Flow = Window::new(same, 0).flow();
    // SAFETY: the helper has no preconditions.
    let tick = unsafe { bpf_jiffies64() } as u32;
    if !facts.has(fact::SACK) && (config.watched_until.wrapping_sub(tick) as i32) < 0 {
        maps::watch(config.ifindex, 0);
        return;
    }
    let pair = pair_of(config, flow);
    if !is_of_receiver {
        arrive(pair, facts.size(), tick);
        return;
    }
    let key = flow.hash(config.ifindex.into());
    let known = maps::hole(key);
    if known.is_none() && !facts.has(fact::SACK) {
        return;
    }
    let network = if facts.flags() & flag::IPV6 != 0 { Ipv6Hdr::LEN } else { Ipv4Hdr::LEN } as u32;
    let Some(wanted) = bounded::<LONGEST>(facts.size().saturating_sub(network)) else { return };
    // SAFETY: the helper checks the packet's bounds, `wanted` those of the memory.
    let loaded = unsafe {
        bpf_skb_load_bytes(skb.cast(), facts.network() + network, memory.bytes.as_mut_ptr().cast(), wanted)
    };
    if loaded != 0 {
        return skip::count(Skip::Truncated);
    }
    let report = read(&Window::new(memory, wanted as usize), facts.has(fact::SACK));
    if report.missing != 0 {
        let watch = WATCH_NS.checked_div(maps::tick_ns()).unwrap_or(0);
        // 0 is no time.
        maps::watch(config.ifindex, tick.wrapping_add(watch as u32) | 1);
    }
    match known {
        // SAFETY: a value of a map stays memory of ours, whatever becomes of its key.
        Some(hole) => follow(unsafe { &mut *hole }, &report, tick),
        None if report.missing != 0 => begin(memory, config, flow, (key, pair), &report, tick),
        None => {}
    }
}

/// Reads the header of an acknowledgement; the option only where there is room for it.
#[inline(always)]
fn read(window: &Window<'_>, has_option: bool) -> Report {
    let ack = u32::from_be(window.word(8));
    let is_reset = window.u8(13).unwrap_or(0) & TCP_RST != 0;
    let mut report = Report { ack, missing: 0, first: 0, beyond: 0, header_len: 20, is_reset };
    if !has_option {
        return report;
    }
    let mut at = 20;
    if window.word(20) == TIMESTAMPS {
        at += TIMESTAMPS_LEN;
        report.header_len += TIMESTAMPS_LEN as u32;
    }
    let length = usize::from(window.u8(at + 3).unwrap_or(0));
    if window.u8(at + 2) != Some(SACK) || at + 2 + length > window.len() {
        return report;
    }
    let mut block = 0;
    while block < MAX_BLOCKS {
        let place = at + 4 + block * 8;
        if 2 + block * 8 + 8 > length {
            break;
        }
        let (left, right) = (u32::from_be(window.word(place)), u32::from_be(window.word(place + 4)));
        let distance = left.wrapping_sub(ack);
        // A block at or below `ack` reports a duplicate (RFC 2883), no hole.
        if distance != 0 && distance < 1 << 31 {
            let bytes = right.wrapping_sub(left);
            if report.missing == 0 || distance < report.missing {
                report.missing = distance;
            }
            if report.first == 0 {
                report.first = bytes;
            }
            report.beyond = report.beyond.wrapping_add(bytes);
        }
        block += 1;
    }
    report
}

/// A packet of the pod belongs to a connection with a hole.
#[inline(always)]
fn follow(hole: &mut TcpHole, report: &Report, tick: u32) {
    if hole.ack == report.ack {
        hole.last_tick = tick;
        if report.is_reset && hole.state == state::OPEN {
            hole.state = state::RESET;
        }
        if report.missing != 0 {
            hole.missing = report.missing;
            hole.beyond = report.beyond;
            hole.reports = hole.reports.wrapping_add(1);
        }
        return;
    }
    if report.missing == 0 {
        if hole.state == state::OPEN {
            hole.state = state::FILLED;
            hole.last_tick = tick;
        }
        return;
    }
    // The first hole was filled, and there is another.
    hole.since_ns = ring::now();
    hole.since_tick = tick;
    write(hole, report, tick);
}

#[inline(always)]
fn write(hole: &mut TcpHole, report: &Report, tick: u32) {
    hole.last_tick = tick;
    hole.state = state::OPEN;
    hole.ack = report.ack;
    hole.missing = report.missing;
    hole.first = report.first;
    hole.beyond = report.beyond;
    hole.reports = 1;
    hole.header_len = report.header_len;
}

/// Remembers a connection whose first hole this is.
#[inline(always)]
fn begin(
    memory: &mut Memory,
    config: &InterfaceConfig,
    flow: &Flow,
    (key, pair): (u64, u32),
    report: &Report,
    tick: u32,
) {
    const { assert!(size_of::<TcpHole>() <= crate::window::WINDOW) };
    let place = memory.bytes.as_mut_ptr().cast::<TcpHole>();
    // SAFETY: large enough, aligned to words (the memory begins with the bytes), and plain numbers.
    let hole = unsafe {
        clear(place);
        &mut *place
    };
    let mut word = 0;
    while word < 8 {
        hole.addresses[word] = flow.addresses[word];
        word += 1;
    }
    hole.ports = flow.ports;
    hole.ethertype = flow.ethertype.into();
    hole.ifindex = config.ifindex;
    hole.pair = pair;
    hole.since_ns = ring::now();
    hole.since_tick = tick;
    write(hole, report, tick);
    if maps::remember_hole(key, hole).is_err() {
        skip::count(Skip::MapFull);
        return;
    }
    let Some(arrivals) = maps::arrivals(pair) else { return };
    // SAFETY: a value of a map; another CPU at the same time mixes up two pairs at worst, and each is compared.
    let arrivals = unsafe { &mut *arrivals };
    if arrivals.pair != pair {
        let mut place = 0;
        while place < SIZES {
            arrivals.sizes[place] = 0;
            place += 1;
        }
        arrivals.pair = pair;
    }
}

/// A packet came to the pod.
#[inline(always)]
fn arrive(pair: u32, size: u32, tick: u32) {
    let Some(arrivals) = maps::arrivals(pair) else { return };
    // SAFETY: as above.
    let arrivals = unsafe { &mut *arrivals };
    if arrivals.pair != pair {
        return;
    }
    let place = size_place(size) & (SIZES - 1);
    arrivals.ticks[place] = tick;
    arrivals.sizes[place] = size;
}

/// A hash of interface and addresses, the same for both directions; never 0.
#[inline(always)]
fn pair_of(config: &InterfaceConfig, flow: &Flow) -> u32 {
    let words = |at: usize| u64::from(flow.addresses[at]) << 32 | u64::from(flow.addresses[at + 1]);
    let end = |at: usize| {
        let hash = mix(config.ifindex.into(), words(at));
        if flow.ethertype == IPV4 { hash } else { mix(hash, words(at + 2)) }
    };
    end(0).wrapping_add(end(4)) as u32 | 1 << 31
}
