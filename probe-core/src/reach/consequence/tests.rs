use super::super::fixtures::{self, OVERLAY, POD1, UPLINK, bridged, inside, node, route_mtu};
use super::super::reaches;
use super::findings;
use crate::model::filters::{Clamp, ClampSize, ErrorDrop, FilterHook, Filters, RulePlace};
use crate::model::finding::{Direction, Finding, Kind, Severity};
use crate::model::fixtures::{device, route, tunnel};
use crate::model::flow::Family;
use crate::model::interface::{Interface, Role};
use crate::model::route::Route;
use crate::model::settings::{Setting, Settings};
use crate::model::survey::Survey;
use std::collections::BTreeMap;

fn of(survey: &Survey) -> Vec<Finding> {
    findings(survey, &reaches(survey), 0)
}

/// Kind, severity, limit and pod of all findings.
fn told(survey: &Survey) -> Vec<(Kind, Severity, Option<u32>, Option<String>)> {
    of(survey)
        .into_iter()
        .map(|found| (found.kind, found.severity, found.limit.mtu, found.pod.map(|pod| pod.display_name())))
        .collect()
}

fn quiet(survey: &Survey) {
    let loud: Vec<Finding> =
        of(survey).into_iter().filter(|finding| finding.severity > Severity::Info).collect();
    assert_eq!(loud, []);
}

fn place(hook: FilterHook) -> RulePlace {
    RulePlace {
        chain: "inet filter rules".to_owned(),
        handle: Some(7),
        hook,
        families: Family::ALL.to_vec(),
        iif: None,
        oif: None,
        narrowed: false,
    }
}

fn with_filters(survey: &mut Survey, inode: u32, filters: Filters) {
    survey.filters.insert(inode, filters);
}

#[test]
fn a_healthy_node_has_none() {
    let mut survey = node(1550, 1500);
    assert_eq!(told(&survey), []);
    bridged(&mut survey, 1500);
    assert_eq!(told(&survey), []);
}

#[test]
fn a_smaller_uplink_is_a_warning_for_each_pod_and_one_cause() {
    let survey = node(1400, 1350);
    let found: Vec<Finding> =
        of(&survey).into_iter().filter(|found| found.limit.interface.as_deref() == Some("eth0")).collect();
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|found| found.severity == Severity::Warning && found.family.is_none()));
    assert_eq!(found[0].limit.mtu, Some(1400));
    assert_eq!(found[0].cause, found[1].cause);
    assert_eq!(found[0].cause.as_ref().map(|cause| cause.pods_affected), Some(2));
    assert_eq!(found[0].chain.as_deref(), Some("pod eth0 1500 > veth1 1500 > [eth0 1400]"));
}

#[test]
fn a_smaller_route_in_the_pods_keeps_it_quiet() {
    let mut survey = node(1400, 1350);
    route_mtu(&mut survey, 1350);
    assert_eq!(told(&survey), []);
}

#[test]
fn a_clamp_of_all_tcp_makes_it_information() {
    let mut survey = node(1400, 1350);
    let clamp = |oif: Option<&str>, size| Clamp {
        place: RulePlace { oif: oif.map(str::to_owned), ..place(FilterHook::Forward) },
        size,
    };
    with_filters(
        &mut survey,
        0,
        Filters { clamps: vec![clamp(None, ClampSize::Route)], ..Filters::default() },
    );
    quiet(&survey);
    assert!(of(&survey)[0].explanation.contains("UDP is not covered"));
    with_filters(
        &mut survey,
        0,
        Filters { clamps: vec![clamp(Some("eth0"), ClampSize::Route)], ..Filters::default() },
    );
    assert!(of(&survey).iter().any(|found| found.severity == Severity::Warning), "one way only");
    with_filters(
        &mut survey,
        0,
        Filters { clamps: vec![clamp(None, ClampSize::Fixed(1400))], ..Filters::default() },
    );
    assert!(of(&survey).iter().any(|found| found.severity == Severity::Warning), "not small enough");
}

#[test]
fn an_advertised_size_makes_it_information() {
    let mut survey = node(1400, 1350);
    for route in survey.inside.values_mut().flat_map(|inside| &mut inside.routes) {
        route.advmss = Some(1280);
    }
    quiet(&survey);
}

#[test]
fn unseen_routes_leave_a_suspicion() {
    let mut survey = node(1400, 1350);
    survey.inside.clear();
    let found = of(&survey);
    assert!(found.iter().all(|found| found.certainty.name() == "suspected"), "{found:?}");
}

#[test]
fn ends_that_differ_are_a_warning_if_something_can_meet_it() {
    let mut survey = node(1500, 1450);
    survey.node.routes.retain(|route| route.oif != Some(OVERLAY));
    survey.node.interfaces.get_mut(&OVERLAY).expect("the tunnel").up = false;
    survey.node.interfaces.get_mut(&POD1).expect("a host end").mtu = 1400;
    let found = of(&survey);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].kind, found[0].severity), (Kind::VethMtuMismatch, Severity::Warning));
    assert_eq!(found[0].direction, Some(Direction::FromPod));
    route_mtu(&mut survey, 1400);
    quiet(&survey);
    assert_eq!(of(&survey).len(), 1, "it is still told");
}

