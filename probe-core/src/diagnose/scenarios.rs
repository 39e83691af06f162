//! Scenarios of the diagnosis: what is observed, and what must come out.
use super::fixtures::*;
use super::{HookCounters, Output};
use crate::model::coverage::CoverageState;
use crate::model::event::{Event, FragmentSeen, Oversize, OversizeHow};
use crate::model::finding::{Direction, Kind, Outcome, Reason, Severity, State};
use crate::model::flow::Protocol;
use crate::model::interface::DeviceCounters;
use crate::model::nat::NatEntry;
use crate::model::packet::Fragment;
use crate::model::packet_too_big::HookDirection;
use crate::model::size_drop::PacketDropped;
use crate::model::tcp::{TcpRetransmit, TcpStateChange};
use crate::model::{SECOND, Time};

pub(super) const MS: Time = SECOND / 1000;

/// Sends of one TCP segment and its retransmissions, as a stalled connection makes them.
pub(super) const BACKOFF: [Time; 5] = [0, 200 * MS, 600 * MS, 1400 * MS, 3000 * MS];

#[test]
fn told_tcp_that_shrinks_is_a_warning() {
    let original = packet(upload(Protocol::Tcp, 40001), 1500, 77, true);
    let error = error_packet("10.0.1.2", 1400, &original);
    let findings = play(
        diagnoser(node(1400)),
        vec![
            (SECOND, error_seen(SECOND, POD1, HookDirection::Egress, error)),
            (SECOND, Event::Dropped(forward_drop(SECOND, original, 1400))),
        ],
    );
    let [finding] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!(finding.kind, Kind::OversizeDropped);
    assert_eq!(finding.severity, Severity::Warning);
    assert_eq!(finding.outcome, Outcome::Recovered);
    assert_eq!(finding.direction, Some(Direction::FromPod));
    assert_eq!(finding.limit.mtu, Some(1400));
    assert_eq!(finding.pod.as_ref().and_then(|pod| pod.name.as_deref()), Some("pod1"));
}

#[test]
fn an_error_dropped_in_the_pod_is_a_black_hole() {
    let mut events = Vec::new();
    for (index, offset) in BACKOFF.into_iter().enumerate() {
        let time = SECOND + offset;
        let original = packet(upload(Protocol::Tcp, 40001), 1500, 77 + index as u32, true);
        let error = error_packet("10.0.1.2", 1400, &original);
        events.push((time, error_seen(time, POD1, HookDirection::Egress, error.clone())));
        let filtered = PacketDropped {
            reason: "NETFILTER_DROP".to_owned(),
            location: "nf_hook_slow".to_owned(),
            netns: POD1_NETNS,
            ifindex: 2,
            device: "eth0".to_owned(),
            peer_ifindex: Some(POD1),
            ..forward_drop(time, error, 1400)
        };
        events.push((time, Event::Dropped(filtered)));
        events.push((time, Event::Dropped(forward_drop(time, original, 1400))));
    }
    let findings = play(diagnoser(node(1400)), events);
    let [finding] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!((finding.kind, finding.reason), (Kind::PmtuBlackHole, Some(Reason::IcmpFiltered)));
    assert_eq!(finding.severity, Severity::Critical);
    assert_eq!(finding.limit.mtu, Some(1400));
    assert_eq!(finding.counts.dropped_packets, 5);
    assert!(finding.explanation.contains("network namespace of pod pod1"), "{}", finding.explanation);
}

#[test]
fn tcp_that_repeats_after_it_was_told_ignores_the_error() {
    let mut events = Vec::new();
    for offset in BACKOFF {
        let time = SECOND + offset;
        let original = packet(upload(Protocol::Tcp, 40001), 1500, 77, true);
        let error = error_packet("10.0.1.2", 1400, &original);
        events.push((time, error_seen(time, POD1, HookDirection::Egress, error)));
        events.push((time, Event::Dropped(forward_drop(time, original, 1400))));
    }
    let findings = play(diagnoser(node(1400)), events);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].reason, Some(Reason::IcmpIgnored));
    assert_eq!(findings[0].severity, Severity::Critical);
}

