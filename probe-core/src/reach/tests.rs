use super::fixtures::{self, OVERLAY, POD1, UPLINK, bridged, ip, node, route_mtu, told};
use super::*;
use crate::model::fixtures::{device, enslaved, route, tunnel};
use crate::model::interface::{Interface, Role};
use crate::model::route::Route;
use crate::model::rule::Rule;
use crate::model::vswitch::{self, SwitchFlow, Vswitch};
use Destination::{OtherNode, Outside, SameNode};

#[test]
fn each_kind_of_destination_has_its_chain() {
    let survey = node(1500, 1450);
    assert_eq!(
        told(&survey, OtherNode, Family::Ipv4),
        ["eth0 1500 → veth1 1500 → vxlan.calico 1450 (−50) → eth0 1500 = 1450"]
    );
    for family in Family::ALL {
        assert_eq!(
            told(&survey, SameNode, family),
            ["eth0 1500 → veth1 1500 → veth2 1500 → eth0 1500 = 1500"]
        );
        assert_eq!(told(&survey, Outside, family), ["eth0 1500 → veth1 1500 → eth0 1500 = 1500"]);
    }
    let overlay: Vec<Reach> = reaches(&survey).into_iter().filter(|reach| reach.to == OtherNode).collect();
    assert_eq!(overlay.len(), 2, "one for each pod");
    assert_eq!(overlay[0].limited_by().as_deref(), Some("vxlan.calico over eth0"));
    assert_eq!((overlay[0].sends(), overlay[0].pod_mtu()), (1500, 1500));
    assert_eq!(overlay[0].destinations, ["10.244.2.0/24"]);
}

#[test]
fn what_the_underlay_leaves_counts_and_not_only_the_tunnel() {
    let survey = node(1400, 1450);
    let reach = reaches(&survey).into_iter().find(|reach| reach.to == OtherNode).expect("a chain");
    assert_eq!(reach.mtu(), 1350);
    assert_eq!(reach.limited_by().as_deref(), Some("vxlan.calico over eth0"));
    assert_eq!(told(&survey, Outside, Family::Ipv6), ["eth0 1500 → veth1 1500 → eth0 1400 = 1400"]);
}

#[test]
fn the_pods_own_route_counts_for_the_sender() {
    let mut survey = node(1500, 1450);
    route_mtu(&mut survey, 1450);
    assert_eq!(
        told(&survey, Outside, Family::Ipv6),
        ["eth0 1500 (route 1450) → veth1 1500 → eth0 1500 = 1450"]
    );
    let reach = &reaches(&survey)[0];
    assert_eq!((reach.sends(), reach.pod_mtu()), (1450, 1500));
}

#[test]
fn a_forwarder_takes_the_metric_of_ipv6_only_if_it_is_locked() {
    let mut survey = node(1500, 1450);
    for route in survey.node.routes.iter_mut().filter(|route| route.destination.is_none()) {
        route.mtu = Some(1400);
    }
    let outside = |survey: &Survey, family| told(survey, Outside, family).remove(0);
    assert!(outside(&survey, Family::Ipv4).ends_with("= 1400"));
    assert!(outside(&survey, Family::Ipv6).ends_with("= 1500"));
    survey.node.routes.iter_mut().for_each(|route| route.mtu_locked = true);
    assert!(outside(&survey, Family::Ipv6).ends_with("= 1400"));
}

#[test]
fn an_interface_may_have_a_smaller_mtu_for_ipv6() {
    let mut survey = node(1500, 1450);
    survey.node.interfaces.get_mut(&UPLINK).expect("the uplink").ipv6_mtu = Some(1280);
    assert!(told(&survey, Outside, Family::Ipv4)[0].ends_with("= 1500"));
    assert!(told(&survey, Outside, Family::Ipv6)[0].ends_with("= 1280"));
}

