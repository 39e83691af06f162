//! Every map and every global that user space sets, each behind a typed accessor.
use crate::window;
use aya_ebpf::{
    Global,
    bindings::BPF_NOEXIST,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use probe_common::{
    gate::{self, FlowGate, TokenBucket},
    interface::{CONFIG_SLOTS, InterfaceConfig, InterfaceStats},
    oversize::{FITTING_SLOTS, FittingDestination, TunnelLimit},
    size_drop::{REASON_SLOTS, SizeDropRecord},
    skip,
    tcp_hole::{ARRIVAL_PLACES, HOLE_PLACES, TcpArrivals, TcpHole},
};

#[unsafe(no_mangle)]
static OUR_NETNS: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static GATE_OPEN: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static TICK_NS: Global<u32> = Global::new(4_000_000);

#[map]
static INTERFACES: Array<InterfaceConfig> = Array::with_max_entries(CONFIG_SLOTS, 0);
#[map]
static INTERFACES_BEYOND: HashMap<u32, InterfaceConfig> = HashMap::with_max_entries(1024, 0);
// Sizes of this and the ring are set at load.
#[map]
static INTERFACE_STATS: PerCpuArray<InterfaceStats> = PerCpuArray::with_max_entries(2, 0);
#[map]
static RING: RingBuf = RingBuf::with_byte_size(1 << 20, 0);
#[map]
static NETNS: HashMap<u32, u32> = HashMap::with_max_entries(4096, 0);
#[map]
static GENERATION: Array<u32> = Array::with_max_entries(1, 0);
#[map]
static FLOW_GATES: PerCpuArray<FlowGate> = PerCpuArray::with_max_entries(gate::FLOW_SLOTS, 0);
#[map]
static TOKEN_BUCKETS: PerCpuArray<TokenBucket> = PerCpuArray::with_max_entries(gate::BUCKETS, 0);
#[map]
static FITTING: PerCpuArray<FittingDestination> = PerCpuArray::with_max_entries(FITTING_SLOTS, 0);
#[map]
static TUNNEL_LIMITS: HashMap<u32, TunnelLimit> = HashMap::with_max_entries(256, 0);
#[map]
static SKIPS: PerCpuArray<u64> = PerCpuArray::with_max_entries(skip::COUNT, 0);
#[map]
static REASON_CLASSES: Array<u32> = Array::with_max_entries(REASON_SLOTS, 0);
#[map]
static LOCATIONS: HashMap<u64, u32> = HashMap::with_max_entries(4096, 0);
/// `rtnl_link_ops` of kinds of devices, learned: first those whose private area begins with the other end.
#[map]
static LINK_KINDS: Array<[u64; LINK_KINDS_KNOWN]> = Array::with_max_entries(1, 0);
#[map]
static WINDOWS: PerCpuArray<window::Memory> = PerCpuArray::with_max_entries(Use::COUNT, 0);
#[map]
static TCP_HOLES: LruHashMap<u64, TcpHole> = LruHashMap::with_max_entries(HOLE_PLACES, 0);
#[map]
static TCP_ARRIVALS: Array<TcpArrivals> = Array::with_max_entries(ARRIVAL_PLACES, 0);
#[map]
static SIZE_DROP_SCRATCH: PerCpuArray<SizeDropRecord> = PerCpuArray::with_max_entries(1, 0);

/// Kinds of devices that are remembered.
pub const LINK_KINDS_KNOWN: usize = 16;

/// Programs that may interrupt each other have a window each.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Use {
    /// The TC programs.
    Hook = 0,
    /// `kfree_skb`.
    SizeDrop = 1,
    /// `icmp_send`.
    IcmpSend = 2,
}

impl Use {
    const COUNT: u32 = 3;
}

/// Inode of the network namespace that is observed.
#[inline(always)]
pub fn our_netns() -> u32 {
    OUR_NETNS.load()
}

/// Whether the event gate is held open.
#[inline(always)]
pub fn gate_open() -> bool {
    GATE_OPEN.load() != 0
}

/// Length of a jiffy in nanoseconds.
#[inline(always)]
pub fn tick_ns() -> u64 {
    TICK_NS.load().into()
}

/// How an interface is treated; its place is shared with others, whose ifindex tells them apart.
#[inline(always)]
pub fn interface(ifindex: u32) -> Option<&'static InterfaceConfig> {
    let config = INTERFACES.get(ifindex & (CONFIG_SLOTS - 1))?;
    if config.ifindex == ifindex {
        return Some(config);
    }
    interface_beyond(ifindex)
}

#[inline(never)]
fn interface_beyond(ifindex: u32) -> Option<&'static InterfaceConfig> {
    // SAFETY: user space replaces a value as a whole and never changes the ifindex of one in use.
    unsafe { INTERFACES_BEYOND.get(&ifindex) }
}

