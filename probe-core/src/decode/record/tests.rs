use super::*;
use crate::decode::frames::*;
use crate::decode::{Record, decode};
use probe_common::record::{PacketBytes, SNAP, kind};
use zerocopy::{FromZeros, Immutable, IntoBytes};

struct Names;

impl KernelNames for Names {
    fn drop_reason(&self, reason: u32) -> Option<&str> {
        (reason == 93).then_some("SKB_DROP_REASON_PKT_TOO_BIG")
    }

    fn symbol(&self, address: u64) -> Option<&str> {
        (address == 0x1000).then_some("ip_forward+0x2c0/0x4a0")
    }
}

/// A record of zeros that the kernel side would send.
fn record<R: FromZeros>() -> R {
    R::new_zeroed()
}

fn header(kind: u16, direction: u8, captured: usize) -> RecordHeader {
    RecordHeader {
        kind,
        direction,
        ifindex: 7,
        time_ns: 5_000_000_000,
        packets: 3,
        captured: captured as u32,
        l2_len: 14,
    }
}

fn packet_bytes(hex: &str) -> (PacketBytes, usize) {
    let mut packet = [0; SNAP];
    let source = bytes(hex);
    packet[..source.len()].copy_from_slice(&source);
    (packet, source.len())
}

fn send<R: IntoBytes + Immutable>(record: &R) -> Result<Record, UndecodableRecord> {
    decode(&Bytes::copy_from_slice(record.as_bytes()), &Names)
}

fn event<R: IntoBytes + Immutable>(record: &R) -> Event {
    match send(record) {
        Ok(Record::Event(event)) => event,
        other => panic!("{other:?}"),
    }
}

fn oversize_record() -> OversizeRecord {
    let (packet, captured) = packet_bytes(TCP_SYN);
    OversizeRecord {
        header: header(kind::OVERSIZE, direction::EGRESS, captured),
        length: 1500,
        limit: 1400,
        how: how::TUNNEL,
        egress_ifindex: 0,
        gso_size: 1448,
        ethertype: 0x0800,
        packet,
    }
}

#[test]
fn oversize() {
    let Event::Oversize(seen) = event(&oversize_record()) else { panic!("another event") };
    assert_eq!((seen.time, seen.packets, seen.ifindex), (5_000_000_000, 3, 7));
    assert_eq!((seen.length, seen.limit, seen.how), (1500, 1400, OversizeHow::Tunnel));
    assert_eq!((seen.direction, seen.egress_ifindex, seen.gso), (HookDirection::Egress, None, true));
    assert_eq!(seen.packet.flow.src_port, 41822);
}

#[test]
fn values_that_cannot_be_are_contradictions() {
    let contradiction = Err(UndecodableRecord::Contradiction(kind::OVERSIZE));
    assert_eq!(send(&OversizeRecord { how: 9, ..oversize_record() }), contradiction);
    let mut without_direction = oversize_record();
    without_direction.header.direction = direction::NONE;
    assert_eq!(send(&without_direction), contradiction);
    let ethertype = OversizeRecord { ethertype: 0x86dd, ..oversize_record() };
    assert_eq!(send(&ethertype), Err(UndecodableRecord::UnreadablePacket(kind::OVERSIZE)));
}

#[test]
fn an_error_record_must_hold_an_error() {
    let (packet, captured) = packet_bytes(FRAG_NEEDED);
    let mut record = PacketTooBigRecord {
        header: header(kind::PACKET_TOO_BIG, direction::INGRESS, captured),
        length: 56,
        ethertype: 0x0800,
        packet,
    };
    assert!(matches!(event(&record), Event::PacketTooBig(_)));
    record.packet = packet_bytes(TCP_SYN).0;
    assert_eq!(send(&record), Err(UndecodableRecord::Contradiction(kind::PACKET_TOO_BIG)));
}

