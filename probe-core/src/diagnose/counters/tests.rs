//! Counters go in beside packets.
use crate::diagnose::fixtures::*;
use crate::diagnose::{Diagnoser, NetnsCounters};
use crate::model::event::Event;
use crate::model::finding::{Certainty, Finding, Kind, Outcome, Reason, Severity};
use crate::model::flow::Protocol;
use crate::model::interface::DeviceCounters;
use crate::model::packet_too_big::HookDirection;
use crate::model::{SECOND, Time};

fn counters(pod: Option<u32>, name: &str, value: u64) -> NetnsCounters {
    NetnsCounters { pod_host_ifindex: pod, values: [(name.to_owned(), value)].into() }
}

/// A diagnosis that knows that what is sent to pod1 passes its hook by.
fn blind() -> Diagnoser {
    let mut topology = node(1500);
    let mut diagnoser = diagnoser(topology.clone());
    let hooks = [hook(0)];
    diagnoser.handle_hook_counters(&hooks);
    let end = topology.interfaces.get_mut(&POD1).expect("the veth");
    let received = DeviceCounters { rx_packets: 500, ..DeviceCounters::default() };
    end.peer.as_mut().expect("its peer").counters = Some(received);
    diagnoser.handle_topology(SECOND, topology);
    diagnoser.handle_hook_counters(&hooks);
    diagnoser
}

/// A router's errors arrive at the uplink, about datagrams that go on, and the pod's counter stands at these values.
fn judged(readings: [u64; 2]) -> Finding {
    let mut diagnoser = blind();
    diagnoser.handle_counters(2 * SECOND, counters(Some(POD1), "IcmpInDestUnreachs", readings[0]));
    for number in 0..8_u32 {
        let time = 3 * SECOND + Time::from(number) * SECOND / 2;
        let original = packet(upload(Protocol::Udp, 40001), 1500, 70 + number, true);
        let error = error_packet("10.0.7.1", 1400, &original);
        diagnoser.handle_event(time, error_seen(time, UPLINK, HookDirection::Ingress, error));
        diagnoser.handle_timeout(time + SECOND / 4);
    }
    for second in [8, 9] {
        diagnoser.handle_timeout(second * SECOND);
        diagnoser.handle_counters(second * SECOND, counters(Some(POD1), "IcmpInDestUnreachs", readings[1]));
    }
    let mut findings = diagnoser.finish(10 * SECOND);
    findings.retain(|finding| finding.outcome != Outcome::Latent);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings.remove(0)
}

#[test]
fn past_the_hook_the_pods_counter_tells_of_delivery() {
    let told = judged([3, 11]);
    assert_eq!((told.kind, told.reason), (Kind::OversizeDropped, None));
    assert!(told.counts.ptb_delivered > 0, "{:?}", told.counts);
}

#[test]
fn past_the_hook_the_pods_counter_tells_of_loss() {
    let lost = judged([3, 3]);
    assert_eq!((lost.kind, lost.reason), (Kind::PmtuBlackHole, Some(Reason::IcmpLost)));
    assert_eq!(lost.certainty, Certainty::Confirmed);
    assert!(lost.explanation.contains("counters"), "{}", lost.explanation);
}

#[test]
fn without_counters_nothing_is_said_of_delivery() {
    let mut diagnoser = blind();
    for number in 0..8_u32 {
        let time = 3 * SECOND + Time::from(number) * SECOND / 2;
        let original = packet(upload(Protocol::Tcp, 40001), 1500, 70 + number, true);
        let error = error_packet("10.0.7.1", 1400, &original);
        diagnoser.handle_event(time, error_seen(time, UPLINK, HookDirection::Ingress, error));
    }
    let findings = diagnoser.finish(10 * SECOND);
    let said = |finding: &Finding| finding.reason == Some(Reason::IcmpLost);
    assert!(!findings.iter().any(said), "{findings:#?}");
}

#[test]
fn the_ends_of_a_veth_bear_out_what_it_swallows() {
    let mut topology = node(1500);
    set_veth(&mut topology, POD1, 1400, 1500);
    let mut diagnoser = diagnoser(topology.clone());
    for number in 1..=5_u32 {
        let time = Time::from(number) * SECOND;
        let drop = veth_drop(time, packet(upload(Protocol::Udp, 40001), 1450, number, true), 1400);
        diagnoser.handle_event(time, Event::Dropped(drop));
    }
    let end = topology.interfaces.get_mut(&POD1).expect("the veth");
    end.counters.rx_dropped = 5;
    diagnoser.handle_topology(6 * SECOND, topology);
    let findings = diagnoser.finish(7 * SECOND);
    let black_hole = findings.iter().find(|finding| finding.kind == Kind::PmtuBlackHole).expect("one");
    assert_eq!(black_hole.severity, Severity::Critical);
    assert!(black_hole.explanation.contains("rx_dropped of veth1"), "{}", black_hole.explanation);
}

#[test]
fn the_nodes_counters_alone_say_nothing() {
    let mut diagnoser = diagnoser(node(1500));
    for (time, value) in [(1, 0), (2, 500)] {
        for name in ["IpFragFails", "IpFragCreates", "IpReasmFails", "Ip6InTooBigErrors"] {
            diagnoser.handle_counters(time * SECOND, counters(None, name, value));
            diagnoser.handle_counters(time * SECOND, counters(Some(POD1), name, value));
        }
    }
    let mut topology = node(1500);
    let uplink = topology.interfaces.get_mut(&UPLINK).expect("the uplink");
    uplink.counters = DeviceCounters { rx_dropped: 900, rx_length_errors: 900, ..DeviceCounters::default() };
    diagnoser.handle_topology(3 * SECOND, topology);
    let findings = diagnoser.finish(4 * SECOND);
    assert!(findings.iter().all(|finding| finding.outcome == Outcome::Latent), "{findings:#?}");
}
