//! What settings make of path MTU discovery: whether a sender's kernel takes the errors that it gets.
use super::fault::{Fault, FaultKey};
use super::{Diagnoser, changes};
use crate::model::finding::Direction;
use crate::model::flow::{Family, Flow, Protocol};
use crate::model::settings::{Discovery, Setting, Settings};
use crate::model::topology::Topology;

/// Protocols whose errors the kernel verifies by itself (`icmp_strict_tag_validation`): beside TCP, DCCP and SCTP.
const VERIFIED: [u8; 2] = [33, 132];

/// Whether the sender's kernel throws an error away that reached it.
pub fn refuses_errors(discovery: Discovery, protocol: Protocol) -> bool {
    match discovery {
        Discovery::On | Discovery::PinsToMinimum => false,
        Discovery::IgnoresErrors => true,
        Discovery::AcceptsVerified => match protocol {
            Protocol::Tcp => false,
            Protocol::Other(number) => !VERIFIED.contains(&number),
            Protocol::Udp | Protocol::Icmp | Protocol::Icmpv6 => true,
        },
    }
}

/// The settings of whoever sends a flow, if it is on this node and they are known.
pub fn sender_settings<'a>(topology: &'a Topology, flow: &Flow) -> Option<&'a Settings> {
    match topology.pod_with_address(flow.src) {
        Some(pod) => topology.settings_of(Some(pod)),
        None if topology.is_own_address(flow.src) => topology.settings_of(None),
        None => None,
    }
}

/// What `net.ipv4.ip_no_pmtu_disc` of a namespace comes to, in words; `None` where discovery is on or nothing is known.
pub fn in_words(discovery: Discovery) -> Option<String> {
    let what = match discovery {
        Discovery::On => return None,
        Discovery::PinsToMinimum => "takes each error for one that announces the smallest path MTU",
        Discovery::IgnoresErrors => "throws the errors away",
        Discovery::AcceptsVerified => "throws the errors away, but for TCP",
    };
    Some(format!("{} is {}, which {what}", Setting::IpNoPmtuDisc.name(), discovery.value()))
}

impl Diagnoser {
    /// Notes at the flows of a fault what their sender's settings make of discovery. There is nothing such for IPv6.
    pub(super) fn note_discovery(&mut self, key: &FaultKey) {
        if key.family != Family::Ipv4 || self.all_discover() {
            return;
        }
        let Some(fault) = self.faults.get_mut(key) else { return };
        for flow in fault.flows.values_mut() {
            let discovery = sender_settings(&self.topology, &flow.flow).and_then(Settings::discovery);
            if let Some(discovery) = discovery.filter(|discovery| *discovery != Discovery::On) {
                flow.discovery = discovery;
            }
        }
    }

    fn all_discover(&self) -> bool {
        let off =
            |settings: &Settings| settings.discovery().is_some_and(|discovery| discovery != Discovery::On);
        !self.topology.settings.values().any(off)
    }
}

impl Fault {
    /// The setting that keeps its senders from learning, or from discovering at all.
    pub fn discovery(&self) -> Discovery {
        let lost = self.flows.values().filter(|flow| flow.drops > 0 || flow.fragments_seen);
        lost.map(|flow| flow.discovery).find(|discovery| *discovery != Discovery::On).unwrap_or(Discovery::On)
    }

    /// The setting that a change of it would be about, as `change` names it.
    pub(super) fn setting_to_blame(&self) -> Option<String> {
        let is_off = self.discovery() != Discovery::On;
        is_off.then(|| changes::object_of_setting(self.pod.as_ref(), Setting::IpNoPmtuDisc))
    }

    /// Losses that a setting of the sender's namespace is to blame for.
    pub fn is_refused_by_setting(&self) -> bool {
        self.flows.values().any(|flow| flow.drops > 0 && flow.refuses_errors())
    }

    /// Its packets would not have met the limit, or not for long, if their sender did discover. TCP sends without DF only
    /// where it was told to.
    pub fn is_caused_by_setting(&self) -> bool {
        let without_df = self.flows.values().any(|flow| {
            let is_tcp = flow.flow.protocol == Protocol::Tcp;
            is_tcp && flow.fragments_seen && !flow.df && flow.discovery != Discovery::On
        });
        without_df || self.is_refused_by_setting()
    }

