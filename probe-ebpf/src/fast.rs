//! Counting an ordinary packet: direct packet access at constant offsets, and no helper call.
use crate::{
    event::{Facts, fact},
    packet::{IPV4, IPV6, TCP_SYN, flag, is_extension, is_packet_too_big},
    protocol,
    segments::Segments,
    size_histogram::{add_one, add_segments},
};
use aya_ebpf::bindings::__sk_buff;
use network_types::{ip::Ipv4Hdr, ip::Ipv6Hdr, tcp::TcpHdr, udp::UdpHdr};
use probe_common::{
    interface::{InterfaceConfig, InterfaceStats, protocol_class, role},
    record::direction::INGRESS,
};

/// Bytes of a TCP header with one SACK block, or with timestamps.
const SACK_HEADER: u32 = 32;
/// Kind and length of a SACK option of one block (RFC 2018), behind two bytes of padding.
const SACK_BLOCK: u16 = 0x050a;

/// A packet on the fast path: where it lies, and what the socket buffer says.
#[derive(Clone, Copy)]
pub struct Fast {
    skb: *mut __sk_buff,
    /// Address of the first byte and of the end of the linear part.
    start: usize,
    end: usize,
    /// Bytes from the network header on.
    total: u32,
    gso_size: u32,
}

impl Fast {
    /// A packet with an Ethernet header of `L2` bytes.
    #[inline(always)]
    pub fn new<const L2: usize>(skb: *mut __sk_buff) -> Self {
        // SAFETY: the context is valid for the whole program.
        unsafe {
            Self {
                skb,
                start: (*skb).data as usize,
                end: (*skb).data_end as usize,
                total: (*skb).len - L2 as u32,
                gso_size: (*skb).gso_size,
            }
        }
    }

    /// Counts the packet; [`Facts::UNKNOWN`], with nothing counted, if it has to go the slow way.
    #[inline(always)]
    pub fn observe<const DIRECTION: u8, const L2: usize>(
        self,
        config: &InterfaceConfig,
        stats: &mut InterfaceStats,
    ) -> Facts {
        let network = self.start + L2;
        if network + Ipv4Hdr::LEN + UdpHdr::LEN > self.end {
            return Facts::UNKNOWN;
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
                return Facts::UNKNOWN;
            }
            let df = fragment & 0x4000_u16.to_be() != 0;
            self.count::<DIRECTION, L2, { Ipv4Hdr::LEN }>(config, stats, number, u16::from_be(told).into(), df)
        } else if ethertype == IPV6.to_be() {
            if network + Ipv6Hdr::LEN + UdpHdr::LEN > self.end || first >> 4 != 6 {
                return Facts::UNKNOWN;
            }
            // SAFETY: below `end`.
            let (payload, number) = unsafe { (load::<u16>(network + 4), load::<u8>(network + 6)) };
            let told = u32::from(u16::from_be(payload)) + Ipv6Hdr::LEN as u32;
            self.count::<DIRECTION, L2, { Ipv6Hdr::LEN }>(config, stats, number, told, false)
        } else {
            Facts::UNKNOWN
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
    ) -> Facts {
        let is_ipv6 = HEADER == Ipv6Hdr::LEN;
        let family = if is_ipv6 { protocol_class::IPV6 } else { 0 };
        let icmp = if is_ipv6 { protocol::ICMPV6 } else { protocol::ICMP };
        let transport = self.start + L2 + HEADER;
        let mut flags = 0_u16;
        // Length of the TCP header; 0 for other protocols. Read here, where the verifier knows that it is there.
        let mut tcp = 0;
        let class = if number == protocol::TCP {
            if transport + TcpHdr::LEN > self.end {
                return Facts::UNKNOWN;
            }
            // SAFETY: below `end`.
            let (offset, bits) = unsafe { (load::<u8>(transport + 12), load::<u8>(transport + 13)) };
            tcp = u32::from(offset >> 4) * 4;
            if bits & TCP_SYN != 0 {
                flags = flag::SYN.into();
            }
            if config.watched_until != 0 {
                flags |= fact::WATCHED;
            }
            if told == HEADER as u32 + tcp && tcp >= SACK_HEADER {
                // SAFETY: below `end`, where it is compared.
                let sack = tcp > SACK_HEADER
                    || transport + 24 <= self.end && unsafe { load::<u16>(transport + 22) } == SACK_BLOCK.to_be();
                if sack && self.is_of_receiver::<DIRECTION>(config.role) {
                    flags |= fact::SACK;
                }
            }
            family + protocol_class::TCP
        } else if number == protocol::UDP {
            family + protocol_class::UDP
        } else if number == icmp {
            // SAFETY: below `end`.
            let (kind, code) = unsafe { (load::<u8>(transport), load::<u8>(transport + 1)) };
            if is_packet_too_big(if is_ipv6 { IPV6 } else { IPV4 }, kind, code) {
                flags = flag::PACKET_TOO_BIG.into();
            }
            family + protocol_class::ICMP
        } else if is_ipv6 && is_extension(number) {
            return Facts::UNKNOWN;
        } else {
            family + protocol_class::OTHER
        };
        let (size, count) = if self.gso_size == 0 {
            // Short Ethernet frames are padded; any other difference wants a closer look.
            if told != self.total && (told < HEADER as u32 || told > self.total) {
                return Facts::UNKNOWN;
            }
            add_one(stats, told, class, df);
            (told, 1)
        } else {
            if tcp < TcpHdr::LEN as u32 {
                return Facts::UNKNOWN;
            }
            // SAFETY: the context is valid for the whole program.
            let gso_segs = unsafe { (*self.skb).gso_segs };
            let segments = Segments::of(self.total, HEADER as u32 + tcp, self.gso_size, gso_segs);
            add_segments(stats, segments, class, df);
            (segments.largest(), segments.count)
        };
        if size > config.limit[usize::from(DIRECTION)] || flags != 0 {
            let family = if is_ipv6 { flag::IPV6 } else { 0 };
            return Facts::new(size, count, L2 as u32, flags | u16::from(family));
        }
        Facts::ORDINARY
    }
}

impl Fast {
    /// What a receiver of this node sends passes here: from a pod it comes in by the host's end of its veth; an uplink
    /// sends what comes from a socket of the node, or of a pod on a device that sits on the uplink. What is forwarded has no
    /// socket any more (`skb_orphan`).
    #[inline(always)]
    fn is_of_receiver<const DIRECTION: u8>(self, place: u32) -> bool {
        if DIRECTION == INGRESS {
            return place == role::POD;
        }
        // SAFETY: the context is valid for the whole program, and the pointer is looked at, not followed.
        place == role::UPLINK && unsafe { !(*self.skb).__bindgen_anon_2.sk.is_null() }
    }
}

/// Reads a number of the packet in the order of the wire.
///
/// # Safety
/// The bytes have to be below the end of the linear part. IP headers are aligned to four bytes (`NET_IP_ALIGN`).
#[inline(always)]
pub unsafe fn load<T: Copy>(address: usize) -> T {
    // SAFETY: the caller's.
    unsafe { *(address as *const T) }
}
