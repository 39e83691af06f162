use super::*;
use crate::diagnose::NetnsCounters;
use crate::diagnose::fixtures::{
    NODE, POD1, POD1_NETNS, UPLINK, diagnoser, flow, forward_drop, node, packet,
};
use crate::model::event::Event;
use crate::model::finding::{Certainty, Finding, Kind, Severity};
use crate::model::flow::Protocol;
use crate::model::packet::Fragment;

const WAIT: Time = 2 * SECOND;

/// The first fragment of a datagram that a remote sends to pod1.
fn first(src: &str, id: u32) -> Packet {
    let mut packet = packet(flow(Protocol::Udp, src, 5001, "10.244.1.11", 40_000), 1500, id, false);
    packet.fragment = Some(Fragment { id, offset: 0, more: true });
    packet
}

fn seen(time: Time, packet: Packet) -> (Time, Event) {
    let seen = FragmentSeen { time, packets: 1, ifindex: POD1, direction: HookDirection::Egress, packet };
    (time, Event::Fragment(seen))
}

fn expired(time: Time, packet: Packet, location: &str, netns: u32) -> (Time, Event) {
    let drop = PacketDropped {
        reason: "FRAG_REASM_TIMEOUT".to_owned(),
        location: location.to_owned(),
        netns,
        ifindex: if netns == NODE { UPLINK } else { 2 },
        ..forward_drop(time, packet, 1500)
    };
    (time, Event::Dropped(drop))
}

/// Datagrams of one remote, four a second, of which those that a test says are given up; and what the pod counts.
fn play(lost: impl Fn(u32) -> bool, count: u32, readable: bool) -> Vec<Finding> {
    let mut events = Vec::new();
    for id in 1..=count {
        let time = SECOND + Time::from(id) * SECOND / 4;
        events.push(seen(time, first("10.0.9.2", id)));
        if lost(id) {
            events.push(expired(time + WAIT, first("10.0.9.2", id), "ip_expire", POD1_NETNS));
        }
    }
    let whole = u64::from(count) - (1..=count).filter(|&id| lost(id)).count() as u64;
    run(events, readable.then_some(whole))
}

fn run(mut events: Vec<(Time, Event)>, whole: Option<u64>) -> Vec<Finding> {
    events.sort_by_key(|(time, _)| *time);
    let end = events.last().map_or(SECOND, |(time, _)| *time) + SECOND;
    let mut diagnoser = diagnoser(node(1500));
    let read = |whole| NetnsCounters {
        pod_host_ifindex: Some(POD1),
        values: [("IpReasmOKs".to_owned(), whole), ("IpReasmTimeout".to_owned(), 0)].into(),
    };
    if whole.is_some() {
        diagnoser.handle_counters(0, read(0));
    }
    for (time, event) in events {
        diagnoser.handle_event(time, event);
        diagnoser.handle_timeout(time);
    }
    if let Some(whole) = whole {
        diagnoser.handle_counters(end, read(whole));
    }
    diagnoser.finish(end)
}

#[test]
fn datagrams_that_never_arrive_whole_are_told() {
    for readable in [true, false] {
        let findings = play(|_| true, 8, readable);
        let [finding] = &findings[..] else { panic!("{findings:#?}") };
        assert_eq!(finding.kind, Kind::FragmentsLost);
        assert_eq!((finding.severity, finding.certainty), (Severity::Critical, Certainty::Confirmed));
        assert_eq!(finding.direction, Some(Direction::ToPod));
        assert_eq!((finding.limit.at, finding.counts.dropped_packets), (LimitAt::Path, 8));
        assert!(finding.explanation.contains("lost on the way"), "{}", finding.explanation);
    }
}

#[test]
fn random_loss_is_not() {
    for readable in [true, false] {
        assert!(play(|id| id % 4 == 0, 40, readable).is_empty());
        // Bad luck at first.
        assert!(play(|id| id <= 4, 40, readable).is_empty());
    }
}

