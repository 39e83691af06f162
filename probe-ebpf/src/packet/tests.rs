use super::*;
use crate::{
    flow::Flow,
    window::{Memory, WINDOW},
};

/// Reads a frame.
fn parse(frame: &[u8]) -> Result<Packet, NotPacket> {
    with_window(frame, Packet::from_ethernet)
}

fn with_window<T>(frame: &[u8], read: impl FnOnce(&Window<'_>) -> T) -> T {
    let mut memory = Memory::ZERO;
    let len = frame.len().min(WINDOW);
    memory.bytes[..len].copy_from_slice(&frame[..len]);
    read(&Window::new(&mut memory, len))
}

fn ethernet(tags: &[u16], ethertype: u16) -> Vec<u8> {
    let mut frame = vec![2; 12];
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 7]);
    }
    frame.extend(ethertype.to_be_bytes());
    frame
}

fn ipv4(options: usize, fragment: u16, next: u8, payload: &[u8]) -> Vec<u8> {
    let header = 20 + options * 4;
    let mut packet = vec![0x45 + options as u8, 0];
    packet.extend(((header + payload.len()) as u16).to_be_bytes());
    packet.extend([0, 1]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, next, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend(vec![1; options * 4]);
    packet.extend(payload);
    packet
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend([0xfd; 16]);
    packet.extend([0xfe; 16]);
    packet.extend(payload);
    packet
}

fn tcp(flags: u8) -> Vec<u8> {
    let mut header = vec![0x1f, 0x90, 0, 80];
    header.extend([0; 8]);
    header.extend([0x50, flags, 0, 0, 0, 0, 0, 0]);
    header
}

fn frame(ethertype: u16, packet: &[u8]) -> Vec<u8> {
    [ethernet(&[], ethertype), packet.to_vec()].concat()
}

#[test]
fn a_plain_packet_is_read() {
    let packet = parse(&frame(IPV4, &ipv4(0, 0x4000, protocol::TCP, &tcp(0x10)))).unwrap();
    assert_eq!((packet.network, packet.transport, packet.length), (14, 34, 40));
    assert_eq!((packet.protocol, packet.flags, packet.incomplete), (protocol::TCP, flag::DF, None));
    let packet = parse(&frame(IPV6, &ipv6(protocol::TCP, &tcp(0x12)))).unwrap();
    assert_eq!((packet.network, packet.transport, packet.length), (14, 54, 60));
    assert_eq!(packet.flags, flag::SYN);
}

#[test]
fn two_tags_are_read_and_a_third_is_counted() {
    let inner = ipv4(0, 0, protocol::UDP, &[0; 8]);
    let tagged = |tags: &[u16]| parse(&[ethernet(tags, IPV4), inner.clone()].concat());
    assert_eq!(tagged(&[0x8100]).unwrap().network, 18);
    assert_eq!(tagged(&[0x88a8, 0x8100]).unwrap().network, 22);
    assert_eq!(tagged(&[0x88a8, 0x8100, 0x8100]), Err(NotPacket::Skip(Skip::VlanDepth)));
}

#[test]
fn options_move_the_transport_header() {
    let packet = parse(&frame(IPV4, &ipv4(10, 0, protocol::TCP, &tcp(2)))).unwrap();
    assert_eq!((packet.transport, packet.flags), (14 + 60, flag::SYN));
}

#[test]
fn fragments_are_told_apart() {
    let flags = |fragment| parse(&frame(IPV4, &ipv4(0, fragment, protocol::UDP, &[0; 16]))).unwrap().flags;
    assert_eq!(flags(0x2000), flag::FIRST_FRAGMENT);
    assert_eq!(flags(0x2003), flag::LATER_FRAGMENT);
    assert_eq!(flags(0x0003), flag::LATER_FRAGMENT);
    let flags = |offset_and_more: u16| {
        let word = offset_and_more.to_be_bytes();
        let header = [protocol::UDP, 0, word[0], word[1], 0, 0, 0, 1];
        let payload = [header.as_slice(), &[0; 16]].concat();
        let packet = parse(&frame(IPV6, &ipv6(protocol::FRAGMENT, &payload))).unwrap();
        assert_eq!(packet.protocol, protocol::UDP);
        packet.flags
    };
    assert_eq!(flags(1), flag::FIRST_FRAGMENT);
    assert_eq!(flags(0x0018), flag::LATER_FRAGMENT);
    assert_eq!(flags(0), 0, "an atomic fragment is a whole packet");
}

#[test]
fn extension_headers_are_read_up_to_a_bound() {
    let chain = |count: usize| {
        let mut payload = Vec::new();
        for index in 0..count {
            let next = if index + 1 == count { protocol::TCP } else { protocol::DESTINATION };
            payload.extend([next, 0, 1, 4, 0, 0, 0, 0]);
        }
        payload.extend(tcp(2));
        parse(&frame(IPV6, &ipv6(protocol::DESTINATION, &payload))).unwrap()
    };
    let most = chain(MAX_EXTENSION_HEADERS);
    assert_eq!((most.protocol, most.flags, most.incomplete), (protocol::TCP, flag::SYN, None));
    assert_eq!(chain(MAX_EXTENSION_HEADERS + 1).incomplete, Some(Skip::ExtensionHeaders));
}

#[test]
fn big_tcp_has_a_jumbo_header_only() {
    let mut packet = ipv6(protocol::HOP_BY_HOP, &[protocol::TCP, 0, 0xc2, 4, 0, 1, 0x86, 0xa0]);
    packet[4..6].fill(0);
    packet.extend(tcp(0x10));
    let packet = parse(&frame(IPV6, &packet)).unwrap();
    assert_eq!((packet.flags, packet.length, packet.transport), (flag::JUMBO, 0, 14 + 48));
}

#[test]
fn errors_that_tell_a_size_are_recognised() {
    let flags = |kind, code| {
        parse(&frame(IPV4, &ipv4(0, 0, protocol::ICMP, &[kind, code, 0, 0, 0, 0, 5, 120]))).unwrap()
    };
    assert_eq!(flags(3, 4).flags, flag::PACKET_TOO_BIG);
    assert_eq!(flags(3, 3).flags, 0);
    let packet = parse(&frame(IPV6, &ipv6(protocol::ICMPV6, &[2, 0, 0, 0, 0, 0, 5, 120]))).unwrap();
    assert_eq!(packet.flags, flag::PACKET_TOO_BIG);
    let packet = parse(&frame(IPV6, &ipv6(protocol::ICMP, &[2, 0, 0, 0, 0, 0, 5, 120]))).unwrap();
    assert_eq!(packet.flags, 0, "ICMPv4 in IPv6 is nothing");
}

#[test]
fn sizes_are_what_the_header_says_if_it_can_be() {
    let packet = parse(&frame(IPV4, &ipv4(0, 0, protocol::TCP, &tcp(0)))).unwrap();
    assert_eq!(packet.size(46), (40, None), "padding of short frames");
    assert_eq!(packet.size(30), (30, Some(Skip::Truncated)));
    assert_eq!(Packet { length: 0, ..packet }.size(70_000), (70_000, None), "BIG TCP");
}

#[test]
fn what_is_no_ip_or_contradicts_itself_is_told() {
    assert_eq!(parse(&frame(0x0806, &[0; 28])), Err(NotPacket::NotIp));
    assert_eq!(parse(&frame(IPV4, &ipv6(protocol::TCP, &tcp(0)))), Err(NotPacket::Skip(Skip::BadVersion)));
    assert_eq!(parse(&frame(IPV6, &ipv4(0, 0, 6, &tcp(0)))), Err(NotPacket::Skip(Skip::BadVersion)));
    let mut short = ipv4(0, 0, protocol::TCP, &tcp(0));
    short[0] = 0x44;
    assert_eq!(parse(&frame(IPV4, &short)), Err(NotPacket::Skip(Skip::Truncated)));
}

#[test]
fn no_bytes_are_too_hostile() {
    let good = frame(IPV6, &ipv6(protocol::DESTINATION, &[protocol::TCP, 0, 1, 4, 0, 0, 0, 0]));
    for length in 0..good.len() {
        let _ = parse(&good[..length]);
    }
    for at in 12..good.len() {
        for value in 0..=u8::MAX {
            let mut bytes = good.clone();
            bytes[at] = value;
            with_window(&bytes, |window| {
                if let Ok(packet) = Packet::from_ethernet(window) {
                    let packet = packet.forget(window);
                    let _ = (Flow::of(window, &packet), crate::segments::headers(window, &packet, 100));
                }
            });
        }
    }
}

#[test]
fn a_flow_is_what_the_headers_say() {
    let flow = with_window(&frame(IPV4, &ipv4(0, 0, protocol::TCP, &tcp(0))), |window| {
        *Flow::of(window, &Packet::from_ethernet(window).unwrap())
    });
    assert_eq!(flow.addresses[0].to_ne_bytes(), [10, 0, 0, 1]);
    assert_eq!(flow.addresses[4].to_ne_bytes(), [10, 0, 0, 2]);
    assert_eq!(flow.ports.to_ne_bytes(), [0x1f, 0x90, 0, 80]);
    let flow = with_window(&frame(IPV6, &ipv6(protocol::TCP, &tcp(0))), |window| {
        *Flow::of(window, &Packet::from_ethernet(window).unwrap())
    });
    assert_eq!(
        flow.addresses,
        [
            0xfdfd_fdfd,
            0xfdfd_fdfd,
            0xfdfd_fdfd,
            0xfdfd_fdfd,
            0xfefe_fefe,
            0xfefe_fefe,
            0xfefe_fefe,
            0xfefe_fefe
        ]
    );
}
