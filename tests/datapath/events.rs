//! What leaves the kernel: candidates that are too big, ICMP errors, fragments, announced segment sizes; and the gate.
use crate::hook::{Hook, with_hook};
use mtuprobe_tests::{
    bench::network::SMALL_MTU,
    frames::{self, ACK, IPV4, IPV6, Ipv4, MORE, SYN, TIMESTAMPS, VLAN, ethernet, protocol},
    test_run::Frame,
};
use probe_common::{
    fragment::FragmentRecord,
    gate::{self, FLOW_BURST, RATES},
    interface::{NO_LIMIT, role},
    oversize::{OversizeRecord, TunnelLimit, how},
    packet_too_big::PacketTooBigRecord,
    record::{
        SNAP,
        direction::{EGRESS, INGRESS},
        kind,
    },
    skip::Skip,
    tcp_mss::TcpMssRecord,
};

/// A TCP packet of 1500 bytes to an address.
fn packet_to(destination: [u8; 4], port: u16) -> Vec<u8> {
    let packet = Ipv4 { destination, ..Ipv4::of(protocol::TCP) };
    ethernet(&[], IPV4, &packet.packet(&frames::tcp_from(port, ACK, &TIMESTAMPS, 1448)))
}

/// Behind the small device.
const SMALL: [u8; 4] = [10, 244, 2, 3];
/// Behind the large device.
const LARGE: [u8; 4] = [10, 244, 3, 3];

fn oversize(hook: &mut Hook) -> Vec<OversizeRecord> {
    hook.records(kind::OVERSIZE)
}

#[test]
fn the_route_of_a_candidate_decides() {
    with_hook(false, |hook| {
        hook.configure(|config| config.limit = [SMALL_MTU, NO_LIMIT]);
        let frame = packet_to(SMALL, 1);
        hook.run(INGRESS, &Frame::of(frame.clone()));
        let records = oversize(hook);
        assert_eq!(records.len(), 1);
        let record = records[0];
        assert_eq!((record.length, record.limit, record.how), (1500, SMALL_MTU, how::ROUTE));
        assert_eq!((record.header.direction, record.header.l2_len), (INGRESS, 14));
        assert_eq!((record.header.ifindex, record.header.packets), (hook.network.incoming, 1));
        assert_eq!((record.header.captured as usize, record.ethertype), (SNAP, u32::from(IPV4)));
        assert_eq!(record.packet, frame[14..14 + SNAP]);
        assert!(record.header.time_ns > 0);
        let stats = hook.take_stats(INGRESS);
        assert_eq!((stats.candidates, stats.oversize), (1, 1));

        for _ in 0..3 {
            hook.run(INGRESS, &Frame::of(packet_to(LARGE, 1)));
        }
        assert!(oversize(hook).is_empty(), "the route to it takes 9000 bytes");
        let stats = hook.take_stats(INGRESS);
        assert_eq!((stats.candidates, stats.oversize), (3, 0));

        // Ordinary packets, groups of hosts and addresses of nobody are no candidates for an event.
        hook.run(INGRESS, &Frame::of(ethernet(&[], IPV4, &Ipv4::of(6).packet(&frames::tcp(ACK, &[], 1360)))));
        assert_eq!(hook.take_stats(INGRESS).candidates, 0);
        hook.run(INGRESS, &Frame::of(packet_to([224, 0, 0, 9], 1)));
        hook.run(INGRESS, &Frame::of(packet_to([10, 244, 1, 1], 1)));
        hook.run(INGRESS, &Frame::of(packet_to([192, 0, 2, 1], 1)));
        assert!(oversize(hook).is_empty());
    });
}