    /// The setting was put right: what meets the limit from now on learns. `None` while it was not.
    pub fn setting_put_right(&self, topology: &Topology) -> Option<String> {
        let sends = matches!(self.key.direction, Direction::FromPod | Direction::FromHost);
        let mut refused = self.flows.values().filter(|flow| flow.drops > 0).peekable();
        refused.peek()?;
        let is_right = refused.all(|flow| {
            let now = sender_settings(topology, &flow.flow).and_then(Settings::discovery);
            flow.refuses_errors() && now.is_some_and(|now| !refuses_errors(now, flow.flow.protocol))
        });
        (sends && is_right).then(|| format!("{} lets the sender learn now", Setting::IpNoPmtuDisc.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::Output;
    use crate::diagnose::fixtures::{
        self, POD1, POD1_NETNS, error_packet, error_seen, forward_drop, packet, play, upload,
    };
    use crate::model::event::Event;
    use crate::model::finding::{Finding, Kind, Reason, State};
    use crate::model::packet_too_big::HookDirection;
    use crate::model::{SECOND, Time};

    #[test]
    fn each_mode_refuses_what_the_kernel_refuses() {
        let refuses = |discovery| {
            [Protocol::Tcp, Protocol::Udp, Protocol::Icmp, Protocol::Other(132)]
                .map(|protocol| refuses_errors(discovery, protocol))
        };
        assert_eq!(refuses(Discovery::On), [false; 4]);
        assert_eq!(refuses(Discovery::PinsToMinimum), [false; 4]);
        assert_eq!(refuses(Discovery::IgnoresErrors), [true; 4]);
        assert_eq!(refuses(Discovery::AcceptsVerified), [false, true, true, false]);
    }

    fn with_mode(mode: u32) -> Topology {
        let mut topology = fixtures::node(1400);
        let settings = Settings { values: [(Setting::IpNoPmtuDisc, mode)].into() };
        topology.settings.insert(POD1_NETNS, settings);
        topology
    }

    /// Ten datagrams with DF, each dropped at the uplink, and an error about each passes the pod's interface.
    fn datagrams() -> Vec<(Time, Event)> {
        let mut events = Vec::new();
        for number in 0..10 {
            let time = SECOND + number * SECOND / 2;
            let original = packet(upload(Protocol::Udp, 5353), 1500, 77 + number as u32, true);
            let error = error_packet("10.0.1.2", 1400, &original);
            events.push((time, error_seen(time, POD1, HookDirection::Egress, error)));
            events.push((time, Event::Dropped(forward_drop(time, original, 1400))));
        }
        events
    }

    #[test]
    fn an_application_that_goes_on_is_told_from_a_kernel_that_refuses() {
        for (mode, expected) in [
            (0, (Kind::OversizeDropped, None)),
            (1, (Kind::OversizeDropped, None)),
            (2, (Kind::PmtuBlackHole, Some(Reason::IcmpIgnored))),
            (3, (Kind::PmtuBlackHole, Some(Reason::IcmpIgnored))),
        ] {
            let findings = play(fixtures::diagnoser(with_mode(mode)), datagrams());
            let traffic: Vec<&Finding> =
                findings.iter().filter(|finding| !finding.flows.is_empty()).collect();
            let [finding] = traffic[..] else { panic!("{findings:#?}") };
            assert_eq!((finding.kind, finding.reason), expected, "mode {mode}");
            let words = format!("{} is {mode}", Setting::IpNoPmtuDisc.name());
            assert_eq!(finding.explanation.contains(&words), mode > 0, "{}", finding.explanation);
        }
    }

    #[test]
    fn a_setting_put_right_closes_what_it_caused() {
        let mut diagnoser = fixtures::diagnoser(with_mode(2));
        for (time, event) in datagrams() {
            diagnoser.handle_event(time, event);
            diagnoser.handle_timeout(time);
        }
        diagnoser.handle_topology(10 * SECOND, with_mode(0));
        let mut outputs = Vec::new();
        while let Some(output) = diagnoser.poll_output() {
            outputs.push(output);
        }
        let changes = outputs.iter().filter_map(|output| {
            let Output::Change(change) = output else { return None };
            Some((change.object.as_str(), change.from.as_deref(), change.to.as_deref()))
        });
        assert_eq!(changes.collect::<Vec<_>>(), [("pod1 net.ipv4.ip_no_pmtu_disc", Some("2"), Some("0"))]);
        let findings = diagnoser.finish(11 * SECOND);
        let finding =
            findings.iter().find(|finding| finding.kind == Kind::PmtuBlackHole).expect("it was lost");
        assert_eq!(finding.state, State::Closed);
        assert!(finding.explanation.contains("lets the sender learn now"), "{}", finding.explanation);
    }
}
