//! From a packet that is special to the events that it causes.
use crate::{flow::Flow, fragment, oversize, packet::flag, packet_too_big, tcp_mss};
use aya_ebpf::bindings::__sk_buff;
use probe_common::interface::{InterfaceConfig, InterfaceStats, role};

/// What the counting found out about a packet, in one register.
#[derive(Clone, Copy)]
pub struct Facts(u64);

impl Facts {
    /// `size`: of the packet or its full segments in bytes; `count`: packets that it becomes; `network`: offset of the IP
    /// header; `flags`: bits of [`flag`].
    #[inline(always)]
    pub const fn new(size: u32, count: u32, network: u32, flags: u8) -> Self {
        let count = if count > 0xffff { 0xffff } else { count };
        Self(size as u64 | (count as u64) << 32 | ((network & 0xff) as u64) << 48 | (flags as u64) << 56)
    }

    /// As one number.
    #[inline(always)]
    pub const fn bits(self) -> u64 {
        self.0
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
        (self.0 >> 48) as u32 & 0xff
    }

    /// Bits of [`flag`].
    #[inline(always)]
    pub const fn flags(self) -> u8 {
        (self.0 >> 56) as u8
    }
}

/// Sends what there is to send.
#[inline(never)]
pub fn send<const DIRECTION: u8>(
    skb: *mut __sk_buff,
    config: &InterfaceConfig,
    stats: &mut InterfaceStats,
    flow: &Flow,
    facts: u64,
) {
    let facts = Facts(facts);
    if facts.size() > config.limit[DIRECTION as usize] {
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
    if facts.flags() & flag::SYN != 0 && config.role == role::POD {
        tcp_mss::send::<DIRECTION>(skb, config, flow, facts);
    }
}
