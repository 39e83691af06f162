//! Faults that are over: the limit, the interface or the pod is gone, or nothing meets them any more.
use super::fault::{Fault, FaultKey, Joint};
use super::{Diagnoser, FORGET, IDLE};
use crate::model::Time;
use crate::model::finding::{Direction, LimitHow};
use crate::model::interface::Role;
use crate::model::pod::PodKey;
use crate::model::topology::Topology;

impl Diagnoser {
    /// Closes the faults whose limit, interface or pod is gone.
    pub(super) fn close_what_is_gone(&mut self, now: Time, before: &Topology) {
        let mut closed = Vec::new();
        for (key, fault) in &mut self.faults {
            if fault.closed.is_some() {
                continue;
            }
            if let Some(why) = why_gone(before, &self.topology, fault) {
                fault.closed = Some((now, why));
                closed.push(key.clone());
            }
        }
        for key in closed {
            self.judge(now, &key);
        }
    }

    pub(super) fn close_what_is_idle(&mut self, now: Time) {
        let idle: Vec<FaultKey> = self
            .faults
            .iter()
            .filter(|(_, fault)| fault.closed.is_none() && fault.last_seen + IDLE < now)
            .map(|(key, _)| key.clone())
            .collect();
        for key in idle {
            if let Some(fault) = self.faults.get_mut(&key) {
                fault.closed = Some((now, "no packet met it for ten minutes".to_owned()));
            }
            self.judge(now, &key);
        }
        self.faults.retain(|_, fault| fault.closed.as_ref().is_none_or(|(time, _)| time + FORGET >= now));
        self.published.retain(|key, _| self.faults.contains_key(key));
        self.retracted.retain(|_, finding| finding.ended.is_none_or(|ended| ended + FORGET >= now));
    }
}

/// Why a fault cannot go on, if so.
fn why_gone(before: &Topology, topology: &Topology, fault: &Fault) -> Option<String> {
    if fault.key.pod != PodKey::Node && !topology.pods.iter().any(|pod| pod.key() == fault.key.pod) {
        return Some("the pod is gone".to_owned());
    }
    if let Some(why) = fault.setting_put_right(topology) {
        return Some(why);
    }
    if let Some(why) = sends_less(before, topology, fault) {
        return Some(why);
    }
    let largest = fault.flows.values().map(|flow| flow.largest).max()?;
    let gone = |name: &Option<String>| format!("{} is gone", name.as_deref().unwrap_or("the interface"));
    let (ifindex, limit) = match fault.key.joint {
        Joint::Veth(ifindex) => {
            let Some(end) = topology.interface(ifindex) else { return Some(gone(&fault.limit.interface)) };
            let peer_mtu = end.peer.as_ref().and_then(|peer| peer.mtu)?;
            // Behind a pod's veth is the pod, behind an uplink's the link partner.
            let outwards = matches!(fault.key.direction, Direction::FromPod | Direction::FromHost);
            let from_far_end = (end.role == Role::Pod) == outwards;
            let (sends, receives) = if from_far_end { (peer_mtu, end.mtu) } else { (end.mtu, peer_mtu) };
            if sends <= receives {
                return Some(format!("the two ends are {sends} and {receives} now"));
            }
            (ifindex, receives)
        }
        Joint::Port(ifindex) => (ifindex, topology.interface(ifindex).map_or(0, |port| port.mtu)),
        Joint::Tunnel(ifindex) | Joint::Egress(ifindex, _) => {
            (ifindex, topology.interface(ifindex).map_or(0, |device| topology.device_limit(device)))
        }
        Joint::PodDevice(..)
        | Joint::Router(..)
        | Joint::SilentPath
        | Joint::Program(_)
        | Joint::FragmentFilter(_)
        | Joint::Reassembly(_)
        | Joint::Announcement(_) => return None,
    };
    if topology.interface(ifindex).is_none() {
        return Some(gone(&fault.limit.interface));
    }
    let by_route = matches!(fault.limit.how, LimitHow::RouteMtu);
    if by_route {
        return route_gone(before, topology, fault);
    }
    // Where only an ICMP error told the limit, it may be a route's all the same.
    (limit >= largest && !leads_over_limit(topology, fault)).then(|| format!("the limit is {limit} now"))
}

