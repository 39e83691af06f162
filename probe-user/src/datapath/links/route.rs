//! Routes of a namespace.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums grow with the kernel; what is not asked for is skipped"
)]
use super::connection::{Connection, NetlinkError};
use super::family_number;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteNextHop, RouteType, RouteVia,
};
use probe_core::model::flow::Family;
use probe_core::model::route::Route;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `RTAX_LOCK` is a mask of metrics; this one is `RTAX_MTU`.
pub(super) const MTU_LOCK: u32 = 1 << 2;

/// The routes of one family in all tables; a multipath route is one per next hop.
pub fn routes(connection: &mut Connection, family: Family) -> Result<Vec<Route>, NetlinkError> {
    let mut request = RouteMessage::default();
    request.header.address_family = family_number(family);
    let object = format!("{} routes", family.name());
    let answer = connection.dump(&object, RouteNetlinkMessage::GetRoute(request))?;
    Ok(answer.into_iter().flat_map(|message| read(family, message)).collect())
}

/// The routes of both families whose MTU is locked.
pub fn locked_routes(connection: &mut Connection) -> Result<Vec<Route>, NetlinkError> {
    let mut locked = Vec::new();
    for family in [Family::Ipv4, Family::Ipv6] {
        locked.extend(routes(connection, family)?.into_iter().filter(|route| route.mtu_locked));
    }
    Ok(locked)
}

/// The device that the kernel would send to `destination` by, under a mark if it is not 0; `None` if it has no route.
pub fn device_towards(
    connection: &mut Connection,
    destination: IpAddr,
    mark: u32,
) -> Result<Option<u32>, NetlinkError> {
    // A local route leads nowhere: the address is our own.
    let found = look_up(connection, destination, RouteFlags::empty(), mark)?;
    Ok(found.into_iter().find(|route| route.unicast).and_then(|route| route.oif))
}

/// The entry of the routing table that serves `destination`, without what was learned of the path.
pub fn route_towards(
    connection: &mut Connection,
    destination: IpAddr,
) -> Result<Option<Route>, NetlinkError> {
    Ok(look_up(connection, destination, RouteFlags::FibMatch, 0)?.into_iter().next())
}

