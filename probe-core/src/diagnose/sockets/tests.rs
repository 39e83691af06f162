use crate::diagnose::Diagnoser;
use crate::diagnose::fixtures::*;
use crate::diagnose::scenarios::{BACKOFF, MS, retransmit};
use crate::model::finding::{Certainty, Finding, Outcome, Reason, Severity, State};
use crate::model::flow::{Flow, Protocol};
use crate::model::tcp_socket::{NetnsSockets, TcpSocket};
use crate::model::{SECOND, Time};
use std::collections::{BTreeMap, BTreeSet};

const STALLED: u16 = 40_001;
const OTHER: u16 = 40_002;

fn to_the_same(port: u16) -> Flow {
    flow(Protocol::Tcp, "10.244.1.11", port, "203.0.113.10", 443)
}

/// A connection with nothing under way.
fn socket(port: u16) -> TcpSocket {
    TcpSocket {
        flow: to_the_same(port),
        unacked: 0,
        sacked: 0,
        unsent: 0,
        mss: 1448,
        header_len: 52,
        pmtu: 1500,
        retransmits: 0,
        probes: 0,
        total_retrans: 0,
        last_ack_age: 10 * MS,
        bytes_acked: 1,
        bytes_received: 1,
        data_segments_out: 0,
        out_of_order: 0,
        window: 65_536,
    }
}

/// The one that stands still.
fn stalled(timeouts: u8) -> TcpSocket {
    TcpSocket {
        unacked: 10,
        unsent: 5000,
        retransmits: timeouts,
        total_retrans: timeouts.into(),
        bytes_acked: 21,
        data_segments_out: 11,
        ..socket(STALLED)
    }
}

/// A long-lived one, so many segments of a size later.
fn went_on(segments: u32, payload: u32) -> TcpSocket {
    TcpSocket { bytes_acked: 1 + u64::from(segments * payload), data_segments_out: segments, ..socket(OTHER) }
}

/// A connection stands still; its namespace is looked at at these times.
fn watched(looks: Vec<(Time, Vec<TcpSocket>)>) -> Vec<Finding> {
    let mut diagnoser = diagnoser(node(1500));
    let mut looks = looks.into_iter().peekable();
    for offset in BACKOFF {
        let time = SECOND + offset;
        look(&mut diagnoser, &mut looks, time);
        diagnoser.handle_event(time, retransmit(time, STALLED, 1500));
    }
    look(&mut diagnoser, &mut looks, Time::MAX);
    diagnoser.handle_timeout(9 * SECOND);
    let mut findings = diagnoser.finish(10 * SECOND);
    findings.retain(|finding| finding.outcome != Outcome::Latent);
    findings
}

type Looks = std::iter::Peekable<std::vec::IntoIter<(Time, Vec<TcpSocket>)>>;

fn look(diagnoser: &mut Diagnoser, looks: &mut Looks, until: Time) {
    while let Some((time, sockets)) = looks.next_if(|(time, _)| *time < until) {
        diagnoser.handle_sockets(time, NetnsSockets { netns: POD1_NETNS, began: None, sockets });
    }
}

#[test]
fn a_long_lived_connection_whose_small_segments_pass_is_proof() {
    let findings = watched(vec![
        (1500 * MS, vec![stalled(2), went_on(10, 300)]),
        (2500 * MS, vec![stalled(3), went_on(20, 300)]),
    ]);
    let [finding] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!((finding.reason, finding.severity), (Some(Reason::PathSilent), Severity::Critical));
    assert_eq!(finding.limit.between, Some((352, 1500)));
    // One server of many behind that address may be dead.
    assert_eq!(finding.certainty, Certainty::Suspected);
    assert!(finding.explanation.contains("through 3 timeouts"), "{}", finding.explanation);
}

#[test]
fn what_was_acknowledged_before_the_stall_proves_nothing_however_late_it_is_told() {
    let mut diagnoser = diagnoser(node(1500));
    let read = |began, sockets| NetnsSockets { netns: POD1_NETNS, began: Some(began), sockets };
    let mut reads = vec![
        // Read before anything stood still, and handed in long after.
        (1500 * MS, read(500 * MS, vec![stalled(0), went_on(10, 300)])),
        (2500 * MS, read(2500 * MS, vec![stalled(3), went_on(20, 300)])),
    ]
    .into_iter()
    .peekable();
    for offset in BACKOFF {
        let time = SECOND + offset;
        while let Some((time, read)) = reads.next_if(|(handed, _)| *handed < time) {
            diagnoser.handle_sockets(time, read);
        }
        diagnoser.handle_event(time, retransmit(time, STALLED, 1500));
    }
    let findings = diagnoser.finish(10 * SECOND);
    assert!(findings.iter().all(|finding| finding.outcome == Outcome::Latent), "{findings:#?}");
}

