use super::*;
use crate::window::{Memory, WINDOW};

const TCP: [u8; 20] = [0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x10, 0, 0, 0, 0, 0, 0];

/// An IPv4 header for a payload of a length.
fn ipv4(next: u8, payload: usize) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend(((20 + payload) as u16).to_be_bytes());
    header.extend([0, 0, 0, 0, 64, next, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    header
}

fn ipv6(next: u8, payload: usize) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend((payload as u16).to_be_bytes());
    header.extend([next, 64]);
    header.extend([0; 32]);
    header
}

/// The headers of a packet that begins with its IP header and is `total` bytes long.
fn headers_of(start: &[u8], total: usize) -> Option<u32> {
    let mut memory = Memory::ZERO;
    let len = start.len().min(WINDOW);
    memory.bytes[..len].copy_from_slice(&start[..len]);
    let window = Window::new(&mut memory, len);
    let ethertype = if start[0] >> 4 == 4 { IPV4 } else { IPV6 };
    let packet = Packet::from_network(&window, 0, ethertype).unwrap();
    headers(&window, &packet, total as u32)
}

/// An inner TCP packet of `total` bytes behind its Ethernet header, in front of it `outer`.
fn tunnelled(outer: &[&[u8]], inner: &[u8]) -> Vec<u8> {
    [outer.concat(), inner.to_vec(), TCP.to_vec(), vec![0; 12]].concat()
}

#[test]
fn segments_are_exact() {
    let segments = Segments::of(52 + 1448 * 3 + 1, 52, 1448, 4);
    assert_eq!(segments, Segments { count: 4, full: 1500, last: 53 });
    assert_eq!(segments.bytes(), 3 * 1500 + 53);
    assert_eq!(Segments::of(52 + 1448 * 3, 52, 1448, 3), Segments { count: 3, full: 1500, last: 1500 });
    assert_eq!(Segments::of(52 + 100, 52, 1448, 1), Segments::one(152));
    assert_eq!(Segments::of(10, 52, 1448, 1), Segments::one(10));
}

#[test]
fn a_wrong_number_of_segments_is_not_believed() {
    let right = Segments::of(52 + 1448 * 3 + 1, 52, 1448, 4);
    for wrong in [0, 1, 3, 5, 65_535, u32::MAX] {
        assert_eq!(Segments::of(52 + 1448 * 3 + 1, 52, 1448, wrong), right);
    }
}

#[test]
fn what_is_not_understood_counts_by_its_payload() {
    assert_eq!(Segments::unknown(3000, 1400, 0), Segments { count: 3, full: 1400, last: 200 });
    assert_eq!(Segments::unknown(3000, BY_FRAGS, 3), Segments { count: 3, full: 1000, last: 1000 });
    assert_eq!(Segments::unknown(3000, BY_FRAGS, 0), Segments::one(3000));
}

#[test]
fn plain_headers() {
    let payload = 5000;
    assert_eq!(
        headers_of(&[ipv4(protocol::TCP, 32 + payload), TCP.to_vec()].concat(), 52 + payload),
        Some(52)
    );
    assert_eq!(
        headers_of(&[ipv6(protocol::TCP, 32 + payload), TCP.to_vec()].concat(), 72 + payload),
        Some(72)
    );
    let udp = [ipv4(protocol::UDP, 8 + payload), vec![0; 8], vec![0xc3; 40]].concat();
    assert_eq!(headers_of(&udp, 28 + payload), Some(28));
    assert_eq!(headers_of(&ipv4(132, payload), 20 + payload), None, "SCTP");
    let mut short = TCP;
    short[12] = 0x40;
    assert_eq!(headers_of(&[ipv4(protocol::TCP, payload), short.to_vec()].concat(), 20 + payload), None);
}

#[test]
fn tunnels_are_looked_through() {
    let payload = 5000;
    let frame = [&[2; 12][..], &[8, 0]].concat();
    let inner_v4 = ipv4(protocol::TCP, 32 + payload);
    let inner = 52 + payload;
    let vxlan = [8, 0, 0, 0, 0, 0, 7, 0];
    let outer = ipv4(protocol::UDP, 8 + 8 + 14 + inner);
    let packet = tunnelled(&[&outer, &[0; 8], &vxlan, &frame], &inner_v4);
    assert_eq!(headers_of(&packet, 20 + 8 + 8 + 14 + inner), Some(20 + 8 + 8 + 14 + 52));

    let outer = ipv6(protocol::UDP, 8 + 8 + 14 + inner);
    let packet = tunnelled(&[&outer, &[0; 8], &vxlan, &frame], &inner_v4);
    assert_eq!(headers_of(&packet, 40 + 8 + 8 + 14 + inner), Some(40 + 8 + 8 + 14 + 52));

    let geneve = [&[2, 0, 0x65, 0x58, 0, 0, 7, 0][..], &[0; 8]].concat();
    let outer = ipv4(protocol::UDP, 8 + 16 + 14 + inner);
    let packet = tunnelled(&[&outer, &[0; 8], &geneve, &frame], &inner_v4);
    assert_eq!(headers_of(&packet, 20 + 8 + 16 + 14 + inner), Some(20 + 8 + 16 + 14 + 52));

    let gre = [0x20, 0, 8, 0, 0, 0, 0, 9];
    let outer = ipv4(protocol::GRE, 8 + inner);
    assert_eq!(headers_of(&tunnelled(&[&outer, &gre], &inner_v4), 20 + 8 + inner), Some(20 + 8 + 52));

    let outer = ipv4(protocol::IPIP, inner);
    assert_eq!(headers_of(&tunnelled(&[&outer], &inner_v4), 20 + inner), Some(20 + 52));
    let outer = ipv4(protocol::IPV6, 72 + payload);
    let inner_v6 = ipv6(protocol::TCP, 32 + payload);
    assert_eq!(headers_of(&tunnelled(&[&outer], &inner_v6), 92 + payload), Some(20 + 72));
}

#[test]
fn a_payload_that_looks_like_a_tunnel_by_chance_is_none() {
    let payload = 5000;
    let vxlan = [8, 0, 0, 0, 0, 0, 7, 0];
    let frame = [&[2; 12][..], &[8, 0]].concat();
    // The inner length does not reach to the end of the packet.
    let outer = ipv4(protocol::UDP, 8 + payload);
    let packet = tunnelled(&[&outer, &[0; 8], &vxlan, &frame], &ipv4(protocol::TCP, 100));
    assert_eq!(headers_of(&packet, 28 + payload), Some(28));
}

#[test]
fn jumbo_headers_vanish() {
    let mut start = ipv6(protocol::HOP_BY_HOP, 0);
    start.extend([protocol::TCP, 0, 0xc2, 4, 0, 1, 0x86, 0xa0]);
    start.extend(TCP);
    assert_eq!(headers_of(&start, 100_000), Some(72));
}
