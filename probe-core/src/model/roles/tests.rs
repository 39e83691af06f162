//! The usual networks and the odd ones.
use super::*;
use crate::model::fixtures::{device, enslaved, pair, route, topology, tunnel};

fn assigned(mut topology: Topology, surroundings: &Surroundings) -> Vec<(String, Role)> {
    assign(&mut topology, surroundings);
    topology.interfaces.into_values().map(|interface| (interface.name, interface.role)).collect()
}

fn surroundings(namespaces: &[(i32, WayBack)]) -> Surroundings {
    Surroundings { namespaces: namespaces.iter().copied().collect(), ..Surroundings::default() }
}

fn expect(topology: Topology, surroundings: &Surroundings, expected: &[(&str, Role)]) {
    let expected: Vec<(String, Role)> =
        expected.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect();
    assert_eq!(assigned(topology, surroundings), expected);
}

#[test]
fn an_uplink_that_is_a_veth_is_no_pod_even_if_its_namespace_leads_back() {
    let node = topology(
        vec![
            device(1, "lo", "", 65536),
            pair(2, "eth0", Some(0), 1500, 1500),
            pair(3, "cali1", Some(1), 1500, 1500),
        ],
        vec![route("default", 2, Some("10.0.1.1")), route("10.244.1.11/32", 3, None)],
    );
    let around = surroundings(&[(0, WayBack::OnlyWay), (1, WayBack::OnlyWay)]);
    expect(node, &around, &[("lo", Role::Link), ("eth0", Role::Uplink), ("cali1", Role::Pod)]);
}

#[test]
fn a_second_link_to_the_outside_is_a_plain_link() {
    let node = topology(
        vec![pair(2, "eth0", Some(0), 1500, 1500), pair(3, "eth1", Some(0), 1500, 1500)],
        vec![route("default", 2, Some("10.0.1.1")), route("10.0.11.1/32", 3, None)],
    );
    let mut around = surroundings(&[(0, WayBack::OnlyWay)]);
    expect(node.clone(), &around, &[("eth0", Role::Uplink), ("eth1", Role::Link)]);
    // Processes of the outside may be containers too: that makes it no pod of ours.
    around.recorded.insert(0);
    expect(node, &around, &[("eth0", Role::Uplink), ("eth1", Role::Link)]);
}

#[test]
fn every_next_hop_table_and_family_makes_an_uplink() {
    let mut by_table = route("default", 4, Some("10.0.12.1"));
    by_table.table = 1000;
    let node = topology(
        vec![
            device(2, "eth0", "", 1500),
            device(3, "eth1", "", 1500),
            device(4, "eth2", "", 1500),
            device(5, "eth3", "", 1500),
        ],
        vec![
            route("default", 2, Some("10.0.1.1")),
            route("default", 3, Some("fe80::1")),
            by_table,
            route("10.9.0.0/16", 5, Some("10.0.13.1")),
        ],
    );
    let all =
        [("eth0", Role::Uplink), ("eth1", Role::Uplink), ("eth2", Role::Uplink), ("eth3", Role::Uplink)];
    expect(node, &Surroundings::default(), &all);
}

#[test]
fn a_pod_that_is_a_router_for_others_stays_a_pod_once_it_is_proved_one() {
    let node = topology(
        vec![pair(3, "cali1", Some(1), 1500, 1500)],
        vec![route("10.244.1.11/32", 3, None), route("10.9.0.0/16", 3, Some("10.244.1.11"))],
    );
    expect(node.clone(), &surroundings(&[(1, WayBack::DefaultRoute)]), &[("cali1", Role::Pod)]);
    expect(node.clone(), &surroundings(&[(1, WayBack::Elsewhere)]), &[("cali1", Role::Uplink)]);
    expect(node, &surroundings(&[(1, WayBack::Unknown)]), &[("cali1", Role::Uplink)]);
}

#[test]
fn an_inner_pair_is_no_uplink_whatever_its_routes() {
    let mut by_rule = route("default", 2, Some("10.244.1.5"));
    by_rule.table = 2005;
    let node = topology(
        vec![pair(2, "cilium_host", None, 1500, 1500), pair(3, "cilium_net", None, 1500, 1500)],
        vec![route("10.244.1.0/24", 2, Some("10.244.1.5")), by_rule],
    );
    expect(node, &Surroundings::default(), &[("cilium_host", Role::Link), ("cilium_net", Role::Link)]);
}

#[test]
fn what_carries_an_uplink_is_one() {
    let mut vlan = device(4, "bond0.7", "vlan", 1500);
    vlan.lower = Some(3);
    let node = topology(
        vec![
            enslaved(device(2, "eth0", "", 1500), 3, "bond"),
            device(3, "bond0", "bond", 1500),
            vlan,
            device(5, "eth1", "", 1500),
        ],
        vec![route("default", 4, Some("10.0.1.1"))],
    );
    expect(
        node,
        &Surroundings::default(),
        &[("eth0", Role::Uplink), ("bond0", Role::Uplink), ("bond0.7", Role::Uplink), ("eth1", Role::Link)],
    );
}