#[test]
fn pods_on_a_bridge_meet_its_ports() {
    let mut survey = node(1500, 1450);
    bridged(&mut survey, 1400);
    // From port to port the bridge's own MTU does not count.
    assert_eq!(
        told(&survey, SameNode, Family::Ipv4),
        ["eth0 1500 → veth1 1500 → veth2 1500 → eth0 1500 = 1500"]
    );
    fixtures::add_pod(&mut survey, 3, 1500, 1500);
    let routed = told(&survey, SameNode, Family::Ipv4);
    assert_eq!(routed.len(), 2, "{routed:?}");
    // From the routed pod to those on the bridge it does.
    let back: Vec<String> = reaches(&survey)
        .iter()
        .filter(|reach| reach.pod.host_ifindex == Some(POD1 + 2) && reach.to == SameNode)
        .map(Reach::text)
        .collect();
    assert!(back[0].contains("cni0 1400 → veth1 1500"), "{back:?}");
}

#[test]
fn a_tunnel_on_the_pods_bridge_is_a_way_to_other_nodes() {
    let mut survey = node(1500, 1450);
    bridged(&mut survey, 1450);
    survey.node.routes.retain(|route| route.oif != Some(OVERLAY));
    let port = enslaved(tunnel(OVERLAY, "vx0", "vxlan", 1450, Some(UPLINK)), fixtures::BRIDGE, "bridge");
    survey.node.interfaces.insert(OVERLAY, Interface { role: Role::Overlay, ..port });
    assert_eq!(
        told(&survey, OtherNode, Family::Ipv4),
        ["eth0 1500 → veth1 1500 → vx0 1450 (−50) → eth0 1500 = 1450"]
    );
}

#[test]
fn a_tunnel_that_a_program_feeds_is_a_way_to_nobody_knows_where() {
    let mut survey = node(1500, 1450);
    survey.node.routes.retain(|route| route.oif != Some(OVERLAY));
    survey.node.interfaces.get_mut(&OVERLAY).expect("the tunnel").mtu = 65000;
    fixtures::take_metadata(&mut survey);
    route_mtu(&mut survey, 1450);
    let reach = reaches(&survey).into_iter().find(|reach| reach.to == OtherNode).expect("a chain");
    assert_eq!((reach.mtu(), reach.sends(), reach.destinations.len()), (1450, 1450, 0));
}

#[test]
fn of_two_default_routes_the_kernel_takes_the_lower_metric() {
    let mut survey = node(1500, 1450);
    survey.node.interfaces.insert(9, Interface { role: Role::Uplink, ..device(9, "wwan0", "", 1400) });
    let backup = route("default", 9, Some("10.9.0.1"));
    survey.node.routes.push(Route { priority: 700, ..backup });
    assert_eq!(told(&survey, Outside, Family::Ipv4), ["eth0 1500 → veth1 1500 → eth0 1500 = 1500"]);
}

#[test]
fn a_pod_on_a_macvlan_leaves_by_the_device_below() {
    let mut survey = node(9001, 1450);
    let pod = &mut survey.node.pods[0];
    (pod.host_ifindex, pod.host_interface) = (None, None);
    let own = fixtures::inside(&mut survey, 1).interfaces.get_mut(&2).expect("eth0");
    (own.kind, own.lower) = ("macvlan".to_owned(), Some(UPLINK));
    let texts: Vec<String> = reaches(&survey)
        .iter()
        .filter(|reach| reach.pod.host_ifindex.is_none() && reach.family == Family::Ipv4)
        .map(Reach::text)
        .collect();
    assert!(texts.contains(&"eth0 1500 → eth0 9001 = 1500".to_owned()), "{texts:?}");
}

#[test]
fn pods_that_are_alike_share_a_chain() {
    let mut survey = node(1500, 1450);
    for number in 3..=20 {
        fixtures::add_pod(&mut survey, number, 1500, 1500);
    }
    let local: Vec<Reach> = reaches(&survey)
        .into_iter()
        .filter(|reach| reach.to == SameNode && reach.pod.host_ifindex == Some(POD1))
        .collect();
    assert_eq!(local.len(), 2, "one for each family");
    assert_eq!((local[0].destination_count, local[0].destinations.len()), (19, DESTINATIONS_SHOWN));
}

#[test]
fn without_a_look_inside_the_interface_counts() {
    let mut survey = node(1400, 1350);
    survey.inside.clear();
    survey.node.pods[0].addresses = vec![ip("10.244.1.11")];
    assert_eq!(told(&survey, Outside, Family::Ipv4), ["eth0 1500 → veth1 1500 → eth0 1400 = 1400"]);
    assert_eq!(told(&survey, Outside, Family::Ipv6), Vec::<String>::new());
}

