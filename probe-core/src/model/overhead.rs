//! What each way of wrapping a packet adds to it, in bytes, and the largest packet that fits into what is left.
//!
//! Plain arithmetic over header sizes; which of them apply is read from the tunnel device.
use super::flow::Family;

/// Ethernet, carried inside by the layer 2 tunnels.
pub const ETHERNET: u32 = 14;
/// IPv6 destination options with the tunnel encapsulation limit (RFC 2473, section 4.1.1).
pub const ENCAPSULATION_LIMIT: u32 = 8;
/// UDP.
pub const UDP: u32 = 8;
/// VXLAN (RFC 7348, section 5).
pub const VXLAN: u32 = 8;
/// Geneve without options (RFC 8926, section 3.4). Options differ from packet to packet and come on top.
pub const GENEVE: u32 = 8;
/// GRE without optional fields (RFC 2784, section 2).
pub const GRE: u32 = 4;
/// Each optional field of GRE: checksum, key, sequence number (RFC 2890, section 2).
pub const GRE_FIELD: u32 = 4;
/// ERSPAN version 1 beside GRE with a sequence number (`net/ipv4/ip_gre.c`, `erspan_hdr_len`).
pub const ERSPAN_V1: u32 = 8;
/// ERSPAN version 2 likewise.
pub const ERSPAN_V2: u32 = 12;
/// Generic UDP encapsulation without options (`struct guehdr`), beside UDP.
pub const GUE: u32 = 4;
/// WireGuard's data message header and its authentication tag (`MESSAGE_MINIMUM_LENGTH`).
pub const WIREGUARD: u32 = 32;
/// WireGuard fills inner packets up to a multiple of this (`MESSAGE_PADDING_MULTIPLE`), but not beyond the device's MTU
/// (`calculate_skb_padding`).
pub const WIREGUARD_PADDING: u32 = 16;

/// An IP header without options.
pub const fn ip(family: Family) -> u32 {
    match family {
        Family::Ipv4 => 20,
        Family::Ipv6 => 40,
    }
}

/// Largest packet whose wrapped form the underlay takes whole. `padding` is what the wrapping fills packets up to a
/// multiple of; `device` is the tunnel device's own MTU, beyond which nothing is filled up.
pub const fn largest_inner(underlay: u32, overhead: u32, padding: Option<u32>, device: u32) -> Option<u32> {
    let Some(room) = underlay.checked_sub(overhead) else { return None };
    if device <= room {
        return Some(device);
    }
    match padding {
        Some(padding) if padding > 1 => Some(room - room % padding),
        Some(_) | None => Some(room),
    }
}

/// The parts of an ESP packet (RFC 4303, section 2) that a cipher decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Esp {
    /// Initialization vector in each packet.
    pub vector: u32,
    /// Block that the encrypted part is filled up to a multiple of; at least 4.
    pub block: u32,
    /// Integrity check value.
    pub check: u32,
    /// Within UDP, to pass address translation (RFC 3948).
    pub in_udp: bool,
}

impl Esp {
    /// AES-GCM with a check value of 16 bytes (RFC 4106): what `rfc4106(gcm(aes))` of 128, 192 and 256 bits adds.
    pub const AES_GCM: Self = Self { vector: 8, block: 4, check: 16, in_udp: false };
    /// AES-CBC (RFC 3602) with HMAC-SHA-256-128 (RFC 4868).
    pub const AES_CBC_SHA256: Self = Self { vector: 16, block: 16, check: 16, in_udp: false };
    /// Security parameters index and sequence number.
    const HEADER: u32 = 8;
    /// Pad length and next header, encrypted as well.
    const TRAILER: u32 = 2;

    /// Bytes of an outer packet that are not the encrypted part, in tunnel mode.
    const fn around(self, outer: Family) -> u32 {
        let udp = if self.in_udp { UDP } else { 0 };
        ip(outer) + udp + Self::HEADER + self.vector + self.check
    }

    /// Length of the outer packet around an inner one, in tunnel mode.
    pub const fn outer_length(self, outer: Family, inner: u32) -> u32 {
        self.around(outer) + (inner + Self::TRAILER).next_multiple_of(self.block)
    }

    /// Largest inner packet whose outer one the underlay takes whole, in tunnel mode (`xfrm_state_mtu`).
    pub const fn largest_inner(self, outer: Family, underlay: u32) -> Option<u32> {
        let Some(room) = underlay.checked_sub(self.around(outer)) else { return None };
        (room - room % self.block).checked_sub(Self::TRAILER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_the_underlay_without_the_overhead() {
        assert_eq!(largest_inner(1500, 50, None, 1500), Some(1450));
        assert_eq!(largest_inner(1500, 50, None, 1400), Some(1400));
        assert_eq!(largest_inner(40, 50, None, 1500), None);
    }

    #[test]
    fn padding_takes_room_only_above_the_limit_of_the_device() {
        // Over IPv4 1440 is a multiple of 16. Over IPv6 1420 is none: filled up to 1424 it no longer fits.
        assert_eq!(largest_inner(1500, 60, Some(WIREGUARD_PADDING), 1500), Some(1440));
        assert_eq!(largest_inner(1500, 80, Some(WIREGUARD_PADDING), 1500), Some(1408));
        // The usual MTU of the device: nothing is filled up beyond it.
        assert_eq!(largest_inner(1500, 80, Some(WIREGUARD_PADDING), 1420), Some(1420));
    }

    #[test]
    fn the_largest_packet_in_esp_is_the_last_that_fits() {
        let cases = [
            // 1500 - 20 - 8 - 8 - 16 = 1448, less the trailer.
            (Esp::AES_GCM, Family::Ipv4, 1446),
            (Esp { in_udp: true, ..Esp::AES_GCM }, Family::Ipv4, 1438),
            // 1500 - 20 - 8 - 16 - 16 = 1440 = 90 blocks, less the trailer.
            (Esp::AES_CBC_SHA256, Family::Ipv4, 1438),
            (Esp { in_udp: true, ..Esp::AES_CBC_SHA256 }, Family::Ipv4, 1422),
            // 1500 - 40 - 8 - 16 - 16 = 1420, 88 blocks are 1408.
            (Esp::AES_CBC_SHA256, Family::Ipv6, 1406),
        ];
        for (esp, outer, expected) in cases {
            assert_eq!(esp.largest_inner(outer, 1500), Some(expected), "{esp:?}");
            assert!(esp.outer_length(outer, expected) <= 1500, "{esp:?}");
            assert!(esp.outer_length(outer, expected + 1) > 1500, "{esp:?}");
        }
    }
}