#[test]
fn one_sender_among_others_is_found_by_what_passed_the_hooks() {
    let mut events = Vec::new();
    for id in 1..=60 {
        let time = SECOND + Time::from(id) * SECOND / 4;
        events.push(seen(time, first("10.0.9.3", 1000 + id)));
        if id <= 10 {
            events.push(seen(time, first("10.0.9.2", id)));
            events.push(expired(time + WAIT, first("10.0.9.2", id), "ip_expire", POD1_NETNS));
        }
    }
    let findings = run(events, Some(60));
    let [finding] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!(finding.counts.dropped_packets, 10);
    assert!(finding.flows.iter().all(|flow| flow.flow.src == crate::diagnose::fixtures::ip("10.0.9.2")));
}

#[test]
fn what_is_put_together_uncounted_says_nothing_by_itself() {
    let mut events = Vec::new();
    for id in 1..=20 {
        let time = SECOND + Time::from(id) * SECOND / 4;
        events.push(expired(time, first("10.0.9.2", id), "nf_ct_frag6_expire", POD1_NETNS));
    }
    assert!(run(events.clone(), Some(0)).is_empty());
    for (_, event) in &mut events {
        if let Event::Dropped(drop) = event {
            drop.location = "ip6_frag_expire".to_owned();
        }
    }
    assert_eq!(run(events, Some(0)).len(), 1);
}

#[test]
fn a_filter_that_was_seen_explains_what_is_missing() {
    let mut events = Vec::new();
    for id in 1..=8 {
        let time = SECOND + Time::from(id) * SECOND / 4;
        let mut later = first("10.0.9.2", id);
        later.fragment = Some(Fragment { id, offset: 1480, more: false });
        let (_, mut filtered) = expired(time, later, "nft_do_chain", POD1_NETNS);
        if let Event::Dropped(drop) = &mut filtered {
            drop.reason = "NETFILTER_DROP".to_owned();
        }
        events.push((time, filtered));
        events.push(expired(time + WAIT, first("10.0.9.2", id), "ip_expire", POD1_NETNS));
    }
    let findings = run(events, Some(0));
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert!(findings[0].explanation.contains("NETFILTER_DROP"), "{}", findings[0].explanation);
}

#[test]
fn given_up_without_a_first_fragment_is_suspected() {
    let mut diagnoser = diagnoser(node(1500));
    for (time, given_up, whole) in [(0, 0, 0), (2, 3, 0), (4, 9, 0)] {
        let values = [("IpReasmOKs", whole), ("IpReasmTimeout", given_up), ("IpReasmReqds", given_up)];
        let values = values.map(|(name, value)| (name.to_owned(), value)).into();
        diagnoser.handle_counters(time * SECOND, NetnsCounters { pod_host_ifindex: Some(POD1), values });
    }
    let findings = diagnoser.finish(5 * SECOND);
    let [finding] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!((finding.severity, finding.certainty), (Severity::Critical, Certainty::Suspected));
    assert_eq!(finding.counts.oversize_packets, 9);
}

#[test]
fn a_datagram_counts_once_and_a_burst_by_its_number() {
    let mut events = Vec::new();
    for id in 1..=4 {
        let time = SECOND + Time::from(id) * SECOND / 50;
        events.push(expired(time, first("10.0.9.2", id), "ip_expire", POD1_NETNS));
        let mut later = first("10.0.9.2", id);
        later.fragment = Some(Fragment { id, offset: 1480, more: true });
        events.push(expired(time, later, "inet_frag_rbtree_purge", POD1_NETNS));
    }
    assert!(run(events.clone(), None).is_empty());
    let mut diagnoser = diagnoser(node(1500));
    for (time, event) in events {
        diagnoser.handle_event(time, event);
    }
    for (time, given_up) in [(0, 0), (3, 8)] {
        let values = [("IpReasmOKs".to_owned(), 0), ("IpReasmTimeout".to_owned(), given_up)].into();
        diagnoser.handle_counters(time * SECOND, NetnsCounters { pod_host_ifindex: Some(POD1), values });
    }
    let findings = diagnoser.finish(4 * SECOND);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].counts.dropped_packets, 4);
}
