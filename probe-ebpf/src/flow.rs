//! Who talks to whom: what the gate and the route look-up go by. Pure: runs on the host as well.
use crate::{
    packet::{IPV4, Packet, flag},
    protocol,
    window::{Window, clear},
};

/// A flow, in the order of the wire.
///
/// Aligned so that it is cleared by words; byte by byte it would be a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Flow {
    /// Source and destination address; IPv4 in the first word of each half.
    pub addresses: [u32; 8],
    /// Source and destination port; 0 where there are none.
    pub ports: u32,
    /// IPv4: type of service. IPv6: the first word of the header (version, class, flow label).
    pub service: u32,
    /// EtherType in host order.
    pub ethertype: u16,
    /// IP protocol.
    pub protocol: u8,
}

/// Mixes one more word into a hash.
#[inline(always)]
pub const fn mix(hash: u64, word: u64) -> u64 {
    // The multiplier is 2^64 over the golden ratio: every bit of the word reaches the upper half.
    let product = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ (product >> 32)
}

#[inline(always)]
const fn pair(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

impl Flow {
    /// All zero.
    #[cfg(test)]
    pub const NONE: Self = Self { addresses: [0; 8], ports: 0, service: 0, ethertype: 0, protocol: 0 };

    /// Sets all to zero.
    #[inline(always)]
    pub fn clear(&mut self) {
        // SAFETY: a place of our own, aligned to words, and plain numbers.
        unsafe { clear(self) }
    }

    /// A hash of the two addresses and a number of the caller's.
    #[inline(always)]
    pub fn hash_addresses(&self, salt: u64) -> u64 {
        let mut hash = mix(salt, pair(self.addresses[0], self.addresses[4]));
        if self.ethertype != IPV4 {
            hash = mix(hash, pair(self.addresses[1], self.addresses[2]));
            hash = mix(hash, pair(self.addresses[3], self.addresses[5]));
            hash = mix(hash, pair(self.addresses[6], self.addresses[7]));
        }
        hash
    }

    /// A hash of the whole flow and a number of the caller's.
    #[inline(always)]
    pub fn hash(&self, salt: u64) -> u64 {
        mix(self.hash_addresses(salt), pair(self.ports, u32::from(self.protocol)))
    }

    /// The flow of a packet in a window, kept there.
    #[inline(always)]
    pub fn of<'a>(window: &Window<'a>, packet: &Packet) -> &'a mut Self {
        let at = packet.network;
        let flow = window.flow();
        flow.clear();
        flow.ethertype = packet.ethertype;
        flow.protocol = packet.protocol;
        if packet.ethertype == IPV4 {
            flow.service = u32::from_be(window.word(at)) >> 16 & 0xff;
            flow.addresses[0] = window.word(at + 12);
            flow.addresses[4] = window.word(at + 16);
        } else {
            flow.service = window.word(at);
            let mut word = 0;
            while word < 8 {
                flow.addresses[word] = window.word(at + 8 + word * 4);
                word += 1;
            }
        }
        if has_ports(packet.protocol) && packet.flags & flag::LATER_FRAGMENT == 0 {
            flow.ports = window.word(packet.transport);
        }
        flow
    }
}

/// Whether a protocol begins with two ports.
#[inline(always)]
pub const fn has_ports(number: u8) -> bool {
    number == protocol::TCP || number == protocol::UDP
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::IPV6;

    #[test]
    fn a_different_flow_has_a_different_hash() {
        let flow = Flow { addresses: [1, 0, 0, 0, 2, 0, 0, 0], ports: 7, ethertype: IPV4, ..Flow::NONE };
        let other = Flow { ports: 8, ..flow };
        assert_ne!(flow.hash(1) as u32, other.hash(1) as u32);
        assert_ne!(flow.hash(1) as u32, flow.hash(2) as u32);
        assert_eq!(flow.hash_addresses(1), other.hash_addresses(1));
        let mut last = flow;
        last.ethertype = IPV6;
        let before = last.hash(1);
        last.addresses[7] = 1;
        assert_ne!(before as u32, last.hash(1) as u32);
    }
}
