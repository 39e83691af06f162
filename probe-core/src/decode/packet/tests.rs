//! Packets as they stand on the wire, from their network header on.
use super::*;
use crate::decode::frames::*;
use crate::model::packet::Fragment;

fn parse(hex: &str) -> Packet {
    read(&bytes(hex)).expect("a packet")
}

#[test]
fn tcp_syn_announces_its_segment_size() {
    let packet = parse(TCP_SYN);
    assert_eq!(packet.flow.to_string(), "tcp 10.1.2.3:41822 -> 10.9.0.7:443");
    assert_eq!((packet.length, packet.df, packet.ttl, packet.id), (60, true, 64, 0x1c46));
    assert_eq!((packet.header_len, packet.fragment), (20, None));
    let Transport::Tcp(tcp) = packet.transport else { panic!("{packet:?}") };
    assert_eq!((tcp.seq, tcp.ack, tcp.flags), (0x0a0b0c0d, 0, TcpHeader::SYN));
    assert_eq!((tcp.header_len, tcp.mss, tcp.sack), (40, Some(1460), false));
}

#[test]
fn tcp_acknowledgement_with_sack_blocks() {
    let packet = parse(concat!(
        "45000040000140003f060000 0a090007 0a010203",
        "01bba35e 00000001 0a0b0c0e b0100100 00000000 0101080a00000001000000020101050a0000000500000009"
    ));
    let Transport::Tcp(tcp) = packet.transport else { panic!("{packet:?}") };
    assert_eq!((tcp.header_len, tcp.mss, tcp.sack, tcp.flags), (44, None, true, TcpHeader::ACK));
}

#[test]
fn ipv4_options_are_skipped() {
    let packet = parse("46000020 00000000 40110000 0a000001 0a000002 94040000 1f90 0035 000c 0000 cafe");
    assert_eq!(packet.flow.to_string(), "udp 10.0.0.1:8080 -> 10.0.0.2:53");
    assert_eq!((packet.header_len, packet.df), (24, false));
    assert_eq!(packet.payload.as_ref(), [0xca, 0xfe]);
}

#[test]
fn ipv6_extension_headers_lead_to_the_ports() {
    let packet = parse(concat!(
        "60000000 0020 00 40 fd000000000000000000000000000001 fd000000000000000000000000000002",
        "3c00 010400000000 1100 010400000000 1f90 0035 0008 0000"
    ));
    assert_eq!(packet.flow.to_string(), "udp [fd00::1]:8080 -> [fd00::2]:53");
    assert_eq!((packet.length, packet.header_len, packet.df), (72, 56, true));
}

#[test]
fn fragments_carry_ports_only_in_the_first() {
    let first = parse("45000024 abcd 2000 40110000 0a000001 0a000002 1f90003507d80000 0102030405060708");
    assert_eq!(first.fragment, Some(Fragment { id: 0xabcd, offset: 0, more: true }));
    assert_eq!(first.flow.src_port, 8080);
    let later = parse("45000024 abcd 00b9 40110000 0a000001 0a000002 1f90003507d80000 0102030405060708");
    assert_eq!(later.fragment, Some(Fragment { id: 0xabcd, offset: 1480, more: false }));
    assert_eq!((later.flow.src_port, later.transport), (0, Transport::Opaque));
}

#[test]
fn ipv6_fragment_header() {
    let fragment = |place: &str| {
        parse(&format!(
            "60000000 0010 2c 40 fd000000000000000000000000000001 fd000000000000000000000000000002 \
             1100 {place} 0badcafe 1f90003505b00000"
        ))
    };
    let first = fragment("0001");
    assert_eq!(first.fragment, Some(Fragment { id: 0x0badcafe, offset: 0, more: true }));
    assert_eq!((first.id, first.flow.dst_port), (0x0badcafe, 53));
    let later = fragment("05a8");
    assert_eq!(later.fragment, Some(Fragment { id: 0x0badcafe, offset: 1448, more: false }));
    assert_eq!((later.flow.protocol, later.flow.dst_port), (Protocol::Udp, 0));
    // RFC 6946: a fragment header on a whole packet.
    assert_eq!(fragment("0000").fragment, None);
}

#[test]
fn echo_identifier_stands_for_both_ports() {
    let packet = parse("45000054 0001 4000 40010000 0a000001 0a000002 0800 0000 1234 0001");
    assert_eq!((packet.flow.src_port, packet.flow.dst_port), (0x1234, 0x1234));
    assert_eq!(packet.transport, Transport::Icmp { kind: 8, code: 0 });
}

#[test]
fn frag_needed_quotes_the_original_datagram() {
    let packet = parse(FRAG_NEEDED);
    assert_eq!(packet.flow.to_string(), "icmp 10.0.6.1 -> 10.1.2.3");
    let Transport::PacketTooBig { next_hop_mtu, original: Some(original) } = packet.transport else {
        panic!("no quote")
    };
    assert_eq!(next_hop_mtu, 1400);
    assert_eq!(original.flow.to_string(), "tcp 10.1.2.3:41822 -> 10.9.0.7:443");
    assert_eq!((original.length, original.df), (1500, true));
    // RFC 792 routers quote 8 bytes of the transport header.
    let Transport::Tcp(tcp) = original.transport else { panic!("no tcp") };
    assert_eq!((tcp.seq, tcp.header_len), (0x0a0b0c0d, 0));
}

#[test]
fn icmpv6_packet_too_big() {
    let packet = parse(PACKET_TOO_BIG_V6);
    let Transport::PacketTooBig { next_hop_mtu, original: Some(original) } = packet.transport else {
        panic!("no quote")
    };
    assert_eq!((next_hop_mtu, original.length), (1400, 1500));
    assert_eq!(original.flow.to_string(), "udp [fd00::1]:8080 -> [fd00::2]:53");
}

#[test]
fn an_error_about_an_error_is_read_once() {
    let inner = FRAG_NEEDED;
    let packet = parse(&format!("45000064 0001 0000 40010000 0a000601 0a010203 0304 0000 0000 0578 {inner}"));
    let Transport::PacketTooBig { original: Some(original), .. } = packet.transport else {
        panic!("no quote")
    };
    assert_eq!(original.transport, Transport::PacketTooBig { next_hop_mtu: 1400, original: None });
}

#[test]
fn other_unreachables_are_not_packet_too_big() {
    let packet = parse("45000038 0001 0000 40010000 0a000601 0a010203 0303 0000 0000 0578");
    assert_eq!(packet.transport, Transport::Icmp { kind: 3, code: 3 });
}

#[test]
fn big_tcp_tells_no_length() {
    let packet = parse("45000000 0001 4000 40060000 0a000001 0a000002");
    assert_eq!((packet.length, packet.transport), (0, Transport::Opaque));
}

#[test]
fn what_is_no_ip_header_is_refused() {
    for hex in ["", "45", "44000014000140004006000000000000000000", "0001080006040001", "60000000002011"] {
        assert_eq!(read(&bytes(hex)), None, "{hex}");
    }
}

#[test]
fn no_bytes_panic() {
    for hex in [TCP_SYN, FRAG_NEEDED, PACKET_TOO_BIG_V6, VXLAN_OUTER] {
        let whole = bytes(hex);
        for length in 0..whole.len() {
            read(&whole.slice(..length));
        }
        for seed in 0..4_000 {
            read(&damaged(&whole, seed));
        }
    }
}