/// Has an interface watched until a time in jiffies.
#[inline(always)]
pub fn watch(ifindex: u32, until: u32) {
    let Some(config) = INTERFACES.get_ptr_mut(ifindex & (CONFIG_SLOTS - 1)) else { return };
    // SAFETY: a value of a map; one aligned word, which others read as a whole.
    unsafe {
        if (&raw const (*config).ifindex).read_volatile() == ifindex {
            (&raw mut (*config).watched_until).write_volatile(until);
        } else if let Some(config) = INTERFACES_BEYOND.get_ptr_mut(&ifindex) {
            (&raw mut (*config).watched_until).write_volatile(until);
        }
    }
}

/// The connection with a hole.
#[inline(always)]
pub fn hole(key: u64) -> Option<*mut TcpHole> {
    TCP_HOLES.get_ptr_mut(&key)
}

/// Remembers a connection with a hole.
#[inline(always)]
pub fn remember_hole(key: u64, hole: &TcpHole) -> Result<(), i32> {
    TCP_HOLES.insert(&key, hole, 0)
}

/// The arrivals at the place of a hash.
#[inline(always)]
pub fn arrivals(pair: u32) -> Option<*mut TcpArrivals> {
    TCP_ARRIVALS.get_ptr_mut(pair & (ARRIVAL_PLACES - 1))
}

/// This CPU's counters of an interface and direction.
#[inline(always)]
pub fn stats(slot: u32, direction: u8) -> Option<*mut InterfaceStats> {
    INTERFACE_STATS.get_ptr_mut(slot * 2 + u32::from(direction))
}

/// The ring of records.
#[inline(always)]
pub fn ring() -> &'static RingBuf {
    &RING
}

/// Whether a network namespace is one of this node's.
#[inline(always)]
pub fn is_known_netns(inode: u32) -> bool {
    // SAFETY: a value is only compared with null.
    unsafe { NETNS.get(&inode) }.is_some()
}

/// The generation of links and routes.
#[inline(always)]
pub fn generation() -> u32 {
    GENERATION.get(0).copied().unwrap_or(0)
}

/// What the gate remembers at the place of a hash.
#[inline(always)]
pub fn flow_gate(hash: u32) -> Option<*mut FlowGate> {
    FLOW_GATES.get_ptr_mut(hash & (gate::FLOW_SLOTS - 1))
}

/// A token bucket.
#[inline(always)]
pub fn token_bucket(place: u32) -> Option<*mut TokenBucket> {
    TOKEN_BUCKETS.get_ptr_mut(place)
}

/// The cached verdict at the place of a hash.
#[inline(always)]
pub fn fitting(hash: u32) -> Option<*mut FittingDestination> {
    FITTING.get_ptr_mut(hash & (FITTING_SLOTS - 1))
}

/// The largest inner packet that a tunnel device takes.
#[inline(always)]
pub fn tunnel_limit(ifindex: u32) -> Option<u32> {
    // SAFETY: the value is one aligned word.
    unsafe { TUNNEL_LIMITS.get(&ifindex) }.map(|tunnel| tunnel.limit)
}

/// The counter of a reason to skip.
#[inline(always)]
pub fn skips(reason: u32) -> Option<*mut u64> {
    SKIPS.get_ptr_mut(reason)
}

/// What to do with a drop for a reason; `None` for reasons of subsystems.
#[inline(always)]
pub fn reason_class(reason: u32) -> Option<u32> {
    REASON_CLASSES.get(reason).copied()
}

/// What to do with a drop at a place; `None` if it was not met before.
#[inline(always)]
pub fn location_class(address: u64) -> Option<u32> {
    // SAFETY: the value is one aligned word.
    unsafe { LOCATIONS.get(&address) }.copied()
}

/// Remembers a place; false if it was there or there is no room.
#[inline(always)]
pub fn remember_location(address: u64, class: u32) -> Result<(), i32> {
    LOCATIONS.insert(&address, &class, u64::from(BPF_NOEXIST))
}

/// The learned `rtnl_link_ops`.
#[inline(always)]
pub fn link_kinds() -> Option<*mut [u64; LINK_KINDS_KNOWN]> {
    LINK_KINDS.get_ptr_mut(0)
}

/// Memory for the first bytes of a packet.
#[inline(always)]
pub fn window(owner: Use) -> Option<&'static mut window::Memory> {
    // SAFETY: one program uses it at a time, see `Use`.
    WINDOWS.get_ptr_mut(owner as u32).map(|memory| unsafe { &mut *memory })
}

/// Memory for a record of `kfree_skb`.
#[inline(always)]
pub fn size_drop_scratch() -> Option<*mut SizeDropRecord> {
    SIZE_DROP_SCRATCH.get_ptr_mut(0)
}
