//! Policy routing: which routing tables are asked for a packet, and in which order.
use super::flow::Family;
use super::interface::Interface;
use super::route::{Route, prefix_covers};
use super::topology::Topology;
use std::net::IpAddr;

/// `RT_TABLE_MAIN`.
pub const MAIN_TABLE: u32 = 254;
/// `RT_TABLE_DEFAULT`.
const DEFAULT_TABLE: u32 = 253;

/// A rule of policy routing (`ip rule`) that leads to a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Family.
    pub family: Family,
    /// The smallest is asked first.
    pub priority: u32,
    /// The table; `None` is that of the VRF which a packet came by (`l3mdev`).
    pub table: Option<u32>,
    /// Packets from this network only.
    pub from: Option<(IpAddr, u8)>,
    /// Packets that come by the interface with this name only.
    pub came_by: Option<String>,
    /// Packets to this network only.
    pub to: Option<(IpAddr, u8)>,
    /// It concerns marked packets, ports or users only, or the opposite of what it says.
    pub is_special: bool,
    /// Routes with a prefix of this length or shorter do not count (`suppress_prefixlength`).
    pub suppressed: Option<u8>,
}

impl Rule {
    /// The table that it leads some packets of a sender to; `None` if it concerns none of them.
    fn table_for(
        &self,
        source: Option<IpAddr>,
        came_by: Option<&Interface>,
        vrf: Option<u32>,
    ) -> Option<u32> {
        let from = self.from.is_none_or(|(network, length)| {
            source.is_some_and(|source| prefix_covers(network, length, source))
        });
        let interface =
            self.came_by.as_ref().is_none_or(|name| came_by.is_some_and(|interface| interface.name == *name));
        if !from || !interface {
            return None;
        }
        self.table.or(vrf)
    }

    /// Whether it concerns all packets to a network (`None` is everywhere), or none or some of them only.
    fn is_for_all_to(&self, network: Option<(IpAddr, u8)>) -> bool {
        let to = self.to.is_none_or(|to| network.is_some_and(|network| lies_in(network, to)));
        to && !self.is_special
    }

    /// Whether it may concern packets to a network.
    fn is_for_some_to(&self, network: Option<(IpAddr, u8)>) -> bool {
        let to = self.to.zip(network);
        to.is_none_or(|(to, network)| lies_in(network, to) || lies_in(to, network))
    }

    /// Whether a route found by it counts (`suppress_prefixlength`).
    fn admits(&self, route: &Route) -> bool {
        self.suppressed.is_none_or(|longest| route.prefix_len() > longest)
    }
}

/// Whether a network is a part of another one.
fn lies_in((network, length): (IpAddr, u8), (outer, outer_length): (IpAddr, u8)) -> bool {
    outer_length <= length && prefix_covers(outer, outer_length, network)
}

impl Topology {
    /// The default routes of a family that decide for packets of a source which come by an interface: those of the first
    /// table with any, by the rules of policy routing and the VRF of the interface.
    pub fn default_routes(
        &self,
        family: Family,
        source: Option<IpAddr>,
        came_by: Option<&Interface>,
    ) -> Vec<&Route> {
        let rules = self.rules_for(family, source, came_by);
        let asked = rules.iter().filter(|(rule, _)| rule.is_for_all_to(None) && rule.suppressed.is_none());
        // Without rules (older recordings) those that every namespace begins with.
        let first = [MAIN_TABLE, DEFAULT_TABLE];
        let tables: Vec<u32> =
            if rules.is_empty() { first.into() } else { asked.map(|(_, table)| *table).collect() };
        let routes_of = |table: u32| -> Vec<&Route> {
            let of_table = |route: &&Route| route.table == table && route.family == family;
            let routes = self.routes.iter().filter(|route| route.unicast && route.destination.is_none());
            routes.filter(of_table).collect()
        };
        tables.into_iter().map(routes_of).find(|routes| !routes.is_empty()).unwrap_or_default()
    }

