//! Path MTUs that the calling thread's network namespace has learned.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums grow with the kernel; what is not asked for is skipped"
)]
use super::connection::{Connection, NetlinkError};
use super::device::devices;
use super::family_number;
use super::route::{MTU_LOCK, ip};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{RouteAttribute, RouteFlags, RouteMessage, RouteMetric};
use probe_core::model::flow::Family;
use probe_core::model::pmtu_exception::PmtuException;

/// The kernel tells times in hundredths of a second (`USER_HZ`).
const TICKS_A_SECOND: u32 = 100;

/// The path MTUs that the calling thread's namespace has learned; `netns` is its inode.
pub fn pmtu_exceptions(connection: &mut Connection, netns: u32) -> Result<Vec<PmtuException>, NetlinkError> {
    let mut found: Vec<PmtuException> = Vec::new();
    for family in [Family::Ipv4, Family::Ipv6] {
        let mut request = RouteMessage::default();
        request.header.address_family = family_number(family);
        // Exceptions instead of routes (`ip_valid_fib_dump_req`).
        request.header.flags = RouteFlags::Cloned;
        let object = format!("{} PMTU exceptions", family.name());
        for message in connection.dump(&object, RouteNetlinkMessage::GetRoute(request))? {
            // Each table that leads to the next hop shows it once.
            found.extend(read(netns, message).filter(|exception| !found.contains(exception)));
        }
    }
    if !found.is_empty() {
        let devices = devices(connection, None)?;
        for exception in &mut found {
            let device = devices.iter().find(|device| Some(device.ifindex) == exception.ifindex);
            exception.interface = device.map(|device| device.name.clone());
        }
    }
    Ok(found)
}

fn read(netns: u32, message: RouteNetlinkMessage) -> Option<PmtuException> {
    let RouteNetlinkMessage::NewRoute(message) = message else { return None };
    let (mut destination, mut mtu, mut locked) = (None, None, false);
    let (mut expires, mut references, mut ifindex, mut gateway) = (0, 0, None, None);
    for attribute in message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => destination = ip(&address),
            RouteAttribute::Oif(index) => ifindex = Some(index).filter(|&index| index != 0),
            RouteAttribute::Gateway(address) => gateway = ip(&address),
            RouteAttribute::CacheInfo(info) => (expires, references) = (info.expires, info.clntref),
            RouteAttribute::Metrics(metrics) => {
                for metric in metrics {
                    match metric {
                        RouteMetric::Mtu(value) => mtu = Some(value),
                        RouteMetric::Lock(mask) => locked = mask & MTU_LOCK != 0,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    // One that does not expire is of another kind: a redirect, whose MTU is that of its route. The number is signed; one
    // that is over already may be negative.
    let expires = expires.min(i32::MAX.cast_unsigned()) / TICKS_A_SECOND;
    if expires == 0 {
        return None;
    }
    Some(PmtuException {
        netns,
        destination: destination?,
        mtu: mtu?,
        locked,
        expires,
        // The table has one itself.
        users: references.saturating_sub(1),
        ifindex,
        interface: None,
        gateway,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_route::route::{RouteAddress, RouteCacheInfo};

    fn message(metrics: Vec<RouteMetric>, expires: i32) -> RouteNetlinkMessage {
        let bytes: Vec<u8> = [4, 0, expires, 0, 0, 0, 0, 0].into_iter().flat_map(i32::to_ne_bytes).collect();
        let mut message = RouteMessage::default();
        message.attributes = vec![
            RouteAttribute::Destination(RouteAddress::Inet([10, 0, 0, 9].into())),
            RouteAttribute::Oif(3),
            RouteAttribute::Metrics(metrics),
            RouteAttribute::CacheInfo(RouteCacheInfo::parse(&bytes).expect("a whole one")),
        ];
        RouteNetlinkMessage::NewRoute(message)
    }

    #[test]
    fn a_learned_path_mtu_has_a_size_and_an_end() {
        let metrics = vec![RouteMetric::Lock(MTU_LOCK), RouteMetric::Mtu(552)];
        let exception = read(7, message(metrics, 59_950)).expect("an exception");
        assert_eq!((exception.netns, exception.mtu, exception.locked), (7, 552, true));
        assert_eq!((exception.expires, exception.users, exception.ifindex), (599, 3, Some(3)));
        assert_eq!(exception.destination, std::net::IpAddr::from([10, 0, 0, 9]));
    }

    #[test]
    fn redirects_are_none() {
        assert_eq!(read(7, message(vec![RouteMetric::Mtu(1400)], 0)), None);
        assert_eq!(read(7, message(vec![], 59_950)), None);
    }
}
