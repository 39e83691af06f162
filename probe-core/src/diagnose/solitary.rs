//! Senders of large packets and nothing else: no prober of the path is one.
//!
//! Up to three packets of a size may be deliberate probes (RFC 8899), whose sender goes on with smaller ones that arrive.
//! Hooks do not tell packets of one flow from another, but a namespace counts what it sends and takes in of each protocol:
//! where that did not grow, there was nothing smaller.
use super::Diagnoser;
use super::evidence::FlowEvidence;
use super::fault::{Fault, FaultKey};
use crate::model::finding::Direction;
use crate::model::flow::{Family, Protocol};
use crate::model::pod::PodKey;
use crate::model::{SECOND, Time};

/// A prober's smaller packets come within this time of a probe (contract: deliberate path-MTU probes).
const GOES_ON: Time = 2 * SECOND;

/// Packets without which nothing is said: a lone ping is somebody's try.
fn fewest(protocol: Protocol) -> u64 {
    match protocol {
        Protocol::Icmp | Protocol::Icmpv6 => 2,
        Protocol::Udp | Protocol::Tcp | Protocol::Other(_) => 1,
    }
}

/// The counters of what a namespace sends or takes in of a protocol; none where it does not count that apart. What a veth
/// refuses within the sender's own call is counted as an error by UDP, else as sent (`udp_send_skb`).
fn counters_of(protocol: Protocol, family: Family, sends: bool) -> &'static [&'static str] {
    match (protocol, family, sends) {
        (Protocol::Udp, Family::Ipv4, true) => &["UdpOutDatagrams", "UdpSndbufErrors"],
        (Protocol::Udp, Family::Ipv4, false) => &["UdpInDatagrams", "UdpNoPorts", "UdpInErrors"],
        (Protocol::Udp, Family::Ipv6, true) => &["Udp6OutDatagrams", "Udp6SndbufErrors"],
        (Protocol::Udp, Family::Ipv6, false) => &["Udp6InDatagrams", "Udp6NoPorts", "Udp6InErrors"],
        (Protocol::Icmp, _, true) => &["IcmpOutEchos", "IcmpOutEchoReps"],
        (Protocol::Icmp, _, false) => &["IcmpInEchos", "IcmpInEchoReps"],
        (Protocol::Icmpv6, _, true) => &["Icmp6OutEchos", "Icmp6OutEchoReplies"],
        (Protocol::Icmpv6, _, false) => &["Icmp6InEchos", "Icmp6InEchoReplies"],
        (Protocol::Tcp | Protocol::Other(_), _, _) => &[],
    }
}

/// Whether the namespace sends what a fault loses; `None` if the fault is of another one.
fn sends(key: &FaultKey, fault: &Fault, namespace: Option<u32>) -> Option<bool> {
    let is_its = match namespace {
        Some(ifindex) => fault.pod.as_ref().is_some_and(|pod| pod.host_ifindex == Some(ifindex)),
        None => key.pod == PodKey::Node,
    };
    is_its.then_some(matches!(key.direction, Direction::FromPod | Direction::FromHost))
}

impl Diagnoser {
    /// The counters of a namespace were read.
    pub(super) fn note_solitary_senders(&mut self, now: Time, namespace: Option<u32>) {
        let mut touched = Vec::new();
        for (key, fault) in &mut self.faults {
            let Some(sends) = sends(key, fault, namespace).filter(|_| fault.closed.is_none()) else {
                continue;
            };
            let packets_of = |protocol| {
                // What is lost on its way to a namespace is not counted there.
                let flows = fault.flows.values().filter(|flow| sends && flow.flow.protocol == protocol);
                flows.map(|flow| flow.packets).sum::<u64>()
            };
            let is_alone = |flow: &FlowEvidence| {
                let protocol = flow.flow.protocol;
                let end = if sends { flow.flow.src } else { flow.flow.dst };
                let is_own = match &fault.pod {
                    // What is behind the pod (nested containers) counts elsewhere.
                    Some(pod) => pod.addresses.contains(&end),
                    None => self.topology.is_own_address(end),
                };
                let names = counters_of(protocol, key.family, sends);
                let is_told = flow.told_at.is_some() && (flow.errors_dropped == 0 || flow.accepted);
                if !is_own || names.is_empty() || flow.drops < fewest(protocol) || is_told {
                    return false;
                }
                let growth = names.iter().map(|name| self.counters.growth(namespace, name, flow.first));
                let Some(growth) = growth.collect::<Option<Vec<(Time, u64)>>>() else { return false };
                let from = growth.iter().map(|(time, _)| *time).max().unwrap_or(now).max(flow.first);
                let grew: u64 = growth.iter().map(|(_, grew)| grew).sum();
                now >= from + GOES_ON && grew <= packets_of(protocol)
            };
            let alone: Vec<_> = fault
                .flows
                .iter()
                .filter(|(_, flow)| flow.drops > 0 && flow.looks_like_probing() && is_alone(flow))
                .map(|(flow, _)| *flow)
                .collect();
            for flow in &alone {
                if let Some(evidence) = fault.flows.get_mut(flow) {
                    evidence.alone = true;
                }
            }
            if !alone.is_empty() {
                touched.push(key.clone());
            }
        }
        for key in touched {
            self.touch(now, &key);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnose::NetnsCounters;
    use crate::diagnose::fixtures::*;
    use crate::model::SECOND;
    use crate::model::event::Event;
    use crate::model::finding::{Finding, Outcome, Reason, Severity};
    use crate::model::flow::Protocol;

    /// A large datagram every three seconds that the veth drops, while the pod's counter of datagrams grows by so many
    /// each second.
    fn slow(drops: u64, smaller_ones: u64) -> Vec<Finding> {
        let mut topology = node(1500);
        set_veth(&mut topology, POD1, 1400, 1500);
        let mut diagnoser = diagnoser(topology);
        for second in 1..8 {
            let now = second * SECOND;
            let number = (second - 1) / 3;
            if second % 3 == 2 && number < drops {
                let time = now - SECOND / 2;
                let packet = packet(upload(Protocol::Udp, 40001), 1450, 5, true);
                diagnoser.handle_event(time, Event::Dropped(veth_drop(time, packet, 1400)));
            }
            let large = (second + 1) / 3;
            let counted = [
                ("UdpOutDatagrams", second * smaller_ones + large.min(1)),
                ("UdpSndbufErrors", large.saturating_sub(1)),
            ];
            let values = counted.map(|(name, count)| (name.to_owned(), count)).into();
            diagnoser.handle_counters(now, NetnsCounters { pod_host_ifindex: Some(POD1), values });
            diagnoser.handle_timeout(now);
        }
        let mut findings = diagnoser.finish(8 * SECOND);
        findings.retain(|finding| finding.outcome != Outcome::Latent);
        findings
    }

    #[test]
    fn large_packets_alone_are_no_probes() {
        let findings = slow(2, 0);
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert_eq!(findings[0].reason, Some(Reason::SilentLinkDrop));
        assert_eq!(findings[0].severity, Severity::Critical);
        assert_eq!(slow(1, 0)[0].severity, Severity::Warning);
    }

    #[test]
    fn large_packets_beside_smaller_ones_may_be_probes() {
        let findings = slow(2, 1);
        assert!(findings.iter().all(|finding| finding.severity == Severity::Info), "{findings:#?}");
    }
}
