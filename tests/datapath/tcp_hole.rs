//! Acknowledgements that report a hole, and what is watched from then on.
use crate::hook::{Hook, with_hook};
use mtuprobe_tests::{
    frames::{self, ACK, IPV4, IPV6, Ipv4, TIMESTAMPS, address6, ethernet, protocol},
    test_run::Frame,
};
use probe_common::{
    interface::role,
    record::direction::{EGRESS, INGRESS},
};
use probe_core::model::{
    SECOND,
    flow::Family,
    tcp::{HoleState, TcpHole},
};
use probe_user::output::wall_clock::monotonic_now;

/// Acknowledged in all frames here.
const ACKED: u32 = 2;
const RST: u8 = 4;

/// A SACK option of blocks, counted from what is acknowledged.
fn sack(blocks: &[(u32, u32)]) -> Vec<u8> {
    let mut option = vec![1, 1, 5, 2 + 8 * blocks.len() as u8];
    for (left, right) in blocks {
        option.extend(ACKED.wrapping_add(*left).to_be_bytes());
        option.extend(ACKED.wrapping_add(*right).to_be_bytes());
    }
    option
}

/// From the pod, of either family; the acknowledgement number moved by `further`.
fn from_pod(family: Family, flags: u8, further: u32, options: &[u8], payload: usize) -> Frame {
    let mut segment = frames::tcp(flags, options, payload);
    segment[8..12].copy_from_slice(&ACKED.wrapping_add(further).to_be_bytes());
    Frame::of(match family {
        Family::Ipv4 => ethernet(&[], IPV4, &Ipv4::of(protocol::TCP).packet(&segment)),
        Family::Ipv6 => ethernet(&[], IPV6, &frames::ipv6(protocol::TCP, &segment)),
    })
}

/// To the pod, from the same address, by another connection.
fn to_pod(family: Family, payload: usize) -> Frame {
    let segment = frames::tcp_from(9_000, ACK, &TIMESTAMPS, payload);
    Frame::of(match family {
        Family::Ipv4 => {
            let back =
                Ipv4 { source: frames::DESTINATION, destination: frames::SOURCE, ..Ipv4::of(protocol::TCP) };
            ethernet(&[], IPV4, &back.packet(&segment))
        }
        Family::Ipv6 => {
            ethernet(&[], IPV6, &frames::ipv6_between(address6(3), address6(2), protocol::TCP, &segment))
        }
    })
}

/// What is told two seconds later.
fn told(hook: &mut Hook) -> Vec<TcpHole> {
    hook.datapath.tcp_holes().read(monotonic_now() + 2 * SECOND).unwrap()
}

#[test]
fn a_hole_is_told_with_what_arrives_meanwhile() {
    with_hook(false, |hook| {
        for (family, ip_header) in [(Family::Ipv4, 20), (Family::Ipv6, 40)] {
            hook.run(EGRESS, &to_pod(family, 1448));
            let option = [&TIMESTAMPS[..], &sack(&[(4344, 4644)])].concat();
            hook.run(INGRESS, &from_pod(family, ACK, 0, &option, 0));
            // A tick later, so that it counts as later.
            std::thread::sleep(std::time::Duration::from_millis(50));
            hook.run(EGRESS, &to_pod(family, 100));
            hook.run(INGRESS, &from_pod(family, ACK, 0, &TIMESTAMPS, 500));
            let holes = told(hook);
            let hole = holes.iter().find(|hole| hole.flow.family() == family).unwrap();
            assert_eq!((hole.flow.src_port, hole.flow.dst_port), (443, 40_000));
            assert_eq!((hole.ack, hole.missing, hole.first, hole.beyond), (ACKED, 4344, 300, 300));
            assert_eq!((hole.state, hole.tcp_header), (HoleState::Open, 32));
            let sizes: Vec<u32> = hole.arrived.iter().map(|arrival| arrival.size).collect();
            assert_eq!(sizes, [ip_header + 32 + 100], "what came before does not count");
            assert!(hole.last > hole.since);
        }
    });
}

#[test]
fn it_is_told_when_the_hole_is_filled_or_the_connection_reset() {
    for (flags, further, state) in [(ACK, 4644, HoleState::Filled), (ACK | RST, 0, HoleState::Reset)] {
        with_hook(false, move |hook| {
            hook.run(INGRESS, &from_pod(Family::Ipv4, ACK, 0, &sack(&[(1460, 1800)]), 0));
            assert_eq!(told(hook).len(), 1, "a header without timestamps has the option as well");
            hook.run(INGRESS, &from_pod(Family::Ipv4, flags, further, &[], 10));
            let holes = told(hook);
            assert_eq!(holes.len(), 1);
            assert_eq!(holes[0].state, state);
            assert_eq!(told(hook), [], "once");
        });
    }
}

#[test]
fn what_is_no_hole_is_not_kept() {
    with_hook(false, |hook| {
        let duplicate = [&TIMESTAMPS[..], &sack(&[(u32::MAX - 99, 0)])].concat();
        hook.run(INGRESS, &from_pod(Family::Ipv4, ACK, 0, &duplicate, 0));
        hook.run(INGRESS, &from_pod(Family::Ipv4, ACK, 0, &TIMESTAMPS, 0));
        // The option on data, a cut option, and one that lies about its length.
        let option = [&TIMESTAMPS[..], &sack(&[(1448, 1748)])].concat();
        hook.run(INGRESS, &from_pod(Family::Ipv4, ACK, 0, &option, 100));
        let mut cut = option.clone();
        cut[15] = 34;
        hook.run(INGRESS, &from_pod(Family::Ipv4, ACK, 0, &cut, 0));
        cut[15] = 0;
        hook.run(INGRESS, &from_pod(Family::Ipv4, ACK, 0, &cut, 0));
        // From outside it is the business of others.
        hook.run(EGRESS, &from_pod(Family::Ipv4, ACK, 0, &option, 0));
        hook.configure(|config| config.role = role::UPLINK);
        hook.run(INGRESS, &from_pod(Family::Ipv4, ACK, 0, &option, 0));
        assert_eq!(told(hook), []);
    });
}

#[test]
fn at_an_uplink_it_is_what_a_socket_sends() {
    with_hook(false, |hook| {
        hook.configure(|config| config.role = role::UPLINK);
        let option = [&TIMESTAMPS[..], &sack(&[(4344, 4644)])].concat();
        hook.run(EGRESS, &from_pod(Family::Ipv4, ACK, 0, &option, 0));
        std::thread::sleep(std::time::Duration::from_millis(50));
        hook.run(INGRESS, &to_pod(Family::Ipv4, 100));
        let holes = told(hook);
        assert_eq!(holes.len(), 1, "{holes:?}");
        assert_eq!((holes[0].missing, holes[0].first), (4344, 300));
        assert_eq!(holes[0].arrived.iter().map(|arrival| arrival.size).collect::<Vec<_>>(), [152]);
    });
}

#[test]
fn a_second_hole_begins_anew() {
    with_hook(false, |hook| {
        let report = |further, left, right| {
            let option = sack(&[(further + left, further + right)]);
            from_pod(Family::Ipv4, ACK, further, &option, 0)
        };
        hook.run(INGRESS, &report(0, 1460, 1800));
        let first = told(hook).remove(0);
        hook.run(INGRESS, &report(1800, 1460, 1500));
        let second = told(hook).remove(0);
        assert_eq!((second.ack, second.missing, second.first), (ACKED + 1800, 1460, 40));
        assert!(second.since > first.since && second.reports == 1);
    });
}