#[test]
fn what_fits_into_the_slack_of_a_veth_is_not_lost() {
    let mut survey = node(1550, 1500);
    survey.node.interfaces.get_mut(&POD1).expect("a host end").mtu = 1496;
    let found = of(&survey);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].kind, found[0].severity), (Kind::VethMtuMismatch, Severity::Info));
}

#[test]
fn a_smaller_end_in_the_pod_is_met_by_what_comes() {
    let mut survey = node(1550, 1500);
    let end = survey.node.interfaces.get_mut(&POD1).expect("a host end");
    end.peer.as_mut().expect("a pod").mtu = Some(1400);
    survey.node.pods[0].pod_mtu = Some(1400);
    inside(&mut survey, 1).interfaces.get_mut(&2).expect("eth0").mtu = 1400;
    let found = of(&survey);
    assert_eq!((found[0].kind, found[0].severity), (Kind::VethMtuMismatch, Severity::Warning));
    assert_eq!(found[0].direction, Some(Direction::ToPod));
}

#[test]
fn a_tunnel_that_is_given_too_much_is_a_warning() {
    let mut survey = node(1500, 1500);
    let found = of(&survey);
    assert_eq!(told(&survey), [(Kind::OverlayMtuExceedsUnderlay, Severity::Warning, Some(1450), None)]);
    assert_eq!(found[0].pods.len(), 2);
    assert!(found[0].explanation.contains("fragments"));
    route_mtu(&mut survey, 1450);
    assert_eq!(told(&survey), [(Kind::OverlayMtuExceedsUnderlay, Severity::Info, Some(1450), None)]);
}

#[test]
fn metadata_tunnels_say_65000_and_mean_nothing() {
    let mut survey = node(1500, 65000);
    survey.node.routes.retain(|route| route.oif != Some(OVERLAY));
    fixtures::take_metadata(&mut survey);
    route_mtu(&mut survey, 1450);
    assert_eq!(told(&survey), []);
    // Without a look into the pods nothing is claimed aloud.
    survey.inside.clear();
    quiet(&survey);
}

#[test]
fn tunnels_that_pods_are_not_sent_into_are_quiet() {
    for (kind, destination, table) in
        [("wireguard", "10.10.0.0/24", 254), ("wireguard", "default", 51820), ("tun", "100.64.0.0/10", 52)]
    {
        let mut survey = node(1550, 1500);
        let wireguard = tunnel(9, "wg0", kind, 1280, Some(UPLINK));
        survey.node.interfaces.insert(9, Interface { role: Role::Overlay, ..wireguard });
        survey.node.routes.push(Route { table, ..route(destination, 9, None) });
        quiet(&survey);
    }
}

#[test]
fn a_wireguard_between_the_pods_of_all_nodes_counts() {
    let mut survey = node(1550, 1500);
    let wireguard = tunnel(9, "flannel-wg", "wireguard", 1420, Some(UPLINK));
    survey.node.interfaces.insert(9, Interface { role: Role::Overlay, ..wireguard });
    survey.node.routes.push(route("10.244.0.0/16", 9, None));
    let found = of(&survey);
    assert_eq!(found[0].severity, Severity::Warning);
    assert_eq!(found[0].limit.mtu, Some(1420));
}

#[test]
fn devices_that_nothing_is_routed_to_are_quiet() {
    let mut survey = node(1550, 1500);
    for (ifindex, name, kind, mtu) in [
        (21, "docker0", "bridge", 1400),
        (22, "kube-ipvs0", "dummy", 1280),
        (23, "ifb0", "ifb", 1300),
        (24, "lo", "", 65536),
        (25, "cilium_net", "veth", 1400),
    ] {
        let mut device = device(ifindex, name, kind, mtu);
        device.addresses = vec![(fixtures::ip("172.17.0.1"), 16)];
        survey.node.interfaces.insert(ifindex, device);
        survey.node.routes.push(route("172.17.0.0/16", ifindex, None));
    }
    survey.node.interfaces.get_mut(&21).expect("docker0").up = false;
    for (ifindex, name, kind) in [(26, "tunl0", "ipip"), (27, "gre0", "gre"), (28, "sit0", "sit")] {
        let tunnel = tunnel(ifindex, name, kind, 1476, None);
        survey.node.interfaces.insert(ifindex, Interface { role: Role::Overlay, ..tunnel });
    }
    assert_eq!(told(&survey), []);
}

#[test]
fn jumbo_uplinks_are_quiet() {
    let mut survey = node(9001, 8951);
    assert_eq!(told(&survey), []);
    survey.node.interfaces.values_mut().filter(|end| end.role == Role::Pod).for_each(|end| {
        end.mtu = 8951;
        end.peer.as_mut().expect("a pod").mtu = Some(8951);
    });
    survey.node.pods.iter_mut().for_each(|pod| pod.pod_mtu = Some(8951));
    survey.inside.values_mut().flat_map(|inside| inside.interfaces.values_mut()).for_each(|eth0| {
        eth0.mtu = 8951;
    });
    assert_eq!(told(&survey), []);
}