#[test]
fn one_connection_whose_other_end_is_alive_is_enough() {
    let has_the_tail = |socket| TcpSocket { sacked: 1, ..socket };
    let sends = |bytes, socket| TcpSocket { bytes_received: bytes, ..socket };
    for (second, third) in [
        (has_the_tail(stalled(2)), has_the_tail(stalled(3))),
        (sends(10, stalled(2)), sends(500, stalled(3))),
    ] {
        let findings = watched(vec![
            (1500 * MS, vec![second, went_on(10, 300)]),
            (2500 * MS, vec![third, went_on(20, 300)]),
        ]);
        let [finding] = &findings[..] else { panic!("{findings:#?}") };
        assert_eq!((finding.reason, finding.certainty), (Some(Reason::PathSilent), Certainty::Confirmed));
    }
}

#[test]
fn one_that_had_nothing_acknowledged_meanwhile_is_none() {
    let still = || vec![stalled(2), went_on(10, 300)];
    assert_eq!(watched(vec![(1500 * MS, still()), (2500 * MS, still()), (3500 * MS, still())]), []);
}

#[test]
fn a_closed_window_bears_nothing_out() {
    let closed = |timeouts| TcpSocket { window: 0, probes: 1, ..stalled(timeouts) };
    let findings = watched(vec![
        (1500 * MS, vec![closed(2), went_on(10, 300)]),
        (2500 * MS, vec![closed(3), went_on(20, 300)]),
    ]);
    let [finding] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!(finding.certainty, Certainty::Suspected);
}

#[test]
fn a_long_lived_connection_of_full_segments_refutes_it() {
    let looks = (1..6).map(|second| {
        let small = TcpSocket { flow: to_the_same(40_003), ..went_on(10 * second, 300) };
        (Time::from(second) * SECOND + 500 * MS, vec![stalled(2), went_on(10 * second, 1448), small])
    });
    let findings = watched(looks.collect());
    assert!(findings.iter().all(|finding| finding.severity == Severity::Info), "{findings:#?}");
}

#[test]
fn one_that_went_on_with_the_same_size_is_taken_back() {
    let findings = watched(vec![
        (1500 * MS, vec![stalled(2), went_on(10, 300)]),
        (2500 * MS, vec![stalled(3), went_on(20, 300)]),
        (5500 * MS, vec![TcpSocket { bytes_acked: 30_000, unacked: 0, ..stalled(0) }]),
    ]);
    let [finding] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!((finding.state, finding.severity), (State::Retracted, Severity::Info));
}

#[test]
fn one_that_went_on_with_smaller_segments_recovered() {
    let findings = watched(vec![
        (1500 * MS, vec![stalled(2), went_on(10, 300)]),
        (2500 * MS, vec![stalled(3), went_on(20, 300)]),
        (5500 * MS, vec![TcpSocket { bytes_acked: 30_000, mss: 1012, ..stalled(0) }]),
    ]);
    let [finding] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!((finding.severity, finding.outcome), (Severity::Warning, Outcome::Recovered));
}

#[test]
fn only_those_that_stand_still_are_asked_for() {
    let mut diagnoser = diagnoser(node(1500));
    assert_eq!(diagnoser.wants_sockets(SECOND), BTreeMap::new());
    diagnoser.handle_event(SECOND, retransmit(SECOND, STALLED, 1500));
    let wanted = BTreeMap::from([(POD1_NETNS, BTreeSet::from([ip("203.0.113.10")]))]);
    assert_eq!(diagnoser.wants_sockets(SECOND), wanted);
    assert_eq!(diagnoser.wants_sockets(30 * SECOND), BTreeMap::new());
}

#[test]
fn a_socket_that_uses_a_smaller_path_mtu_was_told() {
    let met = upload(Protocol::Tcp, STALLED);
    let sender = |pmtu| TcpSocket { flow: met, unacked: 3, retransmits: 1, pmtu, ..socket(STALLED) };
    let judged = |pmtu| {
        let mut diagnoser = diagnoser(node(1400));
        for offset in BACKOFF {
            let drop = forward_drop(SECOND + offset, packet(met, 1500, 77, true), 1400);
            diagnoser.handle_event(SECOND + offset, crate::model::event::Event::Dropped(drop));
        }
        let read = NetnsSockets { netns: POD1_NETNS, began: None, sockets: vec![sender(pmtu)] };
        diagnoser.handle_sockets(5 * SECOND, read);
        let mut findings = diagnoser.finish(6 * SECOND);
        findings.retain(|finding| finding.outcome != Outcome::Latent);
        findings.remove(0)
    };
    let told = judged(1400);
    assert_eq!((told.reason, told.outcome), (None, Outcome::Recovered), "{told:#?}");
    let untold = judged(1500);
    assert_eq!(untold.reason, Some(Reason::IcmpLost));
    assert!(untold.explanation.contains("it keeps a path MTU of 1500"), "{}", untold.explanation);
}