#[test]
fn ipv6_is_asked_as_well() {
    with_hook(false, |hook| {
        hook.configure(|config| config.limit = [SMALL_MTU, NO_LIMIT]);
        let packet = |last| {
            let tcp = frames::tcp(ACK, &TIMESTAMPS, 1428);
            let packet =
                frames::ipv6_between(frames::address6(2), frames::address6(last), protocol::TCP, &tcp);
            Frame::of(ethernet(&[], IPV6, &packet))
        };
        hook.run(INGRESS, &packet(4));
        assert!(oversize(hook).is_empty());
        hook.run(INGRESS, &packet(3));
        let records = oversize(hook);
        assert_eq!(records.len(), 1);
        assert_eq!((records[0].length, records[0].limit, records[0].how), (1500, SMALL_MTU, how::ROUTE));
        assert_eq!(records[0].ethertype, u32::from(IPV6));
    });
}

#[test]
fn offloaded_packets_are_judged_by_their_segments() {
    with_hook(false, |hook| {
        hook.configure(|config| config.limit = [SMALL_MTU, NO_LIMIT]);
        let packet = Ipv4::of(protocol::TCP).packet(&frames::tcp(ACK, &TIMESTAMPS, 3000));
        let frame = ethernet(&[], IPV4, &packet);
        hook.run(INGRESS, &Frame::gso(frame.clone(), 1348, 3));
        assert!(oversize(hook).is_empty(), "segments of exactly the limit fit");
        assert_eq!(hook.take_stats(INGRESS).candidates, 0);
        hook.run(INGRESS, &Frame::gso(frame, 1349, 3));
        let records = oversize(hook);
        assert_eq!(records.len(), 1);
        assert_eq!((records[0].length, records[0].gso_size, records[0].header.packets), (1401, 1349, 3));
        assert_eq!(hook.take_stats(INGRESS).oversize, 3);
    });
}

#[test]
fn a_verdict_ends_with_the_generation() {
    with_hook(false, |hook| {
        hook.configure(|config| config.limit = [SMALL_MTU, NO_LIMIT]);
        let frame = Frame::of(packet_to(LARGE, 1));
        hook.run(INGRESS, &frame);
        let large = hook.network.large;
        hook.datapath.set_tunnel_limit(large, Some(TunnelLimit { limit: 1450 })).unwrap();
        hook.run(INGRESS, &frame);
        assert!(oversize(hook).is_empty(), "the verdict is cached");
        hook.datapath.bump_generation().unwrap();
        hook.run(INGRESS, &frame);
        let records = oversize(hook);
        assert_eq!(records.len(), 1);
        assert_eq!((records[0].limit, records[0].how), (1450, how::TUNNEL));
        assert_eq!(records[0].egress_ifindex, large);
        hook.datapath.set_tunnel_limit(large, None).unwrap();
        hook.datapath.set_tunnel_limit(large, None).unwrap();
    });
}

#[test]
fn a_veth_asks_its_other_end() {
    with_hook(true, |hook| {
        hook.configure(|config| {
            config.limit = [NO_LIMIT, 1400];
            config.peer_limit = 1404;
        });
        hook.run(EGRESS, &Frame::of(packet_to(SMALL, 1)));
        let records = oversize(hook);
        assert_eq!(records.len(), 1);
        assert_eq!((records[0].limit, records[0].how), (1404, how::PEER));
        let packet = Ipv4::of(protocol::TCP).packet(&frames::tcp(ACK, &TIMESTAMPS, 1352));
        hook.run(EGRESS, &Frame::of(ethernet(&[], IPV4, &packet)));
        let packet = Ipv4::of(protocol::TCP).packet(&frames::tcp(ACK, &TIMESTAMPS, 3000));
        hook.run(EGRESS, &Frame::gso(ethernet(&[], IPV4, &packet), 1448, 3));
        assert!(oversize(hook).is_empty(), "slack and offloaded packets pass");
    });
}

