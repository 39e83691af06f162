//! Path MTU discovery that is switched off where it is needed.
use super::Mismatch;
use crate::model::finding::LimitHow;
use crate::model::flow::Family;
use crate::model::interface::{Interface, Role};
use crate::model::pod::Pod;
use crate::model::route::Route;
use crate::model::rule::MAIN_TABLE;
use crate::model::settings::{Discovery, Setting};
use crate::model::topology::Topology;
use std::collections::BTreeMap;

/// Pods that do not discover though their way out is smaller, and routes that are locked at more than they take.
pub(super) fn disabled(topology: &Topology) -> Vec<Mismatch> {
    let pods = topology.pods.iter().filter_map(|pod| pod_without(topology, pod));
    pods.chain(locked_routes(topology)).collect()
}

fn pod_without(topology: &Topology, pod: &Pod) -> Option<Mismatch> {
    let settings = topology.settings_of(Some(pod))?;
    let (host_ifindex, pod_mtu) = (pod.host_ifindex?, pod.pod_mtu?);
    let (egress, limit, how) = smallest_way(topology)?;
    let is_off = settings.discovery().is_some_and(|discovery| discovery != Discovery::On);
    let is_locked_at_more = settings.get(Setting::MinPmtu).is_some_and(|minimum| minimum > limit);
    if pod_mtu <= limit || !(is_off || is_locked_at_more) {
        return None;
    }
    let sizes = (limit, pod_mtu);
    Some(Mismatch {
        how,
        ..Mismatch::of_discovery(Some(pod), Family::Ipv4, (host_ifindex, &egress.name), sizes)
    })
}

/// The smallest limit at which this node would make an error: of default routes and of those into a tunnel. What a tunnel
/// then leaves of the underlay is another matter: the pod hears nothing of that.
fn smallest_way(topology: &Topology) -> Option<(&Interface, u32, LimitHow)> {
    let ways = topology.routes.iter().filter(|route| route.unicast && route.table == MAIN_TABLE);
    ways.filter_map(|route| {
        let egress = topology.interface(route.oif?)?;
        let leads_out = route.destination.is_none() || egress.role == Role::Overlay;
        let by_route = route.mtu.filter(|mtu| *mtu < egress.mtu);
        let (limit, how) =
            by_route.map_or((egress.mtu, LimitHow::DeviceMtu), |mtu| (mtu, LimitHow::RouteMtu));
        (leads_out && egress.up).then_some((egress, limit, how))
    })
    .min_by_key(|(_, limit, _)| *limit)
}

/// Routes whose locked MTU is more than their way takes.
pub(crate) fn locked_routes(topology: &Topology) -> impl Iterator<Item = Mismatch> {
    let locked = topology.routes.iter().filter(|route| route.unicast && route.mtu_locked);
    locked.filter_map(|route| locked_route(topology, route))
}

/// Pods with a route that is locked at more than the way out takes.
pub(crate) fn locked_in_pods(topology: &Topology, locked: &BTreeMap<u32, Vec<Route>>) -> Vec<Mismatch> {
    let Some((egress, limit, how)) = smallest_way(topology) else { return Vec::new() };
    let of_pod = |pod: &Pod| {
        let routes = locked.get(&pod.netns_inode?)?.iter().filter(|route| route.unicast);
        // It leads nowhere else than out of the pod where it has a gateway.
        let largest = routes.filter(|route| route.gateway.is_some()).max_by_key(|route| route.mtu)?;
        let larger = largest.mtu?.min(pod.pod_mtu?);
        let at = (pod.host_ifindex.unwrap_or(egress.ifindex), egress.name.as_str());
        (larger > limit).then(|| Mismatch {
            how,
            ..Mismatch::of_discovery(Some(pod), largest.family, at, (limit, larger))
        })
    };
    topology.pods.iter().filter_map(of_pod).collect()
}

fn locked_route(topology: &Topology, route: &Route) -> Option<Mismatch> {
    let egress = topology.interface(route.oif?)?;
    let (limit, larger) = (topology.device_limit(egress), route.mtu?);
    let at = (egress.ifindex, egress.name.as_str());
    (larger > limit).then(|| Mismatch::of_discovery(None, route.family, at, (limit, larger)))
}

#[cfg(test)]
mod tests {
    use super::super::mismatches;
    use super::*;
    use crate::diagnose::fixtures::{self, POD1_NETNS, UPLINK};
    use crate::model::finding::Kind;
    use crate::model::settings::Settings;

    fn settings(values: &[(Setting, u32)]) -> Settings {
        Settings { values: values.iter().copied().collect() }
    }

    fn disabled(uplink: u32, values: &[(Setting, u32)]) -> Vec<Mismatch> {
        let mut topology = fixtures::node(uplink);
        topology.settings.insert(POD1_NETNS, settings(values));
        mismatches(&topology).into_iter().filter(|found| found.kind == Kind::PmtudDisabled).collect()
    }

    #[test]
    fn it_matters_where_the_way_out_is_smaller() {
        for mode in [1, 2, 3] {
            let found = disabled(1400, &[(Setting::IpNoPmtuDisc, mode)]);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!((found[0].limit, found[0].larger), (1400, 1500));
            assert_eq!(found[0].pod.as_ref().map(Pod::display_name).as_deref(), Some("pod1"));
        }
        assert_eq!(disabled(1500, &[(Setting::IpNoPmtuDisc, 2)]), [], "nothing is smaller");
        assert_eq!(disabled(1400, &[(Setting::IpNoPmtuDisc, 0)]), [], "it is on");
        assert_eq!(disabled(1400, &[]), [], "nothing is known");
    }

    #[test]
    fn a_minimum_above_the_limit_locks_the_route() {
        assert_eq!(disabled(1400, &[(Setting::MinPmtu, 1450)]).len(), 1);
        assert_eq!(disabled(1400, &[(Setting::MinPmtu, 552)]), []);
        assert_eq!(disabled(1500, &[(Setting::MinPmtu, 1450)]), []);
    }

    #[test]
    fn a_pod_has_a_route_that_is_locked_at_more() {
        let locked = |uplink, mtu| {
            let topology = fixtures::node(uplink);
            let route = Route { mtu: Some(mtu), mtu_locked: true, ..topology.routes[0].clone() };
            locked_in_pods(&topology, &BTreeMap::from([(POD1_NETNS, vec![route])]))
        };
        let found = locked(1400, 1500);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].limit, found[0].larger), (1400, 1500));
        assert_eq!(found[0].pod.as_ref().map(Pod::display_name).as_deref(), Some("pod1"));
        assert_eq!(locked(1400, 1400), []);
        assert_eq!(locked(1500, 1500), []);
    }

    #[test]
    fn a_route_is_locked_at_more_than_it_takes() {
        let mut topology = fixtures::node(1400);
        let route =
            topology.routes.iter_mut().find(|route| route.oif == Some(UPLINK)).expect("the default route");
        (route.mtu, route.mtu_locked) = (Some(1500), true);
        let found = locked_routes(&topology).collect::<Vec<_>>();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].limit, found[0].larger, &found[0].pod), (1400, 1500, &None));
    }
}
