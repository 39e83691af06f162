//! Drops in an Open vSwitch datapath. The packet's device is still the port that it came in by; which port it was to leave
//! by is what the programmed flows say, and where they leave it open, what the ports take and lead to.
use super::Diagnoser;
use super::drops::Met;
use super::fault::Joint;
use super::place;
use super::subject;
use crate::model::finding::{Limit, LimitAt, LimitHow};
use crate::model::interface::{Interface, Role};
use crate::model::packet::Packet;
use crate::model::size_drop::PacketDropped;
use crate::model::topology::Topology;
use crate::model::vswitch::is_port;

impl Diagnoser {
    /// `ovs_vport_send` frees what the outgoing port does not take; there is no slack for a VLAN tag, which it leaves out
    /// of the length itself (`packet_length`).
    pub(super) fn met_at_vswitch(&self, drop: &PacketDropped, packet: &Packet) -> Option<Met> {
        if drop.netns != self.topology.netns_inode || drop.gso_size.is_some() {
            return None;
        }
        let came_by = self.topology.interface(drop.ifindex)?;
        let port = outgoing(&self.topology, came_by, packet, place::length(drop))?;
        let at = if port.role == Role::Uplink { LimitAt::Node } else { LimitAt::Link };
        let limit = Limit::known(port.mtu, at, LimitHow::DeviceMtu, Some(port.name.clone()));
        let subject =
            subject::of_packet(&self.topology, &packet.flow, Some(came_by.ifindex), Some(port.ifindex));
        Some(Met { subject, joint: Joint::Port(port.ifindex), limit })
    }
}

/// Whether an index is that of a port of an Open vSwitch datapath.
pub(super) fn is_switched(topology: &Topology, ifindex: u32) -> bool {
    topology.interface(ifindex).is_some_and(is_port)
}

/// The port that a packet was to leave by: the destination's own, else a way out of the node that takes less than this.
fn outgoing<'a>(
    topology: &'a Topology,
    came_by: &'a Interface,
    packet: &Packet,
    length: u32,
) -> Option<&'a Interface> {
    let ports = || topology.switched_to(came_by, Some(packet.flow.dst));
    let behind = topology.pod_with_address(packet.flow.dst).and_then(|pod| pod.host_ifindex);
    if let Some(port) = ports().find(|port| Some(port.ifindex) == behind) {
        return (port.mtu < length).then_some(port);
    }
    let owner = ports().find(|port| port.addresses.iter().any(|(address, _)| *address == packet.flow.dst));
    if let Some(port) = owner {
        return (port.mtu < length).then_some(port);
    }
    ports()
        .filter(|port| port.role != Role::Pod && port.up && port.mtu < length)
        .min_by_key(|port| (port.role != Role::Uplink, port.mtu))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::fixtures::{self, POD1, UPLINK};
    use crate::model::flow::Protocol;
    use crate::model::vswitch::{KIND, SwitchFlow, Vswitch};

    const DATAPATH: u32 = 40;

    /// Two pods, the first with 9000, and an uplink of 1500 on one datapath.
    fn switched() -> Topology {
        let mut topology = fixtures::node(1500);
        for ifindex in [UPLINK, POD1, POD1 + 1] {
            let port = topology.interfaces.get_mut(&ifindex).expect("a port");
            (port.master, port.master_kind) = (Some(DATAPATH), Some(KIND.to_owned()));
        }
        fixtures::set_veth(&mut topology, POD1, 9000, 9000);
        topology
    }

    fn drop(came_by: u32, src: &str, dst: &str, length: u32) -> PacketDropped {
        let packet = fixtures::packet(fixtures::flow(Protocol::Udp, src, 4000, dst, 5001), length, 1, true);
        PacketDropped {
            reason: "NOT_SPECIFIED".to_owned(),
            location: "ovs_vport_send".to_owned(),
            ifindex: came_by,
            ..fixtures::forward_drop(1, packet, 0)
        }
    }

    fn met(topology: Topology, drop: &PacketDropped) -> Option<(String, u32, LimitAt)> {
        let met = fixtures::diagnoser(topology).met_at_vswitch(drop, drop.packet.as_ref()?)?;
        Some((met.limit.interface?, met.limit.mtu?, met.limit.at))
    }

    #[test]
    fn what_leaves_the_node_met_the_uplink() {
        let drop = drop(POD1, "10.244.1.11", "203.0.113.9", 5000);
        assert_eq!(met(switched(), &drop), Some(("eth0".to_owned(), 1500, LimitAt::Node)));
    }

    #[test]
    fn what_goes_to_a_pod_met_its_port() {
        let drop = drop(POD1, "10.244.1.11", "10.244.1.12", 5000);
        assert_eq!(met(switched(), &drop), Some(("veth2".to_owned(), 1500, LimitAt::Link)));
    }

    #[test]
    fn of_two_ways_out_it_met_the_one_that_its_flow_names() {
        let mut topology = switched();
        let mut second = topology.interfaces[&UPLINK].clone();
        (second.ifindex, second.name, second.mtu) = (UPLINK + 1, "eth1".to_owned(), 1400);
        topology.interfaces.insert(second.ifindex, second);
        let drop = drop(POD1, "10.244.1.11", "203.0.113.9", 5000);
        // Nothing says which: the smaller is the likelier.
        assert_eq!(met(topology.clone(), &drop), Some(("eth1".to_owned(), 1400, LimitAt::Node)));
        let flow = SwitchFlow { came_by: Some(POD1), destination: None, leaves_by: vec![UPLINK] };
        let ports = vec![UPLINK, UPLINK + 1, POD1, POD1 + 1];
        topology.vswitches.push(Vswitch { ifindex: DATAPATH, ports, flows: Some(vec![flow]) });
        assert_eq!(met(topology, &drop), Some(("eth0".to_owned(), 1500, LimitAt::Node)));
    }

    #[test]
    fn a_packet_that_every_port_takes_was_not_dropped_for_its_size() {
        assert_eq!(met(switched(), &drop(POD1, "10.244.1.11", "203.0.113.9", 1500)), None);
        assert_eq!(met(switched(), &drop(UPLINK, "203.0.113.9", "10.244.1.11", 1600)), None);
    }
}
