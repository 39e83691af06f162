//! A pod's first packets: what happened at an interface that the topology does not show yet, or not yet as a pod's, waits
//! for one that does.
//!
//! The kernel side tells of a drop within milliseconds; a link is read once changes pause, and is a pod's once its
//! runtime has given it an address and a way back. Taken in at once, a drop of a pod's first second would be the node's.
use super::Diagnoser;
use crate::model::event::Event;
use crate::model::interface::Role;
use crate::model::{SECOND, Time};
use std::collections::VecDeque;
use std::net::IpAddr;

/// An event waits at most so long.
const PATIENCE: Time = 2 * SECOND;
/// At most so many wait; more are taken in as they are.
const MAX_WAITING: usize = 1024;

/// Events that wait, with the index of the interface they wait for.
#[derive(Debug, Default)]
pub(super) struct Newcomers {
    waiting: VecDeque<(Time, u32, Event)>,
}

impl Diagnoser {
    /// Lets an event wait whose interface of ours is not known yet; gives it back if not.
    pub(super) fn wait_for_interface(&mut self, now: Time, event: Event) -> Option<Event> {
        let Some(ifindex) = self.unsettled_interface(&event) else { return Some(event) };
        if self.newcomers.waiting.len() >= MAX_WAITING {
            return Some(event);
        }
        self.newcomers.waiting.push_back((now, ifindex, event));
        None
    }

    /// Whether events wait.
    pub(super) fn has_newcomers(&self) -> bool {
        !self.newcomers.waiting.is_empty()
    }

    /// Takes in what has waited for an interface that is known now, or in vain.
    pub(super) fn take_newcomers(&mut self, now: Time) {
        for (since, ifindex, event) in std::mem::take(&mut self.newcomers.waiting) {
            if self.is_unsettled(ifindex) && since + PATIENCE > now {
                self.newcomers.waiting.push_back((since, ifindex, event));
            } else if let Some(event) = self.wait_for_nat(event) {
                self.take_in(now, event);
            }
        }
    }

    /// The interface of ours at which it happened, if nobody can say yet whose it is.
    fn unsettled_interface(&self, event: &Event) -> Option<u32> {
        let ours = |netns: u32, ifindex: u32| Some(ifindex).filter(|_| netns == self.topology.netns_inode);
        let ifindex = match event {
            Event::Dropped(drop) => drop.peer_ifindex.or_else(|| ours(drop.netns, drop.ifindex)),
            Event::IcmpGenerated(made) => made.peer_ifindex.or_else(|| ours(made.netns, made.ifindex)),
            Event::Oversize(_)
            | Event::PacketTooBig(_)
            | Event::Fragment(_)
            | Event::TcpRetransmit(_)
            | Event::TcpStateChange(_)
            | Event::TcpMss(_)
            | Event::TcpHole(_)
            | Event::Lost(_) => None,
        };
        ifindex.filter(|&ifindex| ifindex != 0 && self.is_unsettled(ifindex))
    }

    /// The topology does not show it and it is not one that just went; or it leads to a namespace that has no address yet.
    fn is_unsettled(&self, ifindex: u32) -> bool {
        let Some(interface) = self.topology.interface(ifindex) else {
            return !self.topology.departed.iter().any(|pod| pod.host_ifindex == Some(ifindex));
        };
        interface.role == Role::Link
            && interface.peer.as_ref().is_some_and(|peer| {
                peer.nsid.is_some() && peer.addresses.iter().all(|address| is_link_local(*address))
            })
    }
}

/// Every link has such an address from the beginning.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::fixtures::{self, POD1};
    use crate::model::finding::{Direction, Finding};
    use crate::model::flow::Protocol;

    /// What is found when pod1's first packets are dropped at its veth, and its link is read some time later.
    fn found(late: Time) -> Vec<Finding> {
        let mut topology = fixtures::node(1500);
        fixtures::set_veth(&mut topology, POD1, 1400, 1500);
        let mut before = topology.clone();
        before.pods.retain(|pod| pod.host_ifindex != Some(POD1));
        before.interfaces.remove(&POD1);
        let mut diagnoser = fixtures::diagnoser(before);
        for number in 0..4 {
            let packet = fixtures::packet(fixtures::upload(Protocol::Udp, 40001), 1500, 70 + number, true);
            diagnoser.handle_event(SECOND, Event::Dropped(fixtures::veth_drop(SECOND, packet, 1400)));
        }
        diagnoser.handle_topology(SECOND + late, topology);
        diagnoser.handle_timeout(4 * SECOND);
        diagnoser.finish(5 * SECOND).into_iter().filter(|finding| !finding.flows.is_empty()).collect()
    }

    #[test]
    fn a_pods_first_packets_are_its_own() {
        let findings = found(SECOND / 5);
        let [finding] = &findings[..] else { panic!("one finding: {findings:#?}") };
        assert_eq!(finding.pod.as_ref().and_then(|pod| pod.name.as_deref()), Some("pod1"));
        assert_eq!(finding.direction, Some(Direction::FromPod));
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut before = fixtures::node(1500);
        before.interfaces.remove(&POD1);
        let mut diagnoser = fixtures::diagnoser(before);
        for number in 0..5000 {
            let packet = fixtures::packet(fixtures::upload(Protocol::Udp, 40001), 1500, number, true);
            diagnoser.handle_event(SECOND, Event::Dropped(fixtures::veth_drop(SECOND, packet, 1400)));
        }
        assert_eq!(diagnoser.newcomers.waiting.len(), MAX_WAITING);
        diagnoser.handle_timeout(3 * SECOND);
        assert!(!diagnoser.has_newcomers());
    }
}
