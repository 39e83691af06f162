//! Exceptions go in; suspicions, or silence, come out.
use crate::diagnose::Diagnoser;
use crate::diagnose::fixtures::*;
use crate::model::event::Event;
use crate::model::finding::{Finding, Kind, Outcome, Reason, Severity};
use crate::model::flow::Protocol;
use crate::model::packet_too_big::HookDirection;
use crate::model::pmtu_exception::{NetnsExceptions, PmtuException};
use crate::model::settings::{Setting, Settings};
use crate::model::{SECOND, Time};
use std::collections::BTreeMap;

/// Towards the address that [`upload`] goes to.
fn exception(netns: u32, mtu: u32, expires: u32) -> PmtuException {
    PmtuException {
        netns,
        destination: ip("10.0.9.2"),
        mtu,
        locked: false,
        expires,
        users: 0,
        ifindex: Some(2),
        interface: Some("eth0".to_owned()),
        gateway: None,
    }
}

/// What is said after these were read at a time, and again a while later.
fn said(mut diagnoser: Diagnoser, now: Time, exceptions: &[PmtuException]) -> Vec<Finding> {
    for (now, older) in [(now, 0), (now + 5 * SECOND, 5)] {
        for netns in [NODE, POD1_NETNS] {
            let of_netns = exceptions.iter().filter(|exception| exception.netns == netns);
            let aged = of_netns
                .map(|exception| PmtuException { expires: exception.expires - older, ..exception.clone() });
            let read = NetnsExceptions { netns, exceptions: aged.collect(), locked: Vec::new() };
            diagnoser.handle_exceptions(now, read);
        }
    }
    let mut findings = diagnoser.finish(now + 6 * SECOND);
    findings.retain(|finding| finding.kind == Kind::PmtuExceptionSuspicious);
    findings
}

#[test]
fn one_that_is_locked_and_used_is_a_warning() {
    let locked = PmtuException { locked: true, users: 1, ..exception(POD1_NETNS, 552, 300) };
    let found = said(diagnoser(node(1500)), SECOND, &[locked]);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].severity, found[0].limit.mtu), (Severity::Warning, Some(552)));
    assert_eq!(found[0].pod.as_ref().and_then(|pod| pod.name.as_deref()), Some("pod1"));
}

#[test]
fn a_stale_one_is_no_more_than_information() {
    let found = said(diagnoser(node(1500)), SECOND, &[exception(POD1_NETNS, 560, 300)]);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].severity, found[0].outcome), (Severity::Info, Outcome::Latent));
}

#[test]
fn sizes_of_one_namespace_stand_together() {
    let one = PmtuException { locked: true, ..exception(POD1_NETNS, 552, 300) };
    let other = PmtuException { destination: ip("10.0.9.3"), users: 1, ..one.clone() };
    let found = said(diagnoser(node(1500)), SECOND, &[one, other]);
    assert_eq!(found.len(), 1);
    assert!(found[0].title.contains("10.0.9.2, 10.0.9.3"), "{}", found[0].title);
}

#[test]
fn what_was_learned_before_we_looked_has_its_reasons() {
    assert_eq!(said(diagnoser(node(1500)), 100 * SECOND, &[exception(POD1_NETNS, 1400, 300)]), []);
}

#[test]
fn a_joint_of_that_size_explains_it() {
    let young = PmtuException { users: 1, ..exception(POD1_NETNS, 1400, 599) };
    assert_eq!(said(diagnoser(node(1400)), 100 * SECOND, &[young]), []);
}

#[test]
fn one_that_came_before_our_eyes_without_an_error_is_suspicious() {
    let young = PmtuException { users: 1, ..exception(POD1_NETNS, 1400, 599) };
    let found = said(diagnoser(node(1500)), 100 * SECOND, std::slice::from_ref(&young));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].severity, Severity::Warning);
    // By a device inside the pod: its limits are not known here.
    let inside = PmtuException { ifindex: Some(9), ..young };
    assert_eq!(said(diagnoser(node(1500)), 100 * SECOND, &[inside]), []);
}

#[test]
fn lost_evidence_may_have_explained_it() {
    let mut diagnoser = diagnoser(node(1500));
    let lost = crate::model::event::Lost {
        time: 97 * SECOND,
        what: "ring_full".to_owned(),
        count: 1,
        interface: None,
        why: String::new(),
    };
    diagnoser.handle_event(97 * SECOND, Event::Lost(lost));
    assert_eq!(said(diagnoser, 100 * SECOND, &[exception(POD1_NETNS, 1400, 599)]), []);
}

