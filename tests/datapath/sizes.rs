//! Sizes, protocols and flags are counted exactly, whatever the headers look like.
use crate::hook::{Hook, with_hook};
use mtuprobe_tests::{
    frames::{self, ACK, DF, IPV4, IPV6, Ipv4, MORE, SERVICE_VLAN, TIMESTAMPS, VLAN, ethernet, protocol},
    test_run::Frame,
};
use probe_common::{
    interface::{InterfaceStats, protocol_class as class},
    record::direction::{EGRESS, INGRESS},
    size_bucket::bucket_of,
    skip::Skip,
};

fn v4(number: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(&[], IPV4, &Ipv4::of(number).packet(payload))
}

fn v6(number: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(&[], IPV6, &frames::ipv6(number, payload))
}

/// One packet of a size and class was counted, and nothing else.
#[track_caller]
fn assert_one(stats: &InterfaceStats, size: u32, class: usize) {
    assert_eq!((stats.skbs, stats.packets(), stats.bytes), (1, 1, size.into()));
    assert_eq!(stats.buckets[bucket_of(size)], 1);
    assert_eq!(stats.by_protocol[class], 1, "{:?}", stats.by_protocol);
    assert_eq!(stats.largest, u64::from(size));
}

/// Segments of a size and a rest were counted.
#[track_caller]
fn assert_segments(stats: &InterfaceStats, full: u32, count: u64, last: u32) {
    assert_eq!((stats.skbs, stats.packets()), (1, count + 1));
    assert_eq!(stats.bytes, count * u64::from(full) + u64::from(last));
    let mut buckets = [0; probe_common::size_bucket::BUCKETS];
    buckets[bucket_of(full)] += count;
    buckets[bucket_of(last)] += 1;
    assert_eq!(stats.buckets, buckets);
    assert_eq!(stats.largest, u64::from(full));
}

#[test]
fn plain_packets() {
    with_hook(false, |hook| {
        let tcp = frames::tcp(ACK, &TIMESTAMPS, 1448);
        let stats = hook.count(v4(protocol::TCP, &tcp));
        assert_one(&stats, 1500, class::TCP);
        assert_eq!(stats.df, 1);
        assert_one(&hook.count(v6(protocol::TCP, &tcp)), 1520, class::IPV6 + class::TCP);
        let udp = frames::udp(1, 2, &[0; 100]);
        let packet = Ipv4 { fragment: 0, ..Ipv4::of(protocol::UDP) }.packet(&udp);
        let stats = hook.count(ethernet(&[], IPV4, &packet));
        assert_one(&stats, 128, class::UDP);
        assert_eq!(stats.df, 0);
        assert_one(&hook.count(v6(protocol::UDP, &udp)), 148, class::IPV6 + class::UDP);
        assert_one(&hook.count(v4(protocol::ICMP, &frames::icmp(8, 0, 1, &[0; 56]))), 84, class::ICMP);
        let echo = frames::icmp(128, 0, 1, &[0; 56]);
        assert_one(&hook.count(v6(protocol::ICMPV6, &echo)), 104, class::IPV6 + class::ICMP);
        assert_one(&hook.count(v4(132, &[0; 40])), 60, class::OTHER);
        assert_one(&hook.count(v6(132, &[0; 40])), 80, class::IPV6 + class::OTHER);
    });
}

#[test]
fn every_size_falls_into_its_bucket() {
    with_hook(false, |hook| {
        for size in [
            28, 40, 63, 64, 65, 128, 129, 575, 576, 577, 1279, 1280, 1281, 1400, 1401, 1449, 1450, 1451,
            1499, 1500, 1501,
        ] {
            let payload = vec![0; size as usize - 28];
            assert_one(&hook.count(v4(protocol::UDP, &frames::udp(1, 2, &payload))), size, class::UDP);
        }
    });
}

#[test]
fn both_directions_have_their_own_counters() {
    with_hook(false, |hook| {
        let frame = Frame::of(v4(protocol::TCP, &frames::tcp(ACK, &[], 0)));
        hook.run(EGRESS, &frame);
        let read = |hook: &Hook, direction| hook.datapath.counters().interface(3, direction).unwrap();
        assert_eq!(read(hook, INGRESS).packets(), 0);
        assert_one(&read(hook, EGRESS), 40, class::TCP);
    });
}

#[test]
fn padding_of_short_frames_does_not_count() {
    with_hook(false, |hook| {
        let mut frame = v4(protocol::TCP, &frames::tcp(ACK, &[], 0));
        frame.resize(60, 0);
        assert_one(&hook.count(frame), 40, class::TCP);
    });
}