#[test]
fn a_device_is_its_own_limit() {
    with_hook(true, |hook| {
        hook.configure(|config| {
            config.role = role::UPLINK;
            config.limit = [NO_LIMIT, 1400];
        });
        let packet = Ipv4::of(protocol::TCP).packet(&frames::tcp(ACK, &TIMESTAMPS, 3000));
        hook.run(EGRESS, &Frame::gso(ethernet(&[VLAN], IPV4, &packet), 1448, 3));
        let records = oversize(hook);
        assert_eq!(records.len(), 1);
        assert_eq!((records[0].length, records[0].limit, records[0].how), (1500, 1400, how::DEVICE));
        assert_eq!((records[0].header.l2_len, records[0].packet[0]), (18, 0x45));
    });
}

#[test]
fn errors_are_captured_in_both_directions() {
    with_hook(false, |hook| {
        let original = packet_to(SMALL, 1);
        let error = frames::frag_needed(1400, &original[14..]);
        let original6 = frames::ipv6(protocol::TCP, &frames::tcp(ACK, &[], 1440));
        let error6 = frames::packet_too_big(1400, &original6);
        for direction in [INGRESS, EGRESS] {
            for (ethertype, error) in [(IPV4, &error), (IPV6, &error6)] {
                hook.run(direction, &Frame::of(ethernet(&[], ethertype, error)));
                let records: Vec<PacketTooBigRecord> = hook.records(kind::PACKET_TOO_BIG);
                assert_eq!(records.len(), 1);
                assert_eq!(records[0].header.direction, direction);
                assert_eq!(records[0].length as usize, error.len());
                assert_eq!(records[0].ethertype, u32::from(ethertype));
                assert_eq!(records[0].packet[..], error[..SNAP]);
            }
        }
        // Short quotes, options and tags go the slow way and arrive whole.
        let short = frames::frag_needed(1400, &original[14..14 + 28]);
        hook.run(INGRESS, &Frame::of(ethernet(&[VLAN], IPV4, &short)));
        let options = Ipv4 { options: &[1; 4], ..Ipv4::of(protocol::ICMP) };
        let packet = options.packet(&frames::icmp(3, 4, 1400, &packet_to(SMALL, 77)[14..60]));
        hook.run(INGRESS, &Frame::of(ethernet(&[], IPV4, &packet)));
        let records: Vec<PacketTooBigRecord> = hook.records(kind::PACKET_TOO_BIG);
        assert_eq!(records.len(), 2);
        assert_eq!(records[0].packet[..short.len()], short);
        assert_eq!((records[0].header.l2_len, records[0].header.captured as usize), (18, short.len()));
        assert_eq!(records[1].packet[..packet.len()], packet);
        let unreachable = Ipv4::of(protocol::ICMP).packet(&frames::icmp(3, 3, 0, &original[14..60]));
        hook.run(INGRESS, &Frame::of(ethernet(&[], IPV4, &unreachable)));
        assert!(hook.records::<PacketTooBigRecord>(kind::PACKET_TOO_BIG).is_empty());
    });
}

#[test]
fn first_fragments_are_reported_where_it_matters() {
    with_hook(false, |hook| {
        let packet = Ipv4 { fragment: MORE, ..Ipv4::of(protocol::UDP) };
        let frame = Frame::of(ethernet(&[], IPV4, &packet.packet(&frames::udp(1, 2, &[0; 1000]))));
        for (role, wanted) in [(role::UPLINK, 1), (role::LINK, 0), (role::BRIDGE, 0)] {
            hook.configure(|config| config.role = role);
            hook.run(INGRESS, &frame);
            let records: Vec<FragmentRecord> = hook.records(kind::FRAGMENT);
            assert_eq!(records.len(), wanted);
            assert!(records.iter().all(|record| record.length == 1028));
        }
    });
}

