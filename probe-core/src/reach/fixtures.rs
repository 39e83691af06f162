//! A node with two pods, for the tests of reach.
use crate::model::fixtures::{device, pair, route, topology, tunnel};
use crate::model::flow::Family;
use crate::model::interface::{Interface, Role};
use crate::model::pod::{Pod, PodSource};
use crate::model::route::Route;
use crate::model::survey::Survey;
use crate::model::topology::Topology;
use std::net::IpAddr;

pub const UPLINK: u32 = 2;
pub const OVERLAY: u32 = 3;
pub const BRIDGE: u32 = 4;
pub const POD1: u32 = 11;
const NETNS: u32 = 1000;

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The addresses of the pod with a number.
fn addresses(number: u32) -> [IpAddr; 2] {
    [ip(&format!("10.244.1.{}", 10 + number)), ip(&format!("fd00:244:1::{}", 10 + number))]
}

/// A pod with a number and what its namespace has: `eth0` with a default route in both families.
pub fn add_pod(survey: &mut Survey, number: u32, host_mtu: u32, pod_mtu: u32) {
    let (ifindex, inode) = (POD1 + number - 1, NETNS + number);
    let name = format!("veth{number}");
    let end = Interface { role: Role::Pod, ..pair(ifindex, &name, Some(1), host_mtu, pod_mtu) };
    survey.node.interfaces.insert(ifindex, end);
    for address in addresses(number) {
        let length = if address.is_ipv4() { 32 } else { 128 };
        survey.node.routes.push(route(&format!("{address}/{length}"), ifindex, None));
    }
    let pod = Pod {
        namespace: None,
        name: Some(format!("pod{number}")),
        uid: None,
        container_id: None,
        netns: Some(format!("/run/netns/pod{number}")),
        netns_inode: Some(inode),
        host_ifindex: Some(ifindex),
        host_interface: Some(name),
        pod_interface: Some("eth0".to_owned()),
        pod_mtu: Some(pod_mtu),
        addresses: addresses(number).to_vec(),
        source: PodSource::Netns,
        pid: None,
        ..Pod::default()
    };
    let defaults = ["169.254.1.1", "fe80::1"].map(|gateway| route("default", 2, Some(gateway)));
    let mut inside = topology(vec![device(2, "eth0", "veth", pod_mtu)], defaults.to_vec());
    inside.netns_inode = inode;
    survey.inside.insert(pod.key(), inside);
    survey.node.pods.push(pod);
}

/// Two pods of 1500, an uplink, and a vxlan to other nodes' pods.
pub fn node(uplink_mtu: u32, overlay_mtu: u32) -> Survey {
    let uplink = Interface {
        role: Role::Uplink,
        addresses: vec![(ip("10.0.1.2"), 24)],
        ..device(UPLINK, "eth0", "", uplink_mtu)
    };
    let overlay = Interface {
        role: Role::Overlay,
        ..tunnel(OVERLAY, "vxlan.calico", "vxlan", overlay_mtu, Some(UPLINK))
    };
    let mut defaults: Vec<Route> =
        ["10.0.1.1", "fd00:1::1"].iter().map(|gateway| route("default", UPLINK, Some(gateway))).collect();
    defaults.push(route("10.244.2.0/24", OVERLAY, Some("10.244.2.0")));
    let mut survey = Survey { node: topology(vec![uplink, overlay], defaults), ..Survey::default() };
    add_pod(&mut survey, 1, 1500, 1500);
    add_pod(&mut survey, 2, 1500, 1500);
    survey
}

/// What a pod has in its own namespace.
pub fn inside(survey: &mut Survey, number: u32) -> &mut Topology {
    let pod = survey.node.pods[number as usize - 1].key();
    survey.inside.get_mut(&pod).expect("a pod that was entered")
}

/// Gives the default routes of all pods another MTU metric.
pub fn route_mtu(survey: &mut Survey, mtu: u32) {
    for route in survey.inside.values_mut().flat_map(|inside| &mut inside.routes) {
        route.mtu = Some(mtu);
    }
}

/// Makes the tunnel one whose packets bring their remote endpoint along.
pub fn take_metadata(survey: &mut Survey) {
    let overlay = survey.node.interfaces.get_mut(&OVERLAY).expect("the tunnel");
    overlay.tunnel.as_mut().expect("a tunnel").metadata = true;
}

/// Puts the pods on a bridge, whose network is connected instead of routed pod by pod.
pub fn bridged(survey: &mut Survey, bridge_mtu: u32) {
    let bridge = Interface {
        role: Role::Bridge,
        addresses: vec![(ip("10.244.1.1"), 24), (ip("fd00:244:1::1"), 64)],
        ..device(BRIDGE, "cni0", "bridge", bridge_mtu)
    };
    survey.node.interfaces.insert(BRIDGE, bridge);
    for end in survey.node.interfaces.values_mut().filter(|end| end.role == Role::Pod) {
        (end.master, end.master_kind) = (Some(BRIDGE), Some("bridge".to_owned()));
    }
    survey.node.routes.retain(|route| route.oif.is_none_or(|oif| oif < POD1));
    survey.node.routes.push(route("10.244.1.0/24", BRIDGE, None));
    survey.node.routes.push(route("fd00:244:1::/64", BRIDGE, None));
}

/// Size and chain of what pod 1 sends.
pub fn told(survey: &Survey, to: super::Destination, family: Family) -> Vec<String> {
    super::reaches(survey)
        .iter()
        .filter(|reach| reach.to == to && reach.family == family)
        .filter(|reach| reach.pod.host_ifindex == Some(POD1))
        .map(super::Reach::text)
        .collect()
}