    /// Whether some packets of a source which come by an interface take a route: its table is asked for them, and none
    /// that is asked before has a route for all of them. Where rules are not known, every route may be taken.
    pub fn may_take(&self, route: &Route, source: Option<IpAddr>, came_by: Option<&Interface>) -> bool {
        let rules = self.rules_for(route.family, source, came_by);
        if rules.is_empty() {
            return true;
        }
        for (rule, table) in rules {
            let destination = route.destination;
            if table == route.table && rule.admits(route) && rule.is_for_some_to(destination) {
                return true;
            }
            let covers = |other: &Route| match (other.destination, destination) {
                (None, _) => true,
                (Some(other), Some(network)) => lies_in(network, other),
                (Some(_), None) => false,
            };
            let takes_all = |other: &&Route| {
                other.table == table && other.family == route.family && other.unicast && rule.admits(other)
            };
            if rule.is_for_all_to(destination) && self.routes.iter().filter(takes_all).any(covers) {
                return false;
            }
        }
        false
    }

    /// The rules that concern some packets of a sender, with their tables, in the order in which they are asked.
    fn rules_for(
        &self,
        family: Family,
        source: Option<IpAddr>,
        came_by: Option<&Interface>,
    ) -> Vec<(&Rule, u32)> {
        let vrf = came_by.and_then(|interface| self.interface(interface.master?)?.table);
        let mut rules: Vec<(&Rule, u32)> = self
            .rules
            .iter()
            .filter(|rule| rule.family == family)
            .filter_map(|rule| Some((rule, rule.table_for(source, came_by, vrf)?)))
            .collect();
        rules.sort_by_key(|(rule, _)| rule.priority);
        rules
    }

