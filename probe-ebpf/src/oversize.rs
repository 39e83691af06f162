//! Candidates (above the smallest limit of their interface), and which of them are oversize (above their own egress).
use crate::{debug, event::Facts, flow::Flow, gate::Gate, maps, packet::IPV4, ring, window::clear};
use aya_ebpf::{
    bindings::{
        __sk_buff, BPF_FIB_LKUP_RET_FRAG_NEEDED, BPF_FIB_LKUP_RET_NO_NEIGH, BPF_FIB_LKUP_RET_SUCCESS,
        bpf_fib_lookup as FibLookup,
    },
    helpers::generated::bpf_fib_lookup,
};
use core::mem::MaybeUninit;
use probe_common::{
    gate::class,
    interface::{InterfaceConfig, InterfaceStats, NO_LIMIT, role},
    oversize::{FittingDestination, OversizeRecord, how},
    record::{direction, kind},
};

/// `skb->pkt_type` of broadcast and multicast frames (`PACKET_BROADCAST`, `PACKET_MULTICAST`).
const GROUP: core::ops::RangeInclusive<u32> = 1..=2;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Version, class and flow label: what the kernel takes from an IPv6 header's first word (`IPV6_FLOWINFO_MASK`).
const FLOW_INFO: u32 = 0x0fff_ffff_u32.to_be();

/// Who says that the packet is too big.
struct Verdict {
    limit: u32,
    how: u32,
    egress_ifindex: u32,
}

/// The gate of a candidate.
#[inline(always)]
fn gate<const DIRECTION: u8>(config: &InterfaceConfig, flow: &Flow) -> Option<Gate> {
    Gate::of(flow.hash(
        u64::from(config.ifindex) << 32 | u64::from(DIRECTION) << 16 | u64::from(kind::OVERSIZE),
    ))
}

/// Counts a candidate; true if no more is to be done, because it was just reported for this flow, or fits as others
/// between these two addresses.
#[inline(always)]
pub fn settle<const DIRECTION: u8>(
    config: &InterfaceConfig,
    stats: &mut InterfaceStats,
    flow: &Flow,
    facts: Facts,
) -> bool {
    stats.candidates += u64::from(facts.count());
    if facts.size() > config.pod_mtu {
        stats.above_pod_mtu += u64::from(facts.count());
    }
    let Some(mut gate) = gate::<DIRECTION>(config, flow) else { return true };
    if gate.holds(facts.size(), facts.count()) {
        stats.oversize += u64::from(facts.count());
        return true;
    }
    DIRECTION == direction::INGRESS
        && cached(config, flow).is_some_and(|cached| is_fitting(cached, config, flow, facts.size()))
}

/// Decides on a candidate that is not settled, and reports it if it is oversize.
#[inline(always)]
pub fn judge<const DIRECTION: u8>(
    skb: *mut __sk_buff,
    config: &InterfaceConfig,
    stats: &mut InterfaceStats,
    flow: &Flow,
    facts: Facts,
) {
    let Some(gate) = gate::<DIRECTION>(config, flow) else { return };
    let verdict = if DIRECTION == direction::EGRESS {
        at_egress(skb, config, facts.size())
    } else {
        at_ingress(skb, config, flow, facts.size(), &gate)
    };
    let Some(verdict) = verdict else { return };
    stats.oversize += u64::from(facts.count());
    if DIRECTION == direction::EGRESS && !gate.has_token(class::OVERSIZE, config.ifindex) {
        return;
    }
    debug::line!(
        "interface {}: {} bytes, limit {}, how {}",
        config.ifindex,
        facts.size(),
        verdict.limit,
        verdict.how
    );
    let packets = gate.pass(class::OVERSIZE, config.ifindex, verdict.limit, facts.count());
    ring::send::<OversizeRecord>(|record| {
        // SAFETY: the ring's memory is as large as the record; the context is valid for the whole program.
        unsafe {
            let captured = ring::copy_packet(skb, facts.network(), &raw mut (*record).packet);
            (*record).header =
                ring::header(kind::OVERSIZE, DIRECTION, facts.network(), config.ifindex, packets, captured);
            (*record).length = facts.size();
            (*record).limit = verdict.limit;
            (*record).how = verdict.how;
            (*record).egress_ifindex = verdict.egress_ifindex;
            (*record).gso_size = (*skb).gso_size;
            (*record).ethertype = flow.ethertype.into();
        }
    });
}

/// At the egress hook the device itself is the limit. A veth asks its other end, and only for ordinary packets
/// (`is_skb_forwardable` lets segmentation-offload packets pass); the limit of a pod's veth is for those that come in.
#[inline(always)]
fn at_egress(skb: *mut __sk_buff, config: &InterfaceConfig, size: u32) -> Option<Verdict> {
    // SAFETY: the context is valid for the whole program.
    let gso_size = unsafe { (*skb).gso_size };
    if size > config.peer_limit && gso_size == 0 {
        return Some(Verdict { limit: config.peer_limit, how: how::PEER, egress_ifindex: config.ifindex });
    }
    if config.role == role::POD || config.peer_limit != NO_LIMIT {
        return None;
    }
    let limit = config.limit[direction::EGRESS as usize];
    Some(Verdict { limit, how: how::DEVICE, egress_ifindex: config.ifindex })
}