#[test]
fn offloaded_packets_count_as_their_segments() {
    with_hook(false, |hook| {
        let tcp = frames::tcp(ACK, &TIMESTAMPS, 2 * 1448 + 100);
        for segments in [3, 0, 7] {
            let stats = hook.count_frame(&Frame::gso(v4(protocol::TCP, &tcp), 1448, segments));
            assert_segments(&stats, 1500, 2, 152);
            assert_eq!((stats.df, stats.by_protocol[class::TCP]), (3, 3));
        }
        let stats = hook.count_frame(&Frame::gso(v6(protocol::TCP, &tcp), 1448, 3));
        assert_segments(&stats, 1520, 2, 172);
        let exact = frames::tcp(ACK, &[], 2000);
        let stats = hook.count_frame(&Frame::gso(v4(protocol::TCP, &exact), 1000, 2));
        assert_segments(&stats, 1040, 1, 1040);
        let udp = frames::udp(1, 443, &[0x40; 2500]);
        let stats = hook.count_frame(&Frame::gso(v4(protocol::UDP, &udp), 1200, 0));
        assert_segments(&stats, 1228, 2, 128);
        let tagged = ethernet(&[VLAN], IPV4, &Ipv4::of(protocol::TCP).packet(&exact));
        assert_segments(&hook.count_frame(&Frame::gso(tagged, 1000, 2)), 1040, 1, 1040);
    });
}

#[test]
fn offloaded_packets_in_tunnels_have_both_headers() {
    with_hook(false, |hook| {
        let inner = Ipv4::of(protocol::TCP).packet(&frames::tcp(ACK, &TIMESTAMPS, 2500));
        let frame = ethernet(&[], IPV4, &inner);
        let vxlan = frames::udp(50_000, 4789, &frames::vxlan(&frame));
        let stats = hook.count_frame(&Frame::gso(v4(protocol::UDP, &vxlan), 1398, 2));
        assert_segments(&stats, 20 + 8 + 8 + 14 + 52 + 1398, 1, 20 + 8 + 8 + 14 + 52 + 1102);
        let stats = hook.count_frame(&Frame::gso(v4(protocol::IPIP, &inner), 1428, 0));
        assert_segments(&stats, 20 + 52 + 1428, 1, 20 + 52 + 1072);
        let gre = [&[0, 0, 8, 0][..], &inner].concat();
        let stats = hook.count_frame(&Frame::gso(v6(protocol::GRE, &gre), 1404, 0));
        assert_segments(&stats, 40 + 4 + 52 + 1404, 1, 40 + 4 + 52 + 1096);
        let unknown = hook.count_frame(&Frame::gso(v4(50, &[0; 2500]), 1400, 0));
        assert_eq!((unknown.packets(), hook.skips(Skip::GsoHeaders)), (2, 1));
    });
}

#[test]
fn tags_in_line_are_no_part_of_the_size() {
    with_hook(false, |hook| {
        let packet = Ipv4::of(protocol::TCP).packet(&frames::tcp(ACK, &[], 100));
        assert_one(&hook.count(ethernet(&[VLAN], IPV4, &packet)), 140, class::TCP);
        assert_one(&hook.count(ethernet(&[SERVICE_VLAN, VLAN], IPV4, &packet)), 140, class::TCP);
        let stats = hook.count(ethernet(&[SERVICE_VLAN, VLAN, VLAN], IPV4, &packet));
        assert_eq!((stats.packets(), hook.skips(Skip::VlanDepth)), (0, 1));
    });
}

#[test]
fn options_and_extension_headers_are_looked_through() {
    with_hook(false, |hook| {
        let tcp = frames::tcp(ACK, &[], 100);
        let options = Ipv4 { options: &[1; 40], ..Ipv4::of(protocol::TCP) };
        assert_one(&hook.count(ethernet(&[], IPV4, &options.packet(&tcp))), 180, class::TCP);
        let mut chain = tcp.clone();
        let mut next = protocol::TCP;
        for _ in 0..6 {
            chain = [frames::extension(next, 0), chain].concat();
            next = protocol::DESTINATION;
        }
        assert_one(&hook.count(v6(next, &chain)), 40 + 48 + 120, class::IPV6 + class::TCP);
        let chain = [frames::extension(next, 0), chain].concat();
        assert_one(&hook.count(v6(next, &chain)), 40 + 56 + 120, class::IPV6 + class::OTHER);
        assert_eq!(hook.skips(Skip::ExtensionHeaders), 1);
    });
}

#[test]
fn fragments_are_counted_apart() {
    with_hook(false, |hook| {
        let fragment = |fragment| {
            let packet = Ipv4 { fragment, ..Ipv4::of(protocol::UDP) }.packet(&frames::udp(1, 2, &[0; 100]));
            ethernet(&[], IPV4, &packet)
        };
        let first = hook.count(fragment(MORE));
        assert_one(&first, 128, class::UDP);
        assert_eq!((first.fragments_first, first.fragments_more), (1, 0));
        let later = hook.count(fragment(13));
        assert_one(&later, 128, class::OTHER);
        assert_eq!((later.fragments_first, later.fragments_more), (0, 1));
        let payload = [frames::fragment_header(protocol::UDP, 0, true), vec![0; 100]].concat();
        assert_eq!(hook.count(v6(protocol::FRAGMENT, &payload)).fragments_first, 1);
        let payload = [frames::fragment_header(protocol::UDP, 13, true), vec![0; 100]].concat();
        assert_eq!(hook.count(v6(protocol::FRAGMENT, &payload)).fragments_more, 1);
    });
}