#[test]
fn an_error_that_was_seen_explains_it() {
    let original = packet(upload(Protocol::Udp, 4000), 1500, 7, true);
    for mtu in [1400, 560] {
        let mut diagnoser = diagnoser(node(1500));
        let error = error_packet("10.0.7.1", mtu, &original);
        let at = 99 * SECOND;
        diagnoser.handle_event(at, error_seen(at, UPLINK, HookDirection::Ingress, error));
        let learned = PmtuException { users: 1, ..exception(POD1_NETNS, mtu, 599) };
        assert_eq!(said(diagnoser, 100 * SECOND, &[learned]), [], "{mtu}");
    }
}

#[test]
fn a_setting_that_locks_every_route_explains_it() {
    let mut topology = node(1500);
    let pinning = Settings { values: BTreeMap::from([(Setting::IpNoPmtuDisc, 1)]) };
    topology.settings.insert(POD1_NETNS, pinning);
    let locked = PmtuException { locked: true, users: 1, ..exception(POD1_NETNS, 552, 300) };
    assert_eq!(said(diagnoser(topology), SECOND, &[locked]), []);
}

#[test]
fn a_poisoned_underlay_shrinks_the_tunnel() {
    let poisoned = PmtuException {
        destination: ip("10.0.2.2"),
        locked: true,
        ifindex: Some(UPLINK),
        ..exception(NODE, 552, 300)
    };
    let found = said(diagnoser(node(1500)), SECOND, &[poisoned]);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].severity, found[0].pod.is_none()), (Severity::Warning, true));
    assert!(found[0].explanation.contains("flannel.1"), "{}", found[0].explanation);
}

/// The pod's packets are dropped, errors are made, and one of them is dropped by a filter.
fn filtered_once() -> Vec<(Time, Event)> {
    let dropped = |time, id| {
        let packet = packet(upload(Protocol::Udp, 4000), 1500, id, true);
        (time, Event::Dropped(forward_drop(time, packet, 1400)))
    };
    let original = packet(upload(Protocol::Udp, 4000), 1500, 1, true);
    let mut filtered = forward_drop(SECOND + 1, error_packet("10.0.1.2", 1400, &original), 1400);
    filtered.reason = "NETFILTER_DROP".to_owned();
    filtered.location = "nft_do_chain".to_owned();
    let mut events: Vec<(Time, Event)> = (1..=6_u32).map(|id| dropped(Time::from(id) * SECOND, id)).collect();
    events.insert(1, (SECOND + 1, Event::Dropped(filtered)));
    events
}

#[test]
fn an_exception_shows_that_the_sender_was_told() {
    let judged = |learned: bool| {
        let mut diagnoser = diagnoser(node(1400));
        for (time, event) in filtered_once() {
            diagnoser.handle_event(time, event);
        }
        if learned {
            let read = NetnsExceptions {
                netns: POD1_NETNS,
                exceptions: vec![exception(POD1_NETNS, 1400, 598)],
                locked: Vec::new(),
            };
            diagnoser.handle_exceptions(7 * SECOND, read);
        }
        let mut findings = diagnoser.finish(8 * SECOND);
        findings.retain(|finding| finding.outcome != Outcome::Latent);
        assert_eq!(findings.len(), 1);
        (findings[0].kind, findings[0].reason)
    };
    assert_eq!(judged(false), (Kind::PmtuBlackHole, Some(Reason::IcmpFiltered)));
    assert_eq!(judged(true), (Kind::OversizeDropped, None));
}

#[test]
fn an_announcement_that_made_an_exception_did_harm() {
    let severity = |learned: bool| {
        let mut diagnoser = diagnoser(node(1500));
        // It announces what the quoted packet has already: no path does that.
        let original = packet(upload(Protocol::Udp, 4000), 1400, 7, true);
        let error = error_packet("10.0.7.1", 1450, &original);
        diagnoser.handle_event(SECOND, error_seen(SECOND, POD1, HookDirection::Egress, error));
        if learned {
            let read = NetnsExceptions {
                netns: POD1_NETNS,
                exceptions: vec![exception(POD1_NETNS, 1450, 599)],
                locked: Vec::new(),
            };
            diagnoser.handle_exceptions(2 * SECOND, read);
        }
        let findings = diagnoser.finish(3 * SECOND);
        let found = findings.iter().find(|finding| finding.kind == Kind::PacketTooBigImplausible);
        found.expect("an implausible announcement").severity
    };
    assert_eq!(severity(false), Severity::Info);
    assert_eq!(severity(true), Severity::Warning);
}
