//! Records on their way to user space. The ring never wakes it: it looks by itself.
use crate::{maps, skip, window::bounded};
use aya_ebpf::{
    bindings::__sk_buff, bindings::BPF_RB_NO_WAKEUP, helpers::bpf_ktime_get_ns,
    helpers::generated::bpf_skb_load_bytes, maps::ring_buf::RingBufEntry,
};
use probe_common::{
    record::{PacketBytes, RecordHeader, SNAP},
    skip::Skip,
};

const FLAGS: u64 = BPF_RB_NO_WAKEUP as u64;

/// Makes a record in the ring: `fill` writes it.
#[inline(always)]
pub fn send<T: 'static>(fill: impl FnOnce(*mut T)) {
    match maps::ring().reserve::<T>(0) {
        Some(mut entry) => {
            fill(entry.as_mut_ptr());
            RingBufEntry::submit(entry, FLAGS);
        }
        None => skip::count(Skip::RingFull),
    }
}

/// Copies a finished record into the ring.
#[inline(always)]
pub fn output<T>(record: &T) {
    if maps::ring().output::<T>(record, FLAGS).is_err() {
        skip::count(Skip::RingFull);
    }
}

/// `CLOCK_MONOTONIC` in nanoseconds.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_ns() }
}

/// Copies a packet from its network header on; gives the number of bytes.
#[inline(always)]
pub fn copy_packet(skb: *mut __sk_buff, network: u32, into: *mut PacketBytes) -> u32 {
    // SAFETY: the context is valid for the whole program.
    let len = unsafe { (*skb).len };
    let available = len.saturating_sub(network);
    let Some(wanted) = bounded::<{ SNAP as u32 }>(available) else { return 0 };
    // SAFETY: the helper checks the packet's bounds, `wanted` those of the record.
    let result = unsafe { bpf_skb_load_bytes(skb.cast(), network, into.cast(), wanted) };
    if result == 0 {
        return wanted;
    }
    skip::count(Skip::Truncated);
    0
}

/// The beginning of a record.
#[inline(always)]
pub fn header(
    kind: u16,
    direction: u8,
    l2_len: u32,
    ifindex: u32,
    packets: u32,
    captured: u32,
) -> RecordHeader {
    RecordHeader { kind, direction, l2_len: l2_len as u8, ifindex, time_ns: now(), packets, captured }
}