    /// The interface by which the node gets packets of a pod to route: a bridge, where the pod's end is a port of one.
    pub fn entry(&self, host_end: &Interface) -> Option<&Interface> {
        let bridge = host_end.master.filter(|_| host_end.master_kind.as_deref() == Some("bridge"));
        self.interface(bridge.unwrap_or(host_end.ifindex))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{device, enslaved, route, topology};

    const FIRST: u32 = 2;
    const SECOND: u32 = 3;
    const POD: u32 = 11;

    fn rule(priority: u32, table: u32) -> Rule {
        Rule {
            family: Family::Ipv4,
            priority,
            table: Some(table),
            from: None,
            came_by: None,
            to: None,
            is_special: false,
            suppressed: None,
        }
    }

    fn node(rules: Vec<Rule>) -> Topology {
        let second = Route { table: 100, ..route("default", SECOND, Some("10.0.2.1")) };
        let links = vec![
            device(FIRST, "eth0", "", 1500),
            device(SECOND, "eth1", "", 9000),
            device(POD, "p", "", 1500),
        ];
        let routes = vec![route("default", FIRST, Some("10.0.1.1")), second];
        Topology { rules, ..topology(links, routes) }
    }

    fn way(topology: &Topology, source: &str) -> Vec<Option<u32>> {
        let source = source.parse().ok();
        let routes = topology.default_routes(Family::Ipv4, source, topology.interface(POD));
        routes.iter().map(|route| route.oif).collect()
    }

    #[test]
    fn a_rule_for_a_source_comes_before_the_main_table() {
        let from = Rule { from: Some(("10.1.0.0".parse().unwrap(), 16)), ..rule(100, 100) };
        let topology = node(vec![rule(32766, MAIN_TABLE), from]);
        assert_eq!(way(&topology, "10.1.0.7"), [Some(SECOND)]);
        assert_eq!(way(&topology, "10.2.0.7"), [Some(FIRST)]);
    }

    #[test]
    fn a_rule_for_an_interface_is_for_what_comes_by_it() {
        let by = |name: &str| Rule { came_by: Some(name.to_owned()), ..rule(100, 100) };
        assert_eq!(way(&node(vec![by("p"), rule(32766, MAIN_TABLE)]), "10.1.0.7"), [Some(SECOND)]);
        assert_eq!(way(&node(vec![by("q"), rule(32766, MAIN_TABLE)]), "10.1.0.7"), [Some(FIRST)]);
    }

    #[test]
    fn marks_and_suppressed_prefixes_do_not_decide() {
        let marked = Rule { is_special: true, ..rule(100, 100) };
        let suppressed = Rule { suppressed: Some(0), ..rule(200, 100) };
        assert_eq!(way(&node(vec![marked, suppressed, rule(32766, MAIN_TABLE)]), "10.1.0.7"), [Some(FIRST)]);
    }

    #[test]
    fn a_member_of_a_vrf_asks_its_table() {
        let vrf = Rule { table: None, ..rule(1000, 0) };
        let mut topology = node(vec![vrf, rule(32766, MAIN_TABLE)]);
        assert_eq!(way(&topology, "10.1.0.7"), [Some(FIRST)]);
        let master = Interface { table: Some(100), ..device(9, "blue", "vrf", 65575) };
        topology.interfaces.insert(9, master);
        topology.interfaces.insert(POD, enslaved(device(POD, "p", "", 1500), 9, "vrf"));
        assert_eq!(way(&topology, "10.1.0.7"), [Some(SECOND)]);
    }

    fn taken(topology: &Topology, source: &str) -> Vec<Option<u32>> {
        let (source, pod) = (source.parse().ok(), topology.interface(POD));
        let routes = topology.routes.iter().filter(|route| topology.may_take(route, source, pod));
        routes.map(|route| route.oif).collect()
    }

    #[test]
    fn only_routes_that_a_senders_rules_lead_to_may_be_taken() {
        let from = Rule { from: Some(("10.1.0.0".parse().unwrap(), 16)), ..rule(100, 100) };
        let topology = node(vec![rule(32766, MAIN_TABLE), from]);
        assert_eq!(taken(&topology, "10.1.0.7"), [Some(SECOND)]);
        assert_eq!(taken(&topology, "10.2.0.7"), [Some(FIRST)]);
        // What is told of some packets only leaves the others to the main table.
        let marked = Rule { is_special: true, ..rule(100, 100) };
        let some = Rule { to: Some(("10.9.0.0".parse().unwrap(), 16)), ..rule(100, 100) };
        for first in [marked, some] {
            let topology = node(vec![first, rule(32766, MAIN_TABLE)]);
            assert_eq!(taken(&topology, "10.1.0.7"), [Some(FIRST), Some(SECOND)]);
        }
        let suppressed = Rule { suppressed: Some(0), ..rule(100, 100) };
        assert_eq!(taken(&node(vec![suppressed, rule(32766, MAIN_TABLE)]), "10.1.0.7"), [Some(FIRST)]);
        assert_eq!(taken(&node(Vec::new()), "10.1.0.7"), [Some(FIRST), Some(SECOND)]);
    }

    #[test]
    fn an_earlier_default_route_hides_all_of_a_later_table_but_no_part_does() {
        let mut topology = node(vec![rule(100, 100), rule(32766, MAIN_TABLE)]);
        topology.routes.push(route("10.7.0.0/16", FIRST, None));
        assert_eq!(taken(&topology, "10.1.0.7"), [Some(SECOND)]);
        for route in topology.routes.iter_mut().filter(|route| route.table == 100) {
            route.destination = Some(("10.7.3.0".parse().unwrap(), 24));
        }
        assert_eq!(taken(&topology, "10.1.0.7"), [Some(FIRST), Some(SECOND), Some(FIRST)]);
    }

    #[test]
    fn without_rules_it_is_the_main_table() {
        assert_eq!(way(&node(Vec::new()), "10.1.0.7"), [Some(FIRST)]);
    }
}