#[test]
fn what_a_tunnel_fills_up_counts_only_beyond_its_own_mtu() {
    let limit = |overlay_mtu: u32| {
        let mut survey = node(1500, overlay_mtu);
        let overlay = survey.node.interfaces.get_mut(&OVERLAY).and_then(|overlay| overlay.tunnel.as_mut());
        let tunnel = overlay.expect("a tunnel");
        (tunnel.overhead, tunnel.padding) = (Some(80), Some(16));
        let reach = reaches(&survey).into_iter().find(|reach| reach.to == OtherNode).expect("a chain");
        (reach.mtu(), reach.limited_by())
    };
    assert_eq!(limit(1420), (1420, Some("vxlan.calico over eth0".to_owned())));
    assert_eq!(limit(1500), (1408, Some("vxlan.calico over eth0".to_owned())));
}

/// The two pods and the uplink on one datapath, and a second way out of 1400.
fn switched(flows: Option<Vec<SwitchFlow>>) -> Survey {
    const DATAPATH: u32 = 40;
    let mut survey = node(1500, 1450);
    let second = Interface { role: Role::Uplink, ..device(UPLINK + 40, "eth1", "", 1400) };
    survey.node.interfaces.insert(second.ifindex, second);
    survey.node.interfaces.insert(DATAPATH, device(DATAPATH, "vs0", vswitch::KIND, 1500));
    let ports = [UPLINK, UPLINK + 40, POD1, POD1 + 1];
    for port in ports {
        let interface = survey.node.interfaces.remove(&port).expect("a port");
        survey.node.interfaces.insert(port, enslaved(interface, DATAPATH, vswitch::KIND));
    }
    survey.node.vswitches.push(Vswitch { ifindex: DATAPATH, ports: ports.to_vec(), flows });
    survey
}

#[test]
fn on_a_vswitch_flows_name_the_ports_that_a_pod_leaves_by() {
    let to = |leaves_by| SwitchFlow { came_by: Some(POD1), destination: None, leaves_by };
    let first = "eth0 1500 → veth1 1500 → eth0 1500 = 1500";
    let second = "eth0 1500 → veth1 1500 → eth1 1400 = 1400";
    assert_eq!(told(&switched(Some(vec![to(vec![UPLINK])])), Outside, Family::Ipv4)[0], first);
    assert_eq!(told(&switched(Some(vec![to(vec![UPLINK + 40])])), Outside, Family::Ipv4)[0], second);
    let unknown = told(&switched(None), Outside, Family::Ipv4);
    assert!(unknown.contains(&first.to_owned()) && unknown.contains(&second.to_owned()), "{unknown:?}");
    assert_eq!(
        told(&switched(None), SameNode, Family::Ipv4)[0],
        "eth0 1500 → veth1 1500 → veth2 1500 → eth0 1500 = 1500"
    );
}

#[test]
fn a_route_counts_for_the_pods_whose_rules_lead_to_it() {
    let mut survey = node(1500, 1450);
    let other = Route { table: 100, mtu: Some(1300), ..route("default", UPLINK, Some("10.0.0.1")) };
    survey.node.routes.push(other);
    let rule = |priority, table, from| Rule {
        family: Family::Ipv4,
        priority,
        table: Some(table),
        from,
        came_by: None,
        to: None,
        is_special: false,
        suppressed: None,
    };
    survey.node.rules.push(rule(32766, 254, None));
    survey.node.rules.push(rule(100, 100, Some((ip("10.244.1.12"), 32))));
    assert_eq!(told(&survey, Outside, Family::Ipv4), ["eth0 1500 → veth1 1500 → eth0 1500 = 1500"]);
    let of_second = |reach: &&Reach| {
        reach.pod.host_ifindex == Some(POD1 + 1) && reach.to == Outside && reach.family == Family::Ipv4
    };
    let second: Vec<String> = reaches(&survey).iter().filter(of_second).map(Reach::text).collect();
    assert_eq!(second, ["eth0 1500 → veth2 1500 → eth0 1500 (route 1300) = 1300"]);
}