#[test]
fn an_error_that_never_passes_the_hook_is_lost() {
    let events = BACKOFF
        .into_iter()
        .map(|offset| {
            let time = SECOND + offset;
            let original = packet(upload(Protocol::Tcp, 40001), 1500, 77, true);
            (time, Event::Dropped(forward_drop(time, original, 1400)))
        })
        .collect();
    let findings = play(diagnoser(node(1400)), events);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].reason, Some(Reason::IcmpLost));
    assert_eq!(findings[0].severity, Severity::Critical);
}

#[test]
fn the_smaller_end_of_a_veth_drops_silently() {
    let mut topology = node(1500);
    set_veth(&mut topology, POD1, 1400, 1500);
    let drop = |time, length| {
        Event::Dropped(veth_drop(time, packet(upload(Protocol::Udp, 40001), length, 5, true), 1400))
    };
    let events =
        (0..8).map(|number| (SECOND + number * 100 * MS, drop(SECOND + number * 100 * MS, 1450))).collect();
    let findings = play(diagnoser(topology.clone()), events);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!((findings[0].kind, findings[0].reason), (Kind::PmtuBlackHole, Some(Reason::SilentLinkDrop)));
    assert_eq!(findings[0].severity, Severity::Critical);
    assert_eq!(findings[0].limit.mtu, Some(1400));
    assert_eq!(findings[0].direction, Some(Direction::FromPod));

    // 1404 bytes would have passed: a loss at this place for another reason.
    let findings = play(diagnoser(topology), vec![(SECOND, drop(SECOND, 1404))]);
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
fn a_few_probes_of_each_size_are_no_fault() {
    let mut events = Vec::new();
    for (index, size) in [1500_u32, 1500, 1500, 1480, 1480, 1450, 1420].into_iter().enumerate() {
        let time = SECOND + index as Time * 50 * MS;
        let original = packet(upload(Protocol::Udp, 40001), size, 0, true);
        events.push((time, Event::Dropped(forward_drop(time, original, 1400))));
    }
    let findings = play(diagnoser(node(1400)), events);
    assert!(findings.iter().all(|finding| finding.severity == Severity::Info), "{findings:#?}");
}

#[test]
fn many_flows_that_lose_one_packet_each_are_no_probing() {
    let events = (0..8_u16)
        .map(|number| {
            let time = SECOND + Time::from(number) * 50 * MS;
            let answer = flow(Protocol::Udp, "10.244.1.11", 53, "10.0.9.2", 30_000 + number);
            (time, Event::Dropped(veth_drop(time, packet(answer, 1450, 0, false), 1400)))
        })
        .collect();
    let mut topology = node(1500);
    set_veth(&mut topology, POD1, 1400, 1500);
    let findings = play(diagnoser(topology), events);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].severity, Severity::Critical);
}

fn oversize(time: Time, id: u32) -> Event {
    Event::Oversize(Oversize {
        time,
        packets: 1,
        ifindex: POD1,
        direction: HookDirection::Ingress,
        length: 1500,
        limit: 1400,
        how: OversizeHow::Route,
        egress_ifindex: Some(UPLINK),
        gso: false,
        packet: packet(upload(Protocol::Udp, 40001), 1500, id, false),
    })
}