/// At the ingress hook the route is asked.
#[inline(always)]
fn at_ingress(
    skb: *mut __sk_buff,
    config: &InterfaceConfig,
    flow: &Flow,
    size: u32,
    gate: &Gate,
) -> Option<Verdict> {
    // SAFETY: the context is valid for the whole program.
    let pkt_type = unsafe { (*skb).pkt_type };
    if GROUP.contains(&pkt_type) || is_group(flow) {
        return None;
    }
    if !gate.has_token(class::OVERSIZE, config.ifindex) {
        return None;
    }
    // Read before the route is asked: a change meanwhile ends the verdict.
    let generation = maps::generation();
    let fits = match ask_route(skb, config.ifindex, flow, size) {
        Ok(fits) => fits,
        Err(verdict) => return Some(verdict),
    };
    let cached = cached(config, flow)?;
    cached.fits = fits;
    cached.generation = generation;
    cached.ifindex = config.ifindex;
    cached.ethertype = flow.ethertype.into();
    write_addresses(cached, flow);
    None
}

/// The place of the cached verdict on a pair of addresses.
#[inline(always)]
fn cached(config: &InterfaceConfig, flow: &Flow) -> Option<&'static mut FittingDestination> {
    // SAFETY: a value of this CPU alone.
    maps::fitting(flow.hash_addresses(config.ifindex.into()) as u32).map(|cached| unsafe { &mut *cached })
}

#[inline(always)]
fn is_fitting(cached: &FittingDestination, config: &InterfaceConfig, flow: &Flow, size: u32) -> bool {
    size <= cached.fits
        && cached.ifindex == config.ifindex
        && cached.generation == maps::generation()
        && is_between(cached, flow)
}

/// Aligned to words.
#[repr(C, align(8))]
struct Words<T>(T);

/// Asks the routing table; gives the size that certainly fits.
#[inline(always)]
fn ask_route(skb: *mut __sk_buff, ifindex: u32, flow: &Flow, size: u32) -> Result<u32, Verdict> {
    let mut place = Words(MaybeUninit::<FibLookup>::uninit());
    // SAFETY: plain numbers in a place of our own that is aligned to words.
    let route = unsafe {
        clear(place.0.as_mut_ptr());
        place.0.assume_init_mut()
    };
    route.l4_protocol = flow.protocol;
    route.sport = if cfg!(target_endian = "little") { flow.ports as u16 } else { (flow.ports >> 16) as u16 };
    route.dport = if cfg!(target_endian = "little") { (flow.ports >> 16) as u16 } else { flow.ports as u16 };
    route.__bindgen_anon_1.tot_len = size as u16;
    route.ifindex = ifindex;
    let a = &flow.addresses;
    if flow.ethertype == IPV4 {
        route.family = AF_INET;
        route.__bindgen_anon_2.tos = flow.service as u8;
        route.__bindgen_anon_3.ipv4_src = a[0];
        route.__bindgen_anon_4.ipv4_dst = a[4];
    } else {
        route.family = AF_INET6;
        route.__bindgen_anon_2.flowinfo = flow.service & FLOW_INFO;
        route.__bindgen_anon_3.ipv6_src = [a[0], a[1], a[2], a[3]];
        route.__bindgen_anon_4.ipv6_dst = [a[4], a[5], a[6], a[7]];
    }
    // SAFETY: the pointer and the size are those of the structure.
    let answer =
        unsafe { bpf_fib_lookup(skb.cast(), &raw mut *route, size_of::<FibLookup>() as i32, 0) } as u32;
    if answer == BPF_FIB_LKUP_RET_FRAG_NEEDED {
        // The kernel tells the MTU here, and not by which interface.
        // SAFETY: any bits are a number.
        let limit = unsafe { route.__bindgen_anon_1.mtu_result };
        return Err(Verdict { limit: limit.into(), how: how::ROUTE, egress_ifindex: 0 });
    }
    if answer != BPF_FIB_LKUP_RET_SUCCESS && answer != BPF_FIB_LKUP_RET_NO_NEIGH {
        // Local, not forwarded, a black hole …: not for its size.
        return Ok(u32::from(u16::MAX));
    }
    if let Some(limit) = maps::tunnel_limit(route.ifindex) {
        if size > limit {
            return Err(Verdict { limit, how: how::TUNNEL, egress_ifindex: route.ifindex });
        }
    }
    Ok(size)
}

/// Whether a packet goes to more than one host: nobody tells the sender of such.
#[inline(always)]
fn is_group(flow: &Flow) -> bool {
    let first = u32::from_be(flow.addresses[4]) >> 24;
    if flow.ethertype == IPV4 { first >= 224 } else { first == 255 }
}

#[inline(always)]
fn is_between(cached: &FittingDestination, flow: &Flow) -> bool {
    let mut differs = cached.ethertype ^ u32::from(flow.ethertype);
    let mut word = 0;
    while word < 8 {
        differs |= cached_word(cached, word) ^ flow.addresses[word];
        word += 1;
    }
    differs == 0
}

#[inline(always)]
fn cached_word(cached: &FittingDestination, word: usize) -> u32 {
    // SAFETY: eight words, and the structure is aligned to four bytes.
    unsafe { *cached.addresses.as_ptr().cast::<u32>().add(word) }
}

#[inline(always)]
fn write_addresses(cached: &mut FittingDestination, flow: &Flow) {
    let mut word = 0;
    while word < 8 {
        // SAFETY: as in `cached_word`.
        unsafe { *cached.addresses.as_mut_ptr().cast::<u32>().add(word) = flow.addresses[word] };
        word += 1;
    }
}
const _: () = assert!(core::mem::offset_of!(FittingDestination, addresses) == 0);