/// A route to where the fault's packets go has the limit as its metric.
fn leads_over_limit(topology: &Topology, fault: &Fault) -> bool {
    let mut routes = fault.flows.keys().flat_map(|flow| topology.routes_to(flow.dst));
    fault.limit.mtu.is_some() && routes.any(|route| route.mtu == fault.limit.mtu)
}

/// The pod was made to send no more than what passes.
fn sends_less(before: &Topology, topology: &Topology, fault: &Fault) -> Option<String> {
    let limit = fault.limit.mtu?;
    if fault.key.direction != Direction::FromPod || matches!(fault.key.joint, Joint::PodDevice(..)) {
        return None;
    }
    let sent = |topology: &Topology| {
        let ends = topology.pods.iter().filter(|pod| pod.key() == fault.key.pod);
        ends.filter_map(|pod| pod.pod_mtu).max()
    };
    let (old, new) = (sent(before)?, sent(topology)?);
    (new <= limit && limit < old).then(|| format!("the pod sends at most {new} now"))
}

/// The route whose metric was the limit leads there no more. Behind NAT the address may never have been the one that
/// was routed: then nothing is known.
fn route_gone(before: &Topology, topology: &Topology, fault: &Fault) -> Option<String> {
    let limit = fault.limit.mtu?;
    (leads_over_limit(before, fault) && !leads_over_limit(topology, fault))
        .then(|| format!("no route with an MTU of {limit} leads there now"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::fixtures::{self, POD1, UPLINK};
    use crate::model::SECOND;
    use crate::model::event::Event;
    use crate::model::finding::State;
    use crate::model::flow::Protocol;

    /// The states of pod1's findings after eight of its packets met a limit and the topology became another.
    fn after(metric: bool, change: impl FnOnce(&mut Topology)) -> Vec<State> {
        let mut topology = fixtures::node(if metric { 1500 } else { 1400 });
        if metric {
            topology.routes[0].mtu = Some(1400);
        }
        let mut diagnoser = fixtures::diagnoser(topology.clone());
        for number in 0..8 {
            let original = fixtures::packet(fixtures::upload(Protocol::Udp, 40001), 1500, 70 + number, true);
            let mut drop = fixtures::forward_drop(SECOND, original, topology.interfaces[&UPLINK].mtu);
            drop.route_mtu = topology.routes[0].mtu;
            diagnoser.handle_event(SECOND, Event::Dropped(drop));
        }
        diagnoser.handle_timeout(2 * SECOND);
        change(&mut topology);
        diagnoser.handle_topology(3 * SECOND, topology);
        let mut findings = diagnoser.finish(4 * SECOND);
        findings.retain(|finding| finding.pod.is_some());
        findings.into_iter().map(|finding| finding.state).collect()
    }

    #[test]
    fn a_fault_ends_with_what_limits_it() {
        let lower = |topology: &mut Topology| fixtures::set_veth(topology, POD1, 1400, 1400);
        assert_eq!(after(false, |_| {}), [State::Open]);
        assert_eq!(after(false, lower), [State::Closed], "the pod sends less");
        assert_eq!(after(true, |_| {}), [State::Open], "the device takes more, its route does not");
        assert_eq!(after(true, |topology| topology.routes[0].mtu = None), [State::Closed]);
    }
    #[test]
    fn what_came_before_the_end_opens_nothing_again() {
        let mut diagnoser = fixtures::diagnoser(fixtures::node(1400));
        let lost = |diagnoser: &mut Diagnoser, time: Time, told: Time| {
            let original = fixtures::packet(fixtures::upload(Protocol::Udp, 40001), 1500, 70, true);
            diagnoser.handle_event(told, Event::Dropped(fixtures::forward_drop(time, original, 1400)));
        };
        for number in 0..6 {
            lost(&mut diagnoser, SECOND + number, SECOND + number);
        }
        diagnoser.handle_topology(3 * SECOND, fixtures::node(1500));
        lost(&mut diagnoser, 3 * SECOND - 1, 3 * SECOND + 1);
        let findings = diagnoser.finish(4 * SECOND);
        assert_eq!(findings[0].state, State::Closed);
        assert_eq!(findings[0].counts.dropped_packets, 7);
    }
}