#[test]
fn fragmentation_is_reported_once_fragments_leave() {
    let mut fragment = packet(upload(Protocol::Udp, 40001), 1396, 9, false);
    fragment.fragment = Some(Fragment { id: 9, offset: 0, more: true });
    let seen = FragmentSeen {
        time: SECOND + MS,
        packets: 1,
        ifindex: UPLINK,
        direction: HookDirection::Egress,
        packet: fragment,
    };
    let findings = play(
        diagnoser(node(1400)),
        vec![(SECOND, oversize(SECOND, 9)), (SECOND + MS, Event::Fragment(seen))],
    );
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].kind, Kind::OversizeFragmented);
    assert_eq!(findings[0].severity, Severity::Warning);

    // A route asked before NAT is only a suspicion.
    let findings = play(diagnoser(node(1400)), vec![(SECOND, oversize(SECOND, 9))]);
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
fn a_router_that_answers_is_the_internet_at_work() {
    let original = packet(flow(Protocol::Tcp, "10.244.1.11", 40001, "203.0.113.10", 443), 1500, 77, true);
    let mut masqueraded = original.clone();
    masqueraded.flow.src = ip("10.0.1.2");
    masqueraded.flow.src_port = 61000;
    let findings = play(
        diagnoser(node(1500)),
        vec![
            (
                SECOND,
                error_seen(
                    SECOND,
                    UPLINK,
                    HookDirection::Ingress,
                    error_packet("10.0.6.1", 1400, &masqueraded),
                ),
            ),
            (
                SECOND,
                error_seen(SECOND, POD1, HookDirection::Egress, error_packet("10.0.6.1", 1400, &original)),
            ),
        ],
    );
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!((findings[0].kind, findings[0].severity), (Kind::OversizeDropped, Severity::Info));
    assert_eq!(findings[0].limit.router, Some(ip("10.0.6.1")));
    assert_eq!(findings[0].pod.as_ref().and_then(|pod| pod.name.as_deref()), Some("pod1"));
}

#[test]
fn an_error_that_masquerading_swallows_is_lost() {
    let original = packet(flow(Protocol::Tcp, "10.244.1.11", 40001, "203.0.113.10", 443), 1500, 77, true);
    let mut masqueraded = original.clone();
    masqueraded.flow.src = ip("10.0.1.2");
    masqueraded.flow.src_port = 61000;
    let mut diagnoser = diagnoser_with_conntrack(node(1500));
    for number in 0..4 {
        let time = SECOND + number * SECOND;
        let error = error_packet("10.0.6.1", 1400, &masqueraded);
        diagnoser.handle_event(time, error_seen(time, UPLINK, HookDirection::Ingress, error));
        assert_eq!(diagnoser.wants_nat(), number == 0, "the table is asked for what it does not know yet");
        let entry = NatEntry { original: original.flow, reply: masqueraded.flow.reversed() };
        diagnoser.handle_nat(time, &[entry]);
        diagnoser.handle_timeout(time + 600 * MS);
    }
    let findings = play(diagnoser, Vec::new());
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!((findings[0].reason, findings[0].severity), (Some(Reason::IcmpLost), Severity::Critical));
    assert_eq!(findings[0].pod.as_ref().and_then(|pod| pod.name.as_deref()), Some("pod1"));
}

#[test]
fn an_application_that_goes_on_after_a_router_answered_is_a_warning() {
    let mut events = Vec::new();
    for number in 0..12 {
        let time = SECOND + number * 100 * MS;
        let original = packet(flow(Protocol::Udp, "10.244.1.11", 40001, "203.0.113.10", 443), 1500, 0, true);
        let error = error_packet("10.0.6.1", 1400, &original);
        events.push((time, error_seen(time, UPLINK, HookDirection::Ingress, error.clone())));
        events.push((time, error_seen(time, POD1, HookDirection::Egress, error)));
    }
    let findings = play(diagnoser(node(1500)), events);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!((findings[0].kind, findings[0].severity), (Kind::OversizeDropped, Severity::Warning));
    assert_eq!(findings[0].outcome, Outcome::Lost);
}

#[test]
fn an_announcement_above_the_packet_is_implausible_and_harmless() {
    let original = packet(upload(Protocol::Tcp, 40001), 1500, 77, true);
    let error = error_packet("10.0.5.2", 9000, &original);
    let findings =
        play(diagnoser(node(1500)), vec![(SECOND, error_seen(SECOND, POD1, HookDirection::Egress, error))]);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!((findings[0].kind, findings[0].severity), (Kind::PacketTooBigImplausible, Severity::Info));
}