#[test]
fn a_drop_has_the_kernels_names() {
    let (packet, captured) = packet_bytes(TCP_SYN);
    let mut drop: SizeDropRecord = record();
    drop.header = header(kind::SIZE_DROP, direction::NONE, captured);
    drop.reason = 93;
    drop.location = 0x1000;
    drop.device[..4].copy_from_slice(b"eth0");
    drop.ethertype = 0x0800;
    drop.packet = packet;
    let Event::Dropped(seen) = event(&drop) else { panic!("another event") };
    assert_eq!(
        (seen.reason.as_str(), seen.location.as_str(), seen.device.as_str()),
        ("PKT_TOO_BIG", "ip_forward", "eth0")
    );
    assert_eq!((seen.peer_mtu, seen.gso_size), (None, None));
    assert!(seen.packet.is_some());

    drop.reason = 7;
    drop.location = 0;
    drop.ethertype = 0;
    let Event::Dropped(seen) = event(&drop) else { panic!("another event") };
    assert_eq!((seen.reason.as_str(), seen.location.as_str(), seen.packet), ("7", "", None));
}

#[test]
fn a_location_loses_its_offset() {
    let mut location: LocationRecord = record();
    location.header = header(kind::LOCATION, direction::NONE, 0);
    location.address = 0xffff_ffff_8100_0000;
    let symbol = b"ovs_vport_send+0x1c/0x80 [openvswitch]";
    location.symbol[..symbol.len()].copy_from_slice(symbol);
    let expected =
        NewLocation { time: 5_000_000_000, address: location.address, symbol: "ovs_vport_send".to_owned() };
    assert_eq!(send(&location), Ok(Record::Location(expected)));
}

#[test]
fn a_retransmission_of_several_segments_is_as_large_as_one() {
    let mut retransmit: TcpRetransmitRecord = record();
    retransmit.header = header(kind::TCP_RETRANSMIT, direction::NONE, 0);
    retransmit.family = 2;
    retransmit.local[..4].copy_from_slice(&[10, 1, 2, 3]);
    retransmit.remote[..4].copy_from_slice(&[10, 9, 0, 7]);
    (retransmit.local_port, retransmit.remote_port) = (41822, 443);
    (retransmit.payload, retransmit.gso_size, retransmit.header_len) = (14_480, 1448, 52);
    retransmit.state = ESTABLISHED;
    let Event::TcpRetransmit(seen) = event(&retransmit) else { panic!("another event") };
    assert_eq!((seen.segment, seen.established), (1500, true));
    assert_eq!(seen.flow.to_string(), "tcp 10.1.2.3:41822 -> 10.9.0.7:443");
    retransmit.family = 1;
    assert_eq!(send(&retransmit), Err(UndecodableRecord::Contradiction(kind::TCP_RETRANSMIT)));
}

#[test]
fn ipv4_over_an_ipv6_socket_is_ipv4() {
    let mut close: TcpCloseRecord = record();
    close.header = header(kind::TCP_CLOSE, direction::NONE, 0);
    close.family = 10;
    close.local[10..].copy_from_slice(&[0xff, 0xff, 10, 1, 2, 3]);
    close.remote[10..].copy_from_slice(&[0xff, 0xff, 10, 9, 0, 7]);
    (close.last_ack_ms, close.states) = (2_000, ESTABLISHED << 16 | 7);
    let Event::TcpStateChange(seen) = event(&close) else { panic!("another event") };
    assert_eq!(seen.flow.family(), Family::Ipv4);
    assert_eq!((seen.established, seen.last_ack), (false, Some(3_000_000_000)));
    close.last_ack_ms = u32::MAX;
    let Event::TcpStateChange(seen) = event(&close) else { panic!("another event") };
    assert_eq!(seen.last_ack, None);
}

#[test]
fn short_and_unknown_records_are_errors() {
    let whole = oversize_record();
    for length in 0..whole.as_bytes().len() {
        let result = decode(&Bytes::copy_from_slice(&whole.as_bytes()[..length]), &Names);
        assert!(matches!(result, Err(UndecodableRecord::Short { .. })), "{length}: {result:?}");
    }
    let unknown = RecordHeader { kind: 999, ..RecordHeader::default() };
    assert_eq!(send(&unknown), Err(UndecodableRecord::UnknownKind(999)));
}

#[test]
fn no_bytes_panic() {
    let mut whole = oversize_record().as_bytes().to_vec();
    whole.resize(512, 0xa5);
    for kind in 0..12_u8 {
        whole[0] = kind;
        whole[1] = 0;
        for seed in 0..2_000 {
            let mut copy = damaged(&whole, seed).to_vec();
            copy[0] = kind;
            let _ = decode(&copy.into(), &Names);
        }
    }
}
