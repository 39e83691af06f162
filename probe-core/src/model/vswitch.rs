//! Datapaths of Open vSwitch: which port sends to which is decided by programmed flows, not by addresses.
use super::interface::Interface;
use super::route::prefix_covers;
use super::topology::Topology;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Kind of the devices of a datapath: its internal ports, and the master of all others.
pub const KIND: &str = "openvswitch";

/// A datapath, with what is programmed into it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vswitch {
    /// Index of its local port, whose name it has.
    pub ifindex: u32,
    /// Indexes of the devices of its ports.
    pub ports: Vec<u32>,
    /// Flows that send IP packets out; `None` where they cannot be read, or are too many to be kept.
    pub flows: Option<Vec<SwitchFlow>>,
}

/// What is done with packets that come in by a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SwitchFlow {
    /// Index of the port that they come by; `None` for any.
    pub came_by: Option<u32>,
    /// Those to this network only.
    pub destination: Option<(IpAddr, u8)>,
    /// Indexes of the ports that they leave by.
    pub leaves_by: Vec<u32>,
}

impl SwitchFlow {
    fn takes(&self, came_by: u32, destination: Option<IpAddr>) -> bool {
        let to = self.destination.zip(destination);
        self.came_by.is_none_or(|port| port == came_by)
            && to.is_none_or(|((network, length), address)| prefix_covers(network, length, address))
    }
}

impl Vswitch {
    /// The ports that packets leave by which came by a port, those to an address or to any; `None` where no flow says so:
    /// a daemon makes flows when packets come, and takes them back when none do.
    pub fn outputs(&self, came_by: u32, destination: Option<IpAddr>) -> Option<BTreeSet<u32>> {
        let flows = self.flows.as_ref()?.iter().filter(|flow| flow.takes(came_by, destination));
        let ports: BTreeSet<u32> = flows.flat_map(|flow| &flow.leaves_by).copied().collect();
        (!ports.is_empty()).then_some(ports)
    }
}

/// Whether an interface is a port of an Open vSwitch datapath.
pub fn is_port(interface: &Interface) -> bool {
    interface.kind == KIND && interface.master.is_none() || interface.master_kind.as_deref() == Some(KIND)
}

impl Topology {
    /// The datapath that an interface is a port of, where datapaths are known.
    pub fn vswitch_of(&self, port: u32) -> Option<&Vswitch> {
        self.vswitches.iter().find(|vswitch| vswitch.ports.contains(&port))
    }

    /// The other ports of a port's datapath that packets may leave by which came by it, to an address or to any. Where
    /// datapaths are not known, all ports count as those of one.
    pub fn switched_to<'a>(
        &'a self,
        came_by: &'a Interface,
        destination: Option<IpAddr>,
    ) -> impl Iterator<Item = &'a Interface> {
        let vswitch = self.vswitch_of(came_by.ifindex);
        let outputs = vswitch.and_then(|vswitch| vswitch.outputs(came_by.ifindex, destination));
        self.interfaces.values().filter(move |port| {
            is_port(port)
                && port.ifindex != came_by.ifindex
                && vswitch.is_none_or(|vswitch| vswitch.ports.contains(&port.ifindex))
                && outputs.as_ref().is_none_or(|outputs| outputs.contains(&port.ifindex))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{device, enslaved, topology};

    fn flow(came_by: u32, destination: Option<&str>, leaves_by: &[u32]) -> SwitchFlow {
        let network = |text: &str| (text.parse().expect("an address"), 24);
        SwitchFlow {
            came_by: Some(came_by),
            destination: destination.map(network),
            leaves_by: leaves_by.to_vec(),
        }
    }

    /// Ports 11 to 14 of one datapath.
    fn node(flows: Option<Vec<SwitchFlow>>) -> Topology {
        let port = |ifindex: u32| enslaved(device(ifindex, &format!("p{ifindex}"), "veth", 1500), 10, KIND);
        let mut topology = topology((11..15).map(port).collect(), Vec::new());
        topology.vswitches.push(Vswitch { ifindex: 10, ports: (11..15).collect(), flows });
        topology
    }

    fn outputs(topology: &Topology, came_by: u32, destination: Option<&str>) -> Vec<u32> {
        let came_by = topology.interface(came_by).expect("a port");
        let destination = destination.map(|text| text.parse().expect("an address"));
        topology.switched_to(came_by, destination).map(|port| port.ifindex).collect()
    }

    #[test]
    fn packets_leave_by_the_ports_that_flows_name() {
        let flows = vec![
            flow(11, Some("10.0.1.0"), &[12]),
            flow(11, Some("10.0.2.0"), &[13]),
            flow(12, None, &[11, 14]),
        ];
        let topology = node(Some(flows));
        assert_eq!(outputs(&topology, 11, Some("10.0.1.7")), [12]);
        assert_eq!(outputs(&topology, 11, Some("10.0.2.7")), [13]);
        assert_eq!(outputs(&topology, 11, None), [12, 13]);
        assert_eq!(outputs(&topology, 12, Some("10.9.9.9")), [11, 14]);
    }

    #[test]
    fn without_a_flow_every_other_port_is_possible() {
        let topology = node(Some(vec![flow(11, Some("10.0.1.0"), &[12])]));
        assert_eq!(outputs(&topology, 11, Some("10.0.9.9")), [12, 13, 14]);
        assert_eq!(outputs(&node(None), 13, None), [11, 12, 14]);
    }
}
