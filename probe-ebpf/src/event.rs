//! From a packet that is special to the events that it causes.
use crate::{
    flow::Flow,
    fragment,
    maps::{self, Use},
    oversize,
    packet::flag,
    packet_too_big, tcp_mss,
    window::Window,
};
use aya_ebpf::bindings::__sk_buff;
use probe_common::interface::{InterfaceConfig, InterfaceStats, role};

/// What is special about a packet beyond [`flag`].
pub mod fact {
    /// A TCP acknowledgement without data whose header has room for a SACK option.
    pub const SACK: u16 = 1 << 8;
    /// A TCP packet at an interface that is watched, see [`tcp_hole`](crate::tcp_hole).
    pub const WATCHED: u16 = 1 << 9;
}

/// What the counting found out about a packet, in one register.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Facts(u64);

impl Facts {
    /// Nothing more is to be done.
    pub const ORDINARY: Self = Self(0);
    /// The headers are not where most packets have them.
    pub const UNKNOWN: Self = Self(u64::MAX);

    /// `size`: of the packet or its full segments in bytes; `count`: packets that it becomes; `network`: offset of the IP
    /// header, below 64; `flags`: bits of [`flag`] and [`fact`].
    #[inline(always)]
    pub const fn new(size: u32, count: u32, network: u32, flags: u16) -> Self {
        let count = if count > 0xffff { 0xffff } else { count };
        Self(size as u64 | (count as u64) << 32 | ((network & 0x3f) as u64) << 48 | (flags as u64) << 54)
    }

    /// As one number.
    #[inline(always)]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// From one number.
    #[inline(always)]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// With one more of [`flag`].
    #[inline(always)]
    pub const fn with(self, flag: u8) -> Self {
        Self(self.0 | (flag as u64) << 54)
    }

    /// Size in bytes of the packet, or of each full segment.
    #[inline(always)]
    pub const fn size(self) -> u32 {
        self.0 as u32
    }

    /// Packets that it becomes.
    #[inline(always)]
    pub const fn count(self) -> u32 {
        (self.0 >> 32) as u32 & 0xffff
    }

    /// Offset of the IP header.
    #[inline(always)]
    pub const fn network(self) -> u32 {
        (self.0 >> 48) as u32 & 0x3f
    }

    /// Bits of [`flag`].
    #[inline(always)]
    pub const fn flags(self) -> u8 {
        (self.0 >> 54) as u8
    }

    /// Whether it has one of some bits of [`fact`].
    #[inline(always)]
    pub const fn has(self, facts: u16) -> bool {
        (self.0 >> 54) as u16 & facts != 0
    }
}

/// Counts a candidate; gives what [`send`] has to do. Most candidates were decided before, and that is seen here.
#[inline(always)]
pub fn follow<const DIRECTION: u8>(
    config: &InterfaceConfig,
    stats: &mut InterfaceStats,
    flow: &Flow,
    facts: Facts,
) -> Facts {
    let mut facts = facts;
    if facts.size() > config.limit[DIRECTION as usize]
        && !oversize::settle::<DIRECTION>(config, stats, flow, facts)
    {
        facts = facts.with(flag::CANDIDATE);
    }
    let events = flag::CANDIDATE | flag::PACKET_TOO_BIG | flag::FIRST_FRAGMENT | flag::SYN;
    if facts.flags() & events == 0 { Facts::ORDINARY } else { facts }
}

/// Sends what there is to send about the packet whose flow is in the window's memory.
#[inline(never)]
pub fn send<const DIRECTION: u8>(
    skb: *mut __sk_buff,
    config: &InterfaceConfig,
    stats: &mut InterfaceStats,
    facts: u64,
) {
    let facts = Facts(facts);
    let Some(memory) = maps::window(Use::Hook) else { return };
    let window = Window::new(memory, 0);
    let flow: &Flow = window.flow();
    if facts.flags() & flag::CANDIDATE != 0 {
        oversize::judge::<DIRECTION>(skb, config, stats, flow, facts);
    }
    if facts.flags() & flag::PACKET_TOO_BIG != 0 {
        packet_too_big::send::<DIRECTION>(skb, config, flow.ethertype, facts);
    }
    if facts.flags() & flag::FIRST_FRAGMENT != 0 {
        match config.role {
            role::UPLINK | role::POD | role::OVERLAY | role::PORT => {
                fragment::send::<DIRECTION>(skb, config, flow, facts);
            }
            _ => {}
        }
    }
    if facts.flags() & flag::SYN != 0 {
        match config.role {
            role::POD | role::UPLINK | role::OVERLAY => tcp_mss::send::<DIRECTION>(skb, config, flow, facts),
            _ => {}
        }
    }
}