pub(super) fn retransmit(time: Time, port: u16, segment: u32) -> Event {
    Event::TcpRetransmit(TcpRetransmit {
        time,
        packets: 1,
        netns: POD1_NETNS,
        flow: flow(Protocol::Tcp, "10.244.1.11", port, "203.0.113.10", 443),
        segment,
        bytes_acked: 21,
        snd_una: 22,
        snd_nxt: 14_500,
        seq: 22,
        total_retrans: 1,
        data_segments_out: 11,
        header_len: 52,
        pmtu: 1500,
        established: true,
        srtt_us: 200,
        timeout: Some(200 * MS),
    })
}

pub(super) fn closed(time: Time, port: u16, last_ack: Time) -> Event {
    Event::TcpStateChange(TcpStateChange {
        time,
        netns: POD1_NETNS,
        flow: flow(Protocol::Tcp, "10.244.1.11", port, "203.0.113.10", 443),
        established: false,
        bytes_acked: 30_000,
        bytes_received: 30_000,
        last_ack: Some(last_ack),
        data_segments_out: 30,
        data_segments_in: 30,
        total_retrans: 0,
        header_len: 52,
        mss: 1448,
        unacked: 0,
    })
}

#[test]
fn large_segments_that_stall_while_small_ones_pass_are_a_silent_path() {
    let mut events: Vec<(Time, Event)> = BACKOFF
        .into_iter()
        .map(|offset| (SECOND + offset, retransmit(SECOND + offset, 40001, 1500)))
        .collect();
    events.insert(1, (SECOND + 40 * MS, closed(SECOND + 40 * MS, 40002, SECOND + 39 * MS)));
    let findings = play(diagnoser(node(1500)), events);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].reason, Some(Reason::PathSilent));
    assert_eq!(findings[0].severity, Severity::Critical);
    assert_eq!(findings[0].limit.between, Some((1052, 1500)));
}