#[test]
fn ports_of_a_bridge_that_differ() {
    let mut survey = node(1550, 1500);
    bridged(&mut survey, 1400);
    survey.node.interfaces.get_mut(&POD1).expect("a host end").mtu = 1400;
    let loud: Vec<_> = told(&survey).into_iter().filter(|found| found.1 == Severity::Warning).collect();
    assert!(loud.contains(&(Kind::BridgeMtuMismatch, Severity::Warning, Some(1400), None)), "{loud:?}");
}

#[test]
fn a_bridge_below_its_ports_concerns_what_is_routed_to_them() {
    let mut survey = node(1550, 1500);
    bridged(&mut survey, 1400);
    let found = of(&survey);
    assert_eq!(told(&survey), [(Kind::BridgeMtuMismatch, Severity::Warning, Some(1400), None)]);
    assert_eq!(found[0].direction, Some(Direction::ToPod));
    // Nothing larger can come if the way in is as small.
    survey.node.interfaces.get_mut(&UPLINK).expect("the uplink").mtu = 1400;
    let bridge: Vec<_> =
        told(&survey).into_iter().filter(|found| found.0 == Kind::BridgeMtuMismatch).collect();
    assert_eq!(bridge, [(Kind::BridgeMtuMismatch, Severity::Info, Some(1400), None)]);
}

#[test]
fn discovery_that_is_off_is_a_warning_where_it_is_needed() {
    let off = Settings { values: BTreeMap::from([(Setting::IpNoPmtuDisc, 2)]) };
    for (uplink, severity) in [(1400, Severity::Warning), (1550, Severity::Info)] {
        let mut survey = node(uplink, 1350);
        survey.node.routes.retain(|route| route.oif != Some(OVERLAY));
        let inode = survey.node.pods[0].netns_inode.expect("an inode");
        survey.node.settings.insert(inode, off.clone());
        let found = of(&survey);
        let disabled: Vec<_> = found.iter().filter(|found| found.kind == Kind::PmtudDisabled).collect();
        assert_eq!(disabled.len(), 1, "{found:?}");
        assert_eq!(disabled[0].severity, severity);
    }
}

#[test]
fn a_locked_route_in_a_pod() {
    let mut survey = node(1400, 1350);
    survey.node.routes.retain(|route| route.oif != Some(OVERLAY));
    for route in &mut inside(&mut survey, 1).routes {
        (route.mtu, route.mtu_locked) = (Some(1450), true);
    }
    let disabled = |survey: &Survey| {
        let found = of(survey).into_iter().filter(|found| found.kind == Kind::PmtudDisabled);
        found.map(|found| found.severity).collect::<Vec<_>>()
    };
    assert_eq!(disabled(&survey), [Severity::Warning; 2], "one for each family");
    for route in &mut inside(&mut survey, 1).routes {
        route.mtu = Some(1400);
    }
    assert_eq!(disabled(&survey), [Severity::Info; 2]);
}

#[test]
fn a_filter_of_errors_is_a_warning_where_they_are_needed() {
    for (uplink, severity) in [(1400, Severity::Warning), (1550, Severity::Info)] {
        for hook in [FilterHook::Output, FilterHook::Postrouting] {
            let mut survey = node(uplink, 1350);
            survey.node.routes.retain(|route| route.oif != Some(OVERLAY));
            let drops = vec![ErrorDrop { place: place(hook), by_default: false }];
            with_filters(&mut survey, 0, Filters { error_drops: drops, ..Filters::default() });
            let found = of(&survey);
            let disabled: Vec<_> = found.iter().filter(|found| found.kind == Kind::PmtudDisabled).collect();
            assert_eq!(disabled.len(), 2, "one for each family: {found:?}");
            assert!(disabled.iter().all(|found| found.severity == severity));
            let ids: std::collections::BTreeSet<_> = found.iter().map(|found| &found.id).collect();
            assert_eq!(ids.len(), found.len(), "each has an id of its own");
        }
    }
}

#[test]
fn a_filter_inside_a_pod_concerns_that_pod() {
    let mut survey = node(1400, 1350);
    let inode = survey.node.pods[1].netns_inode.expect("an inode");
    let drops = vec![ErrorDrop { place: place(FilterHook::Input), by_default: false }];
    with_filters(&mut survey, inode, Filters { error_drops: drops, ..Filters::default() });
    let found = of(&survey);
    let disabled: Vec<_> = found.iter().filter(|found| found.kind == Kind::PmtudDisabled).collect();
    assert_eq!(disabled.len(), 2);
    assert!(disabled.iter().all(|found| found.pod.as_ref().is_some_and(|pod| pod.display_name() == "pod2")));
    let command = disabled[0].fixes[0].command.clone().expect("a command");
    assert_eq!(command, "nsenter --net=/run/netns/pod2 nft delete rule inet filter rules handle 7");
}
