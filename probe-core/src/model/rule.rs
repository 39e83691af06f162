//! Policy routing: which routing tables are asked for a packet, and in which order.
use super::flow::Family;
use super::interface::Interface;
use super::route::Route;
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
    /// It concerns marked packets, some destinations, ports or users only, or the opposite of what it says.
    pub is_special: bool,
    /// Routes with a prefix of this length or shorter do not count (`suppress_prefixlength`).
    pub suppressed: Option<u8>,
}

impl Rule {
    /// The table that it leads a packet to; `None` if it does not concern the packet. What concerns some destinations
    /// only is left out: this is about packets to anywhere.
    fn table_for(
        &self,
        source: Option<IpAddr>,
        came_by: Option<&Interface>,
        vrf: Option<u32>,
    ) -> Option<u32> {
        let from = self.from.is_none_or(|(network, length)| {
            source.is_some_and(|source| super::route::prefix_covers(network, length, source))
        });
        let interface =
            self.came_by.as_ref().is_none_or(|name| came_by.is_some_and(|interface| interface.name == *name));
        if self.is_special || !from || !interface {
            return None;
        }
        self.table.or(vrf)
    }
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
        let vrf = came_by.and_then(|interface| self.interface(interface.master?)?.table);
        let mut rules: Vec<&Rule> = self.rules.iter().filter(|rule| rule.family == family).collect();
        rules.sort_by_key(|rule| rule.priority);
        let asked = rules
            .iter()
            .filter_map(|rule| Some((rule.table_for(source, came_by, vrf)?, rule.suppressed.is_some())));
        // Without rules (older recordings) those that every namespace begins with.
        let first = [(MAIN_TABLE, false), (DEFAULT_TABLE, false)];
        let tables: Vec<(u32, bool)> = if rules.is_empty() { first.into() } else { asked.collect() };
        let routes_of = |table: u32| -> Vec<&Route> {
            let of_table = |route: &&Route| route.table == table && route.family == family;
            let routes = self.routes.iter().filter(|route| route.unicast && route.destination.is_none());
            routes.filter(of_table).collect()
        };
        let tables = tables.into_iter().filter(|(_, suppressed)| !suppressed);
        tables.map(|(table, _)| routes_of(table)).find(|routes| !routes.is_empty()).unwrap_or_default()
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

    #[test]
    fn without_rules_it_is_the_main_table() {
        assert_eq!(way(&node(Vec::new()), "10.1.0.7"), [Some(FIRST)]);
    }
}
