//! From a pod on a port of an Open vSwitch datapath: its programmed flows say where packets leave.
use super::egress::{self, device};
use super::joint::{Beyond, Joint, Place};
use super::remote::{Ways, own_network};
use super::sender::{self, Target, host_end};
use super::{Destination, Reach};
use crate::model::interface::{Interface, Role};
use crate::model::pod::Pod;
use crate::model::survey::Survey;
use crate::model::vswitch::{self, is_port};

/// What such a pod can send beyond the node; `None` for any other pod.
pub(super) fn remote(ways: &Ways, survey: &Survey, pod: &Pod) -> Option<Vec<Reach>> {
    let node = &survey.node;
    let end = host_end(survey, pod).filter(|end| end.master_kind.as_deref() == Some(vswitch::KIND))?;
    let ports = || node.switched_to(end, None).filter(|port| port.up);
    let mut found = Vec::new();
    for tunnel in ports().filter(|port| port.tunnel.is_some()) {
        found.extend(ways.bridged(survey, pod, tunnel));
    }
    // Its router is this node, behind an internal port, or else somebody beyond a port to the outside, or a datapath
    // itself.
    let gateway = survey
        .inside(pod)
        .and_then(|inside| sender::best_route(inside, ways.family(), Target::Default)?.gateway);
    let owns = |port: &&Interface| {
        gateway.is_some_and(|gateway| port.addresses.iter().any(|(own, _)| *own == gateway))
    };
    if let Some(inward) = ports().find(owns) {
        let joint = device(inward, ways.family(), Place::Node, Beyond::Silent);
        found.extend(ways.routed(survey, pod, Some(inward), &[joint]));
    } else {
        for port in ports().filter(|port| is_outward(port)) {
            found.extend(ways.by_joints(survey, pod, &egress::port(node, port, ways.family())));
        }
    }
    Some(found)
}

/// A port that leads out of the node.
pub(super) fn is_outward(port: &Interface) -> bool {
    port.role == Role::Uplink && port.kind != vswitch::KIND && is_port(port)
}

/// The reach by a tunnel that is a port.
impl Ways {
    pub(super) fn bridged(&self, survey: &Survey, pod: &Pod, tunnel: &Interface) -> Option<Reach> {
        let network = own_network(survey, pod, self.family());
        let target = network.map_or(Target::Default, |(network, _)| Target::Address(network));
        let start = sender::start(survey, pod, self.family(), target)?;
        let chain: Vec<Joint> =
            start.into_iter().chain(egress::port(&survey.node, tunnel, self.family())).collect();
        let name = network.map(|(network, length)| format!("{network}/{length}"));
        Some(self.reach(pod, Destination::OtherNode, chain, name.into_iter().collect()))
    }
}