fn look_up(
    connection: &mut Connection,
    destination: IpAddr,
    flags: RouteFlags,
    mark: u32,
) -> Result<Vec<Route>, NetlinkError> {
    let family = Family::of(destination);
    let mut request = RouteMessage::default();
    request.header.address_family = family_number(family);
    request.header.flags = flags;
    let (length, address) = match destination {
        IpAddr::V4(address) => (32, RouteAddress::Inet(address)),
        IpAddr::V6(address) => (128, RouteAddress::Inet6(address)),
    };
    request.header.destination_prefix_length = length;
    request.attributes.push(RouteAttribute::Destination(address));
    request.attributes.extend(Some(mark).filter(|&mark| mark != 0).map(RouteAttribute::Mark));
    let object = format!("route to {destination}");
    match connection.get(&object, RouteNetlinkMessage::GetRoute(request)) {
        Ok(message) => Ok(message.map(|message| read(family, message)).unwrap_or_default()),
        Err(error)
            if matches!(error.errno(), Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES)) =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn read(family: Family, message: RouteNetlinkMessage) -> Vec<Route> {
    let RouteNetlinkMessage::NewRoute(message) = message else { return Vec::new() };
    let header = message.header;
    let mut route = Route {
        family,
        table: header.table.into(),
        destination: None,
        priority: 0,
        oif: None,
        gateway: None,
        mtu: None,
        mtu_locked: false,
        advmss: None,
        unicast: header.kind == RouteType::Unicast,
    };
    let mut next_hops = Vec::new();
    for attribute in message.attributes {
        match attribute {
            // The header has room for 8 bits only.
            RouteAttribute::Table(table) => route.table = table,
            RouteAttribute::Destination(address) => {
                route.destination = ip(&address).map(|address| (address, header.destination_prefix_length));
            }
            RouteAttribute::Priority(priority) => route.priority = priority,
            RouteAttribute::Metrics(metrics) => read_metrics(&mut route, &metrics),
            RouteAttribute::MultiPath(hops) => next_hops = hops,
            other => read_hop(&mut route, &other),
        }
    }
    if route.destination.is_none() && header.destination_prefix_length > 0 {
        let zero = match family {
            Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
        };
        route.destination = Some((zero, header.destination_prefix_length));
    }
    if next_hops.is_empty() {
        return vec![route];
    }
    next_hops.into_iter().map(|hop| with_hop(&route, &hop)).collect()
}

fn read_metrics(route: &mut Route, metrics: &[RouteMetric]) {
    for metric in metrics {
        match metric {
            RouteMetric::Mtu(mtu) => route.mtu = Some(*mtu).filter(|&mtu| mtu != 0),
            RouteMetric::Lock(mask) => route.mtu_locked = mask & MTU_LOCK != 0,
            RouteMetric::Advmss(advmss) => route.advmss = Some(*advmss).filter(|&advmss| advmss != 0),
            _ => {}
        }
    }
}

fn read_hop(route: &mut Route, attribute: &RouteAttribute) {
    match attribute {
        RouteAttribute::Oif(ifindex) => route.oif = Some(*ifindex).filter(|&index| index != 0),
        RouteAttribute::Gateway(address) => route.gateway = ip(address).or(route.gateway),
        // An IPv4 route by an IPv6 router.
        RouteAttribute::Via(RouteVia::Inet(address)) => route.gateway = Some((*address).into()),
        RouteAttribute::Via(RouteVia::Inet6(address)) => route.gateway = Some((*address).into()),
        _ => {}
    }
}

fn with_hop(route: &Route, hop: &RouteNextHop) -> Route {
    let mut route = Route { oif: Some(hop.interface_index).filter(|&index| index != 0), ..route.clone() };
    for attribute in &hop.attributes {
        read_hop(&mut route, attribute);
    }
    route
}

pub(super) fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_route::route::RouteHeader;

    fn message(length: u8, attributes: Vec<RouteAttribute>) -> RouteNetlinkMessage {
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            destination_prefix_length: length,
            kind: RouteType::Unicast,
            table: 254,
            ..RouteHeader::default()
        };
        message.attributes = attributes;
        RouteNetlinkMessage::NewRoute(message)
    }

    #[test]
    fn a_multipath_route_is_one_route_per_next_hop() {
        let mut hops = vec![RouteNextHop::default(), RouteNextHop::default()];
        hops[0].interface_index = 2;
        hops[1].interface_index = 3;
        hops[1].attributes.push(RouteAttribute::Gateway(RouteAddress::Inet([10, 0, 1, 1].into())));
        let metrics = vec![RouteMetric::Mtu(1400), RouteMetric::Lock(MTU_LOCK)];
        let attributes = vec![
            RouteAttribute::Table(1000),
            RouteAttribute::MultiPath(hops),
            RouteAttribute::Metrics(metrics),
        ];
        let routes = read(Family::Ipv4, message(0, attributes));
        assert_eq!(routes.iter().map(|route| route.oif).collect::<Vec<_>>(), [Some(2), Some(3)]);
        assert_eq!(routes[0].gateway, None);
        assert_eq!(routes[1].gateway, Some(IpAddr::from([10, 0, 1, 1])));
        assert!(routes.iter().all(|route| {
            (route.table, route.mtu, route.mtu_locked, route.destination) == (1000, Some(1400), true, None)
        }));
    }

    #[test]
    fn a_zero_network_with_a_length_is_no_default_route() {
        let routes = read(Family::Ipv4, message(1, vec![RouteAttribute::Oif(2)]));
        assert_eq!(routes[0].destination, Some((Ipv4Addr::UNSPECIFIED.into(), 1)));
    }

    #[test]
    fn other_types_are_not_unicast() {
        let mut blackhole = RouteMessage::default();
        blackhole.header.kind = RouteType::BlackHole;
        let routes = read(Family::Ipv6, RouteNetlinkMessage::NewRoute(blackhole));
        assert_eq!((routes[0].unicast, routes[0].oif), (false, None));
    }
}