#[test]
fn what_is_no_ip_is_counted_as_such() {
    with_hook(false, |hook| {
        let stats = hook.count(ethernet(&[], 0x0806, &[0; 46]));
        assert_eq!((stats.skbs, stats.packets(), stats.not_ip), (1, 0, 1));
    });
}

#[test]
fn devices_without_ethernet_begin_with_the_packet() {
    with_hook(false, |hook| {
        // A test run reads an EtherType from bytes 12 and 13, which are the first of the source address here.
        let packet = Ipv4 { source: [8, 0, 1, 2], ..Ipv4::of(protocol::UDP) };
        let packet = packet.packet(&frames::udp(1, 2, &[0; 100]));
        for direction in [INGRESS, EGRESS] {
            hook.run_with(direction, false, &Frame::of(packet.clone()));
            assert_one(&hook.take_stats(direction), 128, class::UDP);
        }
        let mut source = frames::address6(2);
        source[4..6].copy_from_slice(&IPV6.to_be_bytes());
        let packet =
            frames::ipv6_between(source, frames::address6(3), protocol::TCP, &frames::tcp(ACK, &[], 9));
        hook.run_with(INGRESS, false, &Frame::of(packet));
        assert_one(&hook.take_stats(INGRESS), 69, class::IPV6 + class::TCP);
    });
}

#[test]
fn an_interface_behind_a_taken_place_is_found() {
    with_hook(false, |hook| {
        let ifindex = hook.network.incoming;
        hook.datapath.clear_interface(ifindex).unwrap();
        let frame = Frame::of(v4(protocol::TCP, &frames::tcp(ACK, &[], 0)));
        hook.run(INGRESS, &frame);
        assert_eq!(hook.skips(Skip::UnknownInterface), 1);
        hook.datapath.set_interface(Hook::config(ifindex + 4096)).unwrap();
        hook.datapath.set_interface(Hook::config(ifindex)).unwrap();
        hook.run(INGRESS, &frame);
        assert_one(&hook.take_stats(INGRESS), 40, class::TCP);
        hook.datapath.clear_interface(ifindex).unwrap();
        hook.run(INGRESS, &frame);
        assert_eq!(hook.skips(Skip::UnknownInterface), 2);
    });
}

#[test]
fn hostile_and_truncated_frames_do_no_harm() {
    with_hook(false, |hook| {
        let error = frames::frag_needed(1400, &[0x45; 100]);
        let chain = [frames::extension(protocol::HOP_BY_HOP, 200), frames::tcp(2, &[], 0)].concat();
        let good = [
            v4(protocol::TCP, &frames::tcp(ACK, &TIMESTAMPS, 10)),
            v6(protocol::HOP_BY_HOP, &chain),
            ethernet(&[VLAN], IPV4, &error),
            ethernet(&[], IPV4, &Ipv4 { fragment: DF | MORE, ..Ipv4::of(17) }.packet(&[0; 30])),
        ];
        let mut runs = 0;
        for frame in &good {
            for length in (15..frame.len()).step_by(3) {
                runs += u64::from(hook.try_run(INGRESS, &Frame::of(frame[..length].to_vec())));
            }
            for at in 12..frame.len().min(80) {
                for value in [0, 1, 0x45, 0x60, 0x81, 0xff] {
                    let mut bytes = frame.clone();
                    bytes[at] = value;
                    for gso_size in [0, 1, 1400, 0xffff] {
                        runs += u64::from(hook.try_run(EGRESS, &Frame::gso(bytes.clone(), gso_size, 0)));
                    }
                }
            }
        }
        let seen: u64 = [INGRESS, EGRESS]
            .map(|direction| hook.datapath.counters().interface(3, direction).unwrap().skbs)
            .iter()
            .sum();
        assert_eq!(seen, runs);
        assert!(runs > 1_000, "the kernel refused too many frames: {runs} ran");
        let mut lying = v4(protocol::TCP, &frames::tcp(ACK, &[], 0));
        lying[16..18].copy_from_slice(&60_000_u16.to_be_bytes());
        let before = hook.skips(Skip::Truncated);
        hook.take_stats(INGRESS);
        assert_one(&hook.count(lying), 40, class::TCP);
        assert_eq!(hook.skips(Skip::Truncated), before + 1);
        let before = hook.skips(Skip::BadVersion);
        hook.count(ethernet(&[], IPV6, &Ipv4::of(6).packet(&frames::tcp(ACK, &[], 40))));
        assert_eq!(hook.skips(Skip::BadVersion), before + 1);
    });
}
