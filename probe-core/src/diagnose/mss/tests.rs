use super::*;
use crate::diagnose::Output;
use crate::diagnose::fixtures::{POD1, UPLINK, diagnoser, flow, node, packet};
use crate::model::event::Event;
use crate::model::finding::{Finding, Severity, State};
use crate::model::flow::Protocol;
use crate::model::packet::TcpHeader;

fn syn(
    time: Time,
    ifindex: u32,
    direction: HookDirection,
    src: &str,
    dst: &str,
    seq: u32,
    mss: u16,
) -> Event {
    let flow = flow(Protocol::Tcp, src, 40_000, dst, 443);
    let mut packet = packet(flow, 60, 1, true);
    let header =
        TcpHeader { seq, ack: 0, flags: TcpHeader::SYN, header_len: 40, mss: Some(mss), sack: false };
    packet.transport = Transport::Tcp(header);
    Event::TcpMss(MssSeen { time, ifindex, direction, packet })
}

const POD: &str = "10.244.1.11";
const NODE: &str = "10.0.1.2";
const SERVER: &str = "10.0.9.2";

/// The findings of a SYN of pod1 that leaves by the uplink, masqueraded, with another announcement.
fn told(topology: Topology, enters: u16, leaves: u16) -> Vec<Finding> {
    let mut diagnoser = diagnoser(topology);
    diagnoser.handle_event(SECOND, syn(SECOND, POD1, HookDirection::Ingress, POD, SERVER, 77, enters));
    diagnoser.handle_event(SECOND, syn(SECOND + 9, UPLINK, HookDirection::Egress, NODE, SERVER, 77, leaves));
    findings(&mut diagnoser)
}

fn findings(diagnoser: &mut Diagnoser) -> Vec<Finding> {
    let mut findings = Vec::new();
    while let Some(output) = diagnoser.poll_output() {
        if let Output::Finding(finding) = output
            && finding.kind == Kind::MssExceedsPath
        {
            findings.push(finding);
        }
    }
    findings
}

#[test]
fn a_pod_that_announces_more_than_the_uplink_takes() {
    let told = told(node(1400), 1460, 1460);
    assert_eq!(told.len(), 1);
    let finding = &told[0];
    assert_eq!((finding.severity, finding.direction), (Severity::Info, Some(Direction::ToPod)));
    assert_eq!((finding.limit.mtu, finding.limit.interface.as_deref()), (Some(1400), Some("eth0")));
    assert_eq!(finding.family, Some(Family::Ipv4));
    assert_eq!(finding.title, "pod pod1 announces segments of 1460 bytes, eth0 takes 1360");
}

#[test]
fn what_fits_is_not_told() {
    assert_eq!(told(node(1500), 1460, 1460), []);
}

#[test]
fn a_clamp_on_the_node_counts() {
    assert_eq!(told(node(1400), 1460, 1360), []);
}

#[test]
fn a_syn_that_was_not_seen_to_leave_proves_nothing() {
    let mut diagnoser = diagnoser(node(1400));
    diagnoser.handle_event(SECOND, syn(SECOND, POD1, HookDirection::Ingress, POD, SERVER, 77, 1460));
    diagnoser.handle_event(SECOND, syn(SECOND, UPLINK, HookDirection::Egress, NODE, SERVER, 78, 1460));
    assert_eq!(findings(&mut diagnoser), []);
}

/// A SYN of the server that the pod answers with an announcement of its own.
fn answered(own: u16) -> Diagnoser {
    let mut diagnoser = diagnoser(node(1400));
    diagnoser.handle_event(SECOND, syn(SECOND, UPLINK, HookDirection::Ingress, SERVER, NODE, 5, 8960));
    diagnoser.handle_event(SECOND, syn(SECOND, POD1, HookDirection::Egress, SERVER, POD, 5, 8960));
    assert_eq!(findings(&mut diagnoser), [], "what the pod takes is not known yet");
    let Event::TcpMss(mut answer) = syn(SECOND + 1, POD1, HookDirection::Ingress, POD, SERVER, 9, own) else {
        panic!("a handshake")
    };
    answer.packet.flow = flow(Protocol::Tcp, POD, 443, SERVER, 40_000);
    diagnoser.handle_event(SECOND + 1, Event::TcpMss(answer));
    diagnoser
}

#[test]
fn a_pod_with_a_smaller_route_sends_no_more_whatever_it_is_offered() {
    assert_eq!(findings(&mut answered(1360)), []);
}

#[test]
fn what_a_peer_announces_binds_the_pod() {
    let mut diagnoser = answered(1460);
    let told = findings(&mut diagnoser);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].direction, Some(Direction::FromPod));
    assert!(
        told[0].explanation.contains("up to 1500 bytes"),
        "the pod's own MTU bounds it: {}",
        told[0].explanation
    );
}

#[test]
fn is_told_once_and_closed_when_the_way_is_wide_enough() {
    let mut diagnoser = diagnoser(node(1400));
    for seq in 0..5 {
        diagnoser.handle_event(SECOND, syn(SECOND, POD1, HookDirection::Ingress, POD, SERVER, seq, 1460));
        diagnoser.handle_event(SECOND, syn(SECOND, UPLINK, HookDirection::Egress, NODE, SERVER, seq, 1460));
    }
    assert_eq!(findings(&mut diagnoser).len(), 1);
    diagnoser.handle_topology(2 * SECOND, node(1500));
    let told = findings(&mut diagnoser);
    assert_eq!((told.len(), told[0].state), (1, State::Closed));
}
