use crate::diagnose::fixtures::*;
use crate::model::event::Event;
use crate::model::finding::{Certainty, Direction, Finding, Kind, Outcome, Reason, Severity, State};
use crate::model::flow::Protocol;
use crate::model::tcp::{Arrival, HoleState, TcpHole};
use crate::model::{SECOND, Time};

const BEGAN: Time = 10 * SECOND;

/// Of a response of three full segments and a tail of 300 bytes, the tail arrived.
fn hole(port: u16, age: Time) -> TcpHole {
    TcpHole {
        time: BEGAN + age,
        ifindex: POD1,
        flow: flow(Protocol::Tcp, "203.0.113.10", 443, "10.244.1.11", port),
        since: BEGAN,
        last: BEGAN,
        state: HoleState::Open,
        ack: 1,
        missing: 3 * 1448,
        first: 300,
        beyond: 300,
        reports: 1,
        tcp_header: 32,
        arrived: Vec::new(),
    }
}

fn with(arrived: &[(Time, u32)], hole: TcpHole) -> TcpHole {
    let arrived = arrived.iter().map(|(age, size)| Arrival { time: BEGAN + age, size: *size }).collect();
    TcpHole { arrived, ..hole }
}

fn findings(holes: Vec<TcpHole>) -> Vec<Finding> {
    let events = holes.into_iter().map(|hole| (hole.time, Event::TcpHole(hole))).collect();
    play(diagnoser(node(1500)), events)
}

#[test]
fn a_hole_that_stays_while_small_packets_arrive_is_a_silent_path() {
    let at = |port, age| with(&[(SECOND, 52), (2 * SECOND, 1052)], hole(port, age));
    let findings = findings(vec![at(40001, 2 * SECOND), at(40001, 4 * SECOND), at(40002, 4 * SECOND)]);
    let [finding] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!((finding.kind, finding.reason), (Kind::PmtuBlackHole, Some(Reason::PathSilent)));
    assert_eq!((finding.severity, finding.certainty), (Severity::Critical, Certainty::Confirmed));
    assert_eq!(finding.direction, Some(Direction::ToPod));
    assert_eq!(finding.limit.between, Some((1052, 1500)));
    assert_eq!(finding.flows.len(), 2);
    assert!(finding.explanation.contains("SACK"), "{}", finding.explanation);
}

#[test]
fn one_connection_alone_takes_longer() {
    assert_eq!(findings(vec![hole(40001, 5 * SECOND)]), []);
    let findings = findings(vec![hole(40001, 7 * SECOND)]);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].certainty, Certainty::Suspected);
    assert_eq!(findings[0].limit.between, Some((352, 1500)));
}

#[test]
fn something_as_large_that_arrives_says_that_the_size_is_not_the_reason() {
    assert_eq!(findings(vec![with(&[(SECOND, 1500)], hole(40001, 8 * SECOND))]), []);
    let taken_back = findings(vec![
        with(&[(SECOND, 52)], hole(40001, 4 * SECOND)),
        with(&[(SECOND, 52), (5 * SECOND, 1500)], hole(40001, 6 * SECOND)),
    ]);
    assert_eq!(taken_back.len(), 1, "{taken_back:#?}");
    assert_eq!((taken_back[0].state, taken_back[0].severity), (State::Retracted, Severity::Info));
}

#[test]
fn a_full_segment_beyond_the_hole_is_random_loss() {
    let lossy = |age| TcpHole { missing: 1448, first: 1448, beyond: 9 * 1448, ..hole(40001, age) };
    assert_eq!(findings(vec![lossy(7 * SECOND)]), []);
}

#[test]
fn a_hole_that_smaller_segments_filled_after_a_delay_is_a_warning() {
    let filled = |after: Time| TcpHole {
        state: HoleState::Filled,
        last: BEGAN + after,
        ..with(&[(after, 1076)], hole(40001, after + SECOND))
    };
    let rescued = findings(vec![filled(2 * SECOND)]);
    assert_eq!(rescued.len(), 1, "{rescued:#?}");
    assert_eq!((rescued[0].severity, rescued[0].outcome), (Severity::Warning, Outcome::Recovered));
    // An error that told the sender does so within its round trip: discovery at work, beyond this node.
    assert_eq!(findings(vec![filled(SECOND / 2)]), []);
}

#[test]
fn a_connection_that_was_reset_early_proves_nothing() {
    let reset = TcpHole { state: HoleState::Reset, last: BEGAN + SECOND, ..hole(40001, 9 * SECOND) };
    assert_eq!(findings(vec![with(&[(8 * SECOND, 52)], reset)]), []);
}

#[test]
fn what_is_dropped_on_this_node_is_told_as_that() {
    let mut topology = node(1500);
    set_veth(&mut topology, POD1, 1500, 1400);
    let mut drop = veth_drop(BEGAN, packet(hole(40001, 0).flow, 1500, 5, true), 1400);
    (drop.netns, drop.ifindex, drop.peer_ifindex) = (NODE, POD1, None);
    let hole = with(&[(SECOND, 52)], hole(40001, 4 * SECOND));
    let events = vec![(BEGAN, Event::Dropped(drop)), (hole.time, Event::TcpHole(hole))];
    let findings = play(diagnoser(topology), events);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].reason, Some(Reason::SilentLinkDrop));
}

#[test]
fn pods_of_this_node_tell_of_it_as_senders() {
    let own = TcpHole {
        flow: flow(Protocol::Tcp, "10.244.1.12", 443, "10.244.1.11", 40001),
        ..with(&[(SECOND, 52)], hole(40001, 4 * SECOND))
    };
    assert_eq!(findings(vec![own]), []);
}

#[test]
fn the_node_and_pods_that_sit_on_an_uplink_receive_there() {
    let mut topology = node(1500);
    let stacked = topology.pods.iter_mut().find(|pod| pod.host_ifindex == Some(POD1)).expect("a pod");
    stacked.host_ifindex = None;
    topology.interfaces.remove(&POD1);
    let at_uplink = |to: &str| {
        let flow = flow(Protocol::Tcp, "203.0.113.10", 443, to, 40001);
        TcpHole {
            ifindex: UPLINK,
            flow,
            ..with(&[(SECOND, 52), (2 * SECOND, 1052)], hole(40001, 4 * SECOND))
        }
    };
    let events =
        ["10.244.1.11", "10.0.1.2", "10.9.9.9"].map(|to| (BEGAN + 4 * SECOND, Event::TcpHole(at_uplink(to))));
    let findings = play(diagnoser(topology), events.to_vec());
    let told: Vec<_> = findings.iter().map(|finding| (finding.pod.is_some(), finding.direction)).collect();
    assert_eq!(told.len(), 2, "not of an address that is not ours: {findings:#?}");
    assert!(
        told.contains(&(true, Some(Direction::ToPod))) && told.contains(&(false, Some(Direction::ToHost)))
    );
    assert!(findings.iter().all(|finding| finding.limit.between == Some((1052, 1500))));
}
