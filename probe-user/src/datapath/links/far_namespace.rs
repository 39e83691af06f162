//! What can be seen of a namespace that a veth leads to, without entering it (`CAP_NET_ADMIN`), or by entering it.
use super::address::{InterfaceAddress, addresses};
use super::connection::{Connection, NetlinkError};
use super::device::{Device, devices};
use super::namespace_id::{NamespaceHandle, namespace_id};
use super::route::routes;
use probe_core::model::flow::Family;
use probe_core::model::interface::DeviceCounters;
use probe_core::model::roles::WayBack;
use std::fs::File;
use std::os::fd::AsFd as _;

/// Where a device of another namespace leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leads {
    /// To the device with this index in our namespace.
    Here(u32),
    /// Nowhere out of its namespace.
    Inside,
    /// To hardware or to a third namespace.
    Elsewhere,
}

/// A device of another namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FarDevice {
    /// Index there.
    pub ifindex: u32,
    /// Name there.
    pub name: String,
    /// MTU in bytes.
    pub mtu: u32,
    /// Administratively up.
    pub up: bool,
    /// `IFLA_INFO_KIND`.
    pub kind: String,
    /// Where it leads.
    pub leads: Leads,
    /// Its own counters: what is handed to it past its other end is counted here only.
    pub counters: DeviceCounters,
}

/// Another namespace at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FarNamespace {
    /// Its devices.
    pub devices: Vec<FarDevice>,
    /// Its addresses.
    pub addresses: Vec<InterfaceAddress>,
    /// Devices of its default routes; `None` where its routes cannot be read.
    pub default_routes: Option<Vec<u32>>,
}

impl FarNamespace {
    /// Reads the namespace with an id from ours. Its routes stay unknown: `RTM_GETROUTE` has no target namespace.
    pub fn read(connection: &mut Connection, nsid: i32, own_nsid: Option<i32>) -> Result<Self, NetlinkError> {
        let devices = devices(connection, Some(nsid))?;
        Self::read_tables(connection, devices, Some(nsid), own_nsid)
    }

    /// Reads the namespace that the calling thread has entered; `own` is a file of ours.
    pub fn read_entered(own: &File) -> Result<Self, NetlinkError> {
        let mut connection = Connection::open()?;
        let found = devices(&mut connection, None)?;
        // That listing gave us an id there, if any device leads to us (`rtnl_fill_link_netnsid`).
        let own_nsid = namespace_id(&mut connection, NamespaceHandle::File(own.as_fd()))?;
        let mut namespace = Self::read_tables(&mut connection, found, None, own_nsid)?;
        namespace.default_routes = Some(read_default_routes(&mut connection)?);
        Ok(namespace)
    }

    fn read_tables(
        connection: &mut Connection,
        devices: Vec<Device>,
        target: Option<i32>,
        own_nsid: Option<i32>,
    ) -> Result<Self, NetlinkError> {
        let mut found = Vec::new();
        for family in [Family::Ipv4, Family::Ipv6] {
            found.extend(addresses(connection, family, target)?);
        }
        let devices = devices.into_iter().map(|device| far_device(device, own_nsid)).collect();
        Ok(Self { devices, addresses: found, default_routes: None })
    }

    /// A device by its index there.
    pub fn device(&self, ifindex: u32) -> Option<&FarDevice> {
        self.devices.iter().find(|device| device.ifindex == ifindex)
    }

    /// How its processes reach the rest of the world.
    pub fn way_back(&self) -> WayBack {
        let leads = |ifindex: u32| self.device(ifindex).map(|device| device.leads);
        let mut elsewhere = false;
        for &ifindex in self.default_routes.iter().flatten() {
            match leads(ifindex) {
                Some(Leads::Here(_)) => return WayBack::DefaultRoute,
                Some(Leads::Elsewhere) => elsewhere = true,
                // A tunnel of the pod's own goes over one of its other devices.
                Some(Leads::Inside) | None => {}
            }
        }
        let working = || self.devices.iter().filter(|device| device.up);
        if elsewhere {
            WayBack::Elsewhere
        } else if working().any(|device| device.leads == Leads::Elsewhere) {
            WayBack::Unknown
        } else if working().any(|device| matches!(device.leads, Leads::Here(_))) {
            WayBack::OnlyWay
        } else {
            WayBack::Unknown
        }
    }
}

/// Devices of the default routes of the calling thread's namespace.
pub fn read_default_routes(connection: &mut Connection) -> Result<Vec<u32>, NetlinkError> {
    let mut found = Vec::new();
    for family in [Family::Ipv4, Family::Ipv6] {
        let routes = routes(connection, family)?;
        let defaults = routes.into_iter().filter(|route| route.unicast && route.destination.is_none());
        found.extend(defaults.filter_map(|route| route.oif));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn far_device(device: Device, own_nsid: Option<i32>) -> FarDevice {
    let leads = match (device.link, device.link_nsid) {
        // A reply about another namespace numbers in ours (`rtnl_fill_link_netnsid`).
        (Some(ifindex), Some(nsid)) if Some(nsid) == own_nsid => Leads::Here(ifindex),
        (_, Some(_)) => Leads::Elsewhere,
        (_, None) if device.kind.is_empty() && !device.loopback => Leads::Elsewhere,
        (_, None) => Leads::Inside,
    };
    FarDevice {
        ifindex: device.ifindex,
        name: device.name,
        mtu: device.mtu,
        up: device.up,
        kind: device.kind,
        leads,
        counters: device.counters,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(ifindex: u32, leads: Leads) -> FarDevice {
        FarDevice {
            ifindex,
            name: format!("d{ifindex}"),
            mtu: 1500,
            up: true,
            kind: "veth".to_owned(),
            leads,
            counters: DeviceCounters::default(),
        }
    }

    fn namespace(devices: Vec<FarDevice>, default_routes: Option<Vec<u32>>) -> FarNamespace {
        FarNamespace { devices, addresses: Vec::new(), default_routes }
    }

    #[test]
    fn a_namespace_with_one_way_out_needs_no_route_to_prove_it() {
        let devices = vec![device(1, Leads::Inside), device(2, Leads::Here(7))];
        assert_eq!(namespace(devices, None).way_back(), WayBack::OnlyWay);
    }

    #[test]
    fn a_namespace_with_several_ways_is_judged_by_its_default_route() {
        let devices = vec![device(2, Leads::Here(7)), device(3, Leads::Elsewhere)];
        for (defaults, expected) in [
            (None, WayBack::Unknown),
            (Some(vec![]), WayBack::Unknown),
            (Some(vec![2]), WayBack::DefaultRoute),
            (Some(vec![3]), WayBack::Elsewhere),
            (Some(vec![2, 3]), WayBack::DefaultRoute),
        ] {
            assert_eq!(namespace(devices.clone(), defaults).way_back(), expected);
        }
    }

    #[test]
    fn a_device_that_is_down_leads_nowhere() {
        let down = FarDevice { up: false, ..device(3, Leads::Elsewhere) };
        assert_eq!(namespace(vec![device(2, Leads::Here(7)), down], None).way_back(), WayBack::OnlyWay);
    }

    #[test]
    fn a_default_route_by_a_tunnel_inside_decides_nothing() {
        let devices = vec![device(2, Leads::Here(7)), device(9, Leads::Inside)];
        assert_eq!(namespace(devices, Some(vec![9])).way_back(), WayBack::OnlyWay);
    }
}