#[test]
fn an_announced_segment_size_is_reported_per_pair_of_hosts() {
    with_hook(false, |hook| {
        let syn = |port, flags| {
            let tcp = frames::tcp_from(port, flags, &[2, 4, 5, 0xb4], 0);
            Frame::of(ethernet(&[], IPV4, &Ipv4::of(protocol::TCP).packet(&tcp)))
        };
        for port in 1..50 {
            hook.run(INGRESS, &syn(port, SYN));
        }
        let records: Vec<TcpMssRecord> = hook.records(kind::TCP_MSS);
        // A slow machine may take longer than the interval for the 49 runs.
        assert!((FLOW_BURST..20).contains(&(records.len() as u32)), "{}", records.len());
        hook.run(EGRESS, &syn(1, SYN | ACK));
        assert_eq!(hook.records::<TcpMssRecord>(kind::TCP_MSS).len(), 1, "the other direction says its own");
        assert_eq!(records[0].packet[40..44], [2, 4, 5, 0xb4]);
        hook.configure(|config| config.role = role::UPLINK);
        hook.run(INGRESS, &syn(1, SYN));
        assert!(hook.records::<TcpMssRecord>(kind::TCP_MSS).is_empty());
    });
}

#[test]
fn a_flow_is_reported_once_and_the_rest_is_counted() {
    with_hook(false, |hook| {
        hook.configure(|config| config.limit = [SMALL_MTU, NO_LIMIT]);
        let frame = Frame::of(packet_to(SMALL, 1));
        for _ in 0..50 {
            hook.run(INGRESS, &frame);
        }
        let first: u32 = oversize(hook).iter().map(|record| record.header.packets).sum();
        assert!(first >= 1);
        std::thread::sleep(std::time::Duration::from_nanos(gate::FLOW_INTERVAL_NS * 2));
        hook.run(INGRESS, &frame);
        let rest: u32 = oversize(hook).iter().map(|record| record.header.packets).sum();
        let replaced = hook.skips(Skip::GateReplaced);
        assert_eq!(u64::from(first + rest) + replaced, 51, "every packet is in a record or counted");
        assert_eq!(hook.take_stats(INGRESS).oversize, 51);
    });
}

#[test]
fn a_flood_is_bounded_and_hides_nobody() {
    with_hook(false, |hook| {
        hook.configure(|config| config.limit = [SMALL_MTU, NO_LIMIT]);
        let start = std::time::Instant::now();
        let flows = 3_000;
        for port in 0..flows {
            hook.run(INGRESS, &Frame::of(packet_to(SMALL, port)));
        }
        let seconds = start.elapsed().as_secs() + 1;
        let sent = oversize(hook).len() as u64;
        let rate = RATES[gate::class::OVERSIZE as usize];
        assert!((rate..=rate * (seconds + 1)).contains(&sent), "{sent} records in {seconds} s");
        assert_eq!(sent + hook.skips(Skip::InterfaceRate), u64::from(flows));
        // Another kind of event, and another interface, have their own.
        let error = frames::frag_needed(1400, &packet_to(SMALL, 1)[14..]);
        hook.run(INGRESS, &Frame::of(ethernet(&[], IPV4, &error)));
        assert_eq!(hook.records::<PacketTooBigRecord>(kind::PACKET_TOO_BIG).len(), 1);
        let other = hook.network.large;
        let mut config = Hook::config(other);
        config.limit = [SMALL_MTU, NO_LIMIT];
        hook.datapath.set_interface(config).unwrap();
        hook.network.incoming = other;
        hook.run(INGRESS, &Frame::of(packet_to(SMALL, 1)));
        assert_eq!(oversize(hook).len(), 1);
    });
}

#[test]
fn a_full_ring_is_counted() {
    with_hook(true, |hook| {
        hook.configure(|config| config.limit = [SMALL_MTU, NO_LIMIT]);
        let frame = Frame::of(packet_to(SMALL, 1));
        for _ in 0..2_000 {
            hook.run(INGRESS, &frame);
        }
        let arrived = oversize(hook).len() as u64;
        assert!(arrived > 500);
        assert_eq!(arrived + hook.skips(Skip::RingFull), 2_000);
        hook.run(INGRESS, &frame);
        assert_eq!(oversize(hook).len(), 1, "a drained ring takes records again");
    });
}