#[test]
fn a_path_that_carries_nothing_any_more_is_no_silent_path() {
    let mut events: Vec<(Time, Event)> = BACKOFF
        .into_iter()
        .map(|offset| (SECOND + offset, retransmit(SECOND + offset, 40001, 1500)))
        .collect();
    events.push((5 * SECOND, closed(5 * SECOND, 40002, SECOND - 300 * MS)));
    let findings = play(diagnoser(node(1500)), events);
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
fn a_stall_that_ends_with_the_same_size_is_taken_back() {
    let mut events: Vec<(Time, Event)> = BACKOFF
        .into_iter()
        .map(|offset| (SECOND + offset, retransmit(SECOND + offset, 40001, 1500)))
        .collect();
    events.insert(1, (SECOND + 40 * MS, closed(SECOND + 40 * MS, 40002, SECOND + 39 * MS)));
    events.push((5 * SECOND, closed(5 * SECOND, 40001, 5 * SECOND - MS)));
    let findings = play(diagnoser(node(1500)), events);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!((findings[0].state, findings[0].severity), (State::Retracted, Severity::Info));
}

#[test]
fn a_connection_of_full_segments_that_goes_on_refutes_a_silent_path() {
    let mut events: Vec<(Time, Event)> = BACKOFF
        .into_iter()
        .map(|offset| (SECOND + offset, retransmit(SECOND + offset, 40001, 1500)))
        .collect();
    events.insert(1, (SECOND + 40 * MS, closed(SECOND + 40 * MS, 40002, SECOND + 39 * MS)));
    let Event::TcpStateChange(change) = closed(3 * SECOND, 40003, 3 * SECOND - MS) else { panic!("a close") };
    let full = TcpStateChange { bytes_acked: 30 * 1448, ..change };
    events.push((3 * SECOND, Event::TcpStateChange(full)));
    let findings = play(diagnoser(node(1500)), events);
    assert!(findings.iter().all(|finding| finding.severity == Severity::Info), "{findings:#?}");
}

#[test]
fn a_fault_closes_when_its_limit_is_raised() {
    let mut topology = node(1500);
    set_veth(&mut topology, POD1, 1400, 1500);
    let mut diagnoser = diagnoser(topology.clone());
    for number in 0..5 {
        let time = SECOND + number * 100 * MS;
        let drop = veth_drop(time, packet(upload(Protocol::Udp, 40001), 1450, 5, true), 1400);
        diagnoser.handle_event(time, Event::Dropped(drop));
    }
    set_veth(&mut topology, POD1, 1500, 1500);
    diagnoser.handle_topology(3 * SECOND, topology);
    let findings = diagnoser.finish(4 * SECOND);
    let black_hole =
        findings.iter().find(|finding| finding.kind == Kind::PmtuBlackHole).expect("the finding");
    assert_eq!(black_hole.state, State::Closed);
    assert_eq!(black_hole.severity, Severity::Critical);
    let cause = black_hole.cause.as_ref().expect("its cause");
    assert_eq!(cause.kind, Some(Kind::VethMtuMismatch));
    assert!(
        findings.iter().all(|finding| finding.kind != Kind::VethMtuMismatch),
        "nothing is told twice: {findings:#?}"
    );
}

#[test]
fn packets_between_the_reading_of_a_device_and_of_its_hook_are_not_missed() {
    let mut topology = node(1500);
    let mut diagnoser = diagnoser(topology.clone());
    // What the pod was sent between the first reading of its device and that of the hook; nothing since.
    diagnoser.handle_hook_counters(&[HookCounters { egress_before: Some(10), ..hook(510) }]);
    let end = topology.interfaces.get_mut(&POD1).expect("the veth");
    end.counters = DeviceCounters { tx_packets: 500, ..DeviceCounters::default() };
    diagnoser.handle_topology(SECOND, topology);
    diagnoser.handle_hook_counters(&[HookCounters { egress_before: Some(510), ..hook(510) }]);
    let mut states = Vec::new();
    while let Some(output) = diagnoser.poll_output() {
        if let Output::Coverage(coverage) = output
            && coverage.direction == Direction::ToPod
        {
            states.push(coverage.state);
        }
    }
    assert_eq!(states, [CoverageState::Idle, CoverageState::Full]);
}

#[test]
fn an_error_that_no_hook_could_see_is_no_proof() {
    let mut topology = node(1400);
    let mut diagnoser = diagnoser(topology.clone());
    let hooks = |egress| [hook(egress)];
    diagnoser.handle_hook_counters(&hooks(0));
    // bpf_redirect_peer: the pod's end receives, the host's end sends nothing and its hook sees nothing.
    let end = topology.interfaces.get_mut(&POD1).expect("the veth");
    let counters = DeviceCounters { rx_packets: 500, ..DeviceCounters::default() };
    end.peer.as_mut().expect("its peer").counters = Some(counters);
    diagnoser.handle_topology(SECOND, topology);
    diagnoser.handle_hook_counters(&hooks(0));
    let mut blind = false;
    while let Some(output) = diagnoser.poll_output() {
        if let Output::Coverage(coverage) = output {
            blind |= coverage.state == CoverageState::Blind && coverage.direction == Direction::ToPod;
        }
    }
    assert!(blind);
    let events = BACKOFF
        .into_iter()
        .map(|offset| {
            let time = 2 * SECOND + offset;
            let original = packet(upload(Protocol::Tcp, 40001), 1500, 77, true);
            (time, Event::Dropped(forward_drop(time, original, 1400)))
        })
        .collect();
    let findings = play(diagnoser, events);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    // The sender's own repetition is proof all the same.
    assert_eq!(findings[0].reason, Some(Reason::IcmpIgnored));
}