#[test]
fn pods_on_the_bridge_of_the_uplink_are_told_from_the_way_out() {
    let node = topology(
        vec![
            device(2, "br0", "bridge", 1500),
            enslaved(device(3, "eth0", "", 1500), 2, "bridge"),
            enslaved(pair(4, "veth4", Some(4), 1500, 1500), 2, "bridge"),
            enslaved(pair(5, "veth5", Some(5), 1500, 1500), 2, "bridge"),
            enslaved(device(6, "tap6", "tun", 1500), 2, "bridge"),
        ],
        vec![route("default", 2, Some("10.0.1.1"))],
    );
    let mut around = surroundings(&[(4, WayBack::DefaultRoute), (5, WayBack::Unknown)]);
    around.router_ports.insert(5);
    expect(
        node,
        &around,
        &[
            ("br0", Role::Uplink),
            ("eth0", Role::Uplink),
            ("veth4", Role::Pod),
            ("veth5", Role::Uplink),
            ("tap6", Role::Port),
        ],
    );
}

#[test]
fn a_router_whose_address_is_at_the_other_end_needs_no_learning() {
    let mut port = enslaved(pair(3, "veth3", Some(3), 1500, 1500), 2, "bridge");
    port.peer.as_mut().unwrap().addresses.push("10.0.1.1".parse().unwrap());
    let node =
        topology(vec![device(2, "br0", "bridge", 1500), port], vec![route("default", 2, Some("10.0.1.1"))]);
    let around = surroundings(&[(3, WayBack::Unknown)]);
    expect(node, &around, &[("br0", Role::Uplink), ("veth3", Role::Uplink)]);
}

#[test]
fn a_tunnel_is_an_overlay_and_its_underlay_an_uplink() {
    let mut down = tunnel(5, "vx1", "vxlan", 1450, Some(3));
    down.up = false;
    let node = topology(
        vec![
            device(2, "eth0", "", 1500),
            device(3, "eth1", "", 1500),
            tunnel(4, "vx0", "vxlan", 1450, Some(2)),
            down,
        ],
        vec![route("default", 4, Some("10.99.0.1"))],
    );
    expect(
        node,
        &Surroundings::default(),
        &[("eth0", Role::Uplink), ("eth1", Role::Link), ("vx0", Role::Overlay), ("vx1", Role::Overlay)],
    );
}

#[test]
fn what_cannot_be_read_is_a_pod_if_our_tables_say_so() {
    let node = topology(
        vec![
            device(2, "cni0", "bridge", 1500),
            enslaved(pair(3, "veth3", Some(3), 1500, 1500), 2, "bridge"),
            pair(4, "cali4", Some(4), 1500, 1500),
            pair(5, "veth5", Some(5), 1500, 1500),
            pair(6, "cali6", Some(6), 1500, 1500),
        ],
        vec![
            route("10.244.1.0/24", 2, None),
            route("10.244.1.4/32", 4, None),
            route("10.5.0.0/24", 5, None),
            route("fe80::/64", 5, None),
            route("fd00::6/128", 6, None),
        ],
    );
    expect(
        node,
        &Surroundings::default(),
        &[
            ("cni0", Role::Bridge),
            ("veth3", Role::Pod),
            ("cali4", Role::Pod),
            ("veth5", Role::Link),
            ("cali6", Role::Pod),
        ],
    );
}

#[test]
fn a_record_of_a_runtime_makes_a_pod_of_what_nothing_else_proves() {
    let node = topology(vec![pair(3, "lxc3", Some(3), 1500, 1500)], Vec::new());
    let mut around = surroundings(&[(3, WayBack::Elsewhere)]);
    expect(node.clone(), &around, &[("lxc3", Role::Link)]);
    around.recorded.insert(3);
    expect(node, &around, &[("lxc3", Role::Pod)]);
}

#[test]
fn ports_of_open_vswitch_are_told_by_hardware() {
    let node = topology(
        vec![
            device(2, "br-ex", "openvswitch", 1500),
            device(3, "ovs-system", "openvswitch", 1500),
            enslaved(device(4, "eth0", "", 1500), 3, "openvswitch"),
            enslaved(pair(5, "veth5", Some(5), 1400, 1400), 3, "openvswitch"),
        ],
        vec![route("default", 2, Some("10.0.1.1"))],
    );
    expect(
        node,
        &Surroundings::default(),
        &[("br-ex", Role::Uplink), ("ovs-system", Role::Link), ("eth0", Role::Uplink), ("veth5", Role::Pod)],
    );
}

#[test]
fn a_pod_on_a_bridge_that_is_a_router_for_others_makes_no_uplink_of_the_bridge() {
    let mut port = enslaved(pair(3, "veth3", Some(3), 1500, 1500), 2, "bridge");
    port.peer.as_mut().unwrap().addresses.push("10.244.1.77".parse().unwrap());
    let node = topology(
        vec![device(2, "cni0", "bridge", 1500), port],
        vec![route("10.244.1.0/24", 2, None), route("10.9.0.0/16", 2, Some("10.244.1.77"))],
    );
    let around = surroundings(&[(3, WayBack::DefaultRoute)]);
    expect(node.clone(), &around, &[("cni0", Role::Bridge), ("veth3", Role::Pod)]);
    let around = surroundings(&[(3, WayBack::Unknown)]);
    expect(node, &around, &[("cni0", Role::Uplink), ("veth3", Role::Uplink)]);
}
