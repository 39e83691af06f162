use super::*;
use crate::diagnose::fixtures::{NODE, POD1_NETNS, UPLINK, diagnoser, flow, node, packet, play};
use crate::diagnose::scenarios::{BACKOFF, MS, retransmit};
use crate::model::event::Event;
use crate::model::finding::{Certainty, Kind, Reason, Severity};
use crate::model::packet::TcpHeader;
use crate::model::tcp::TcpStateChange;

const POD: &str = "10.244.1.11";
const SERVER: &str = "203.0.113.10";

/// A filter on the node drops a segment that starts at a sequence number.
fn filtered(time: Time, flow: Flow, length: u32, seq: u32) -> Event {
    let mut packet = packet(flow, length, 9, true);
    if flow.protocol == Protocol::Tcp {
        let header = TcpHeader { seq, ack: 1, flags: 16, header_len: 32, mss: None, sack: false };
        packet.transport = Transport::Tcp(header);
    }
    Event::Dropped(PacketDropped {
        reason: "NETFILTER_DROP".to_owned(),
        location: "nft_do_chain".to_owned(),
        netns: NODE,
        ifindex: UPLINK,
        device: "eth0".to_owned(),
        egress_ifindex: Some(UPLINK),
        ..crate::diagnose::fixtures::forward_drop(time, packet, 1500)
    })
}

/// A connection of pod1 to the server is made.
fn established(time: Time, port: u16) -> Event {
    Event::TcpStateChange(TcpStateChange {
        time,
        netns: POD1_NETNS,
        flow: flow(Protocol::Tcp, POD, port, SERVER, 443),
        established: true,
        bytes_acked: 0,
        bytes_received: 0,
        last_ack: None,
        data_segments_out: 0,
        data_segments_in: 0,
        total_retrans: 0,
        header_len: 52,
        mss: 1448,
        unacked: 0,
    })
}

/// What pod1 sends, masqueraded as it leaves, is dropped at the uplink and repeated.
fn upload_events() -> Vec<(Time, Event)> {
    let behind_nat = flow(Protocol::Tcp, "10.0.1.2", 61_000, SERVER, 443);
    let mut events = Vec::new();
    for offset in BACKOFF {
        let time = SECOND + offset;
        events.push((time, filtered(time, behind_nat, 1500, 22)));
        events.push((time, retransmit(time, 40_001, 1500)));
    }
    events.push((4 * SECOND + 500 * MS, established(4 * SECOND + 500 * MS, 40_002)));
    events
}

#[test]
fn a_stall_whose_segments_a_filter_drops_is_the_filters() {
    let mut events = upload_events();
    events.insert(3, (SECOND + 200 * MS, established(SECOND + 200 * MS, 40_003)));
    let findings = play(diagnoser(node(1500)), events);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let finding = &findings[0];
    assert_eq!((finding.kind, finding.reason), (Kind::PmtuBlackHole, Some(Reason::DatapathDrop)));
    assert_eq!((finding.severity, finding.certainty), (Severity::Critical, Certainty::Confirmed));
    assert_eq!((finding.limit.at, finding.limit.interface.as_deref()), (LimitAt::Node, Some("eth0")));
    assert_eq!(finding.limit.between, Some((60, 1500)));
    assert_eq!(finding.direction, Some(Direction::FromPod));
    assert!(finding.explanation.contains("nft_do_chain"), "{}", finding.explanation);
}

/// What the server sends to pod1 is dropped at the uplink and repeated.
fn download_events(length: u32, with_small: bool) -> Vec<(Time, Event)> {
    let down = flow(Protocol::Tcp, SERVER, 443, POD, 40_001);
    let mut events = Vec::new();
    for offset in BACKOFF {
        let time = SECOND + offset;
        events.push((time, filtered(time, down, length, 500)));
        if with_small {
            events.push((time, filtered(time, down, 52, 500)));
        }
    }
    events
}

#[test]
fn a_remote_sender_is_seen_to_repeat_by_its_drops() {
    let mut events = download_events(1500, false);
    events.insert(2, (SECOND + 500 * MS, established(SECOND + 500 * MS, 40_002)));
    let findings = play(diagnoser(node(1500)), events);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].reason, Some(Reason::DatapathDrop));
    assert_eq!(findings[0].direction, Some(Direction::ToPod));
    assert_eq!(findings[0].limit.between, Some((60, 1500)));
}

#[test]
fn a_policy_that_drops_small_packets_too_is_none() {
    let mut events = download_events(1500, true);
    events.insert(2, (SECOND + 500 * MS, established(SECOND + 500 * MS, 40_002)));
    assert_eq!(play(diagnoser(node(1500)), events), []);
}

#[test]
fn a_policy_that_lets_nothing_pass_is_none() {
    assert_eq!(play(diagnoser(node(1500)), download_events(1500, false)), []);
}

#[test]
fn a_filter_of_whole_datagrams_is_no_filter_of_fragments() {
    let datagrams = flow(Protocol::Udp, POD, 40_001, SERVER, 443);
    let mut events = Vec::new();
    for number in 0..5 {
        let time = SECOND + number * 100 * MS;
        let Event::Dropped(mut fragment) = filtered(time, datagrams, 1500, 0) else { panic!("a drop") };
        let whole = fragment.packet.as_mut().expect("a packet");
        whole.fragment = Some(crate::model::packet::Fragment { id: 7, offset: 1480, more: true });
        events.push((time, Event::Dropped(fragment)));
    }
    let alone = play(diagnoser(node(1500)), events.clone());
    assert_eq!(alone.len(), 1, "{alone:#?}");
    assert_eq!(alone[0].kind, Kind::FragmentsLost);
    events.push((2 * SECOND, filtered(2 * SECOND, datagrams, 200, 0)));
    let told = play(diagnoser(node(1500)), events);
    assert!(told.iter().all(|finding| finding.severity == Severity::Info), "{told:#?}");
}

#[test]
fn a_pod_that_much_is_dropped_of_takes_no_others_place() {
    let mut diagnoser = diagnoser(node(1500));
    let quiet = flow(Protocol::Udp, POD, 4000, SERVER, 53);
    diagnoser.handle_event(SECOND, filtered(SECOND, quiet, 1400, 0));
    for port in 0..3 * MAX_REMEMBERED as u16 {
        let noisy = flow(Protocol::Udp, "10.244.1.12", 1000 + port, SERVER, 53);
        diagnoser.handle_event(2 * SECOND, filtered(2 * SECOND, noisy, 1400, 0));
    }
    assert_eq!(diagnoser.filtered.iter().count(), MAX_REMEMBERED);
    assert!(diagnoser.filtered.iter().any(|(_, packet)| packet.flow == quiet));
    diagnoser.handle_timeout(3 * SECOND);
    let mut lost = 0;
    while let Some(output) = diagnoser.poll_output() {
        if let Output::Lost(line) = output {
            assert_eq!(line.what, FORGOTTEN);
            lost += line.count;
        }
    }
    assert_eq!(lost, 2 * MAX_REMEMBERED as u64 + 1);
    assert_eq!(diagnoser.forgotten(), Some((FORGOTTEN, lost)));
}
