//! A link as the kernel lists it, before it is known what it leads to.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums grow with the kernel; what is not asked for is skipped"
)]
use super::connection::{Connection, NetlinkError};
use super::tunnel::TunnelDevice;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, InfoData, InfoKind, InfoVrf, LinkAttribute, LinkExtentMask, LinkFlags,
    LinkInfo, LinkLayerType, LinkMessage,
};
use probe_core::model::interface::DeviceCounters;

/// One `RTM_NEWLINK`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Index in its namespace.
    pub ifindex: u32,
    /// Name.
    pub name: String,
    /// `IFLA_INFO_KIND`; empty for a physical device.
    pub kind: String,
    /// MTU in bytes.
    pub mtu: u32,
    /// MTU in bytes for IPv6.
    pub ipv6_mtu: Option<u32>,
    /// Smallest MTU in bytes that the driver takes.
    pub min_mtu: Option<u32>,
    /// Largest MTU in bytes that the driver takes.
    pub max_mtu: Option<u32>,
    /// Administratively up.
    pub up: bool,
    /// The loopback device.
    pub loopback: bool,
    /// Frames have an Ethernet header.
    pub ethernet: bool,
    /// Index of bridge, bond or VRF.
    pub master: Option<u32>,
    /// `IFLA_INFO_SLAVE_KIND`.
    pub master_kind: Option<String>,
    /// `IFLA_LINK`: the other end or the device below.
    pub link: Option<u32>,
    /// `IFLA_LINK_NETNSID`: the namespace that `link` counts in; `None` is the device's own.
    pub link_nsid: Option<i32>,
    /// Routing table of a VRF.
    pub table: Option<u32>,
    /// What it does if it is a tunnel.
    pub tunnel: Option<TunnelDevice>,
    /// Its counters.
    pub counters: DeviceCounters,
}

/// The links of the socket's own namespace, or (without counters) of the one with an id (`CAP_NET_ADMIN`).
pub fn devices(connection: &mut Connection, nsid: Option<i32>) -> Result<Vec<Device>, NetlinkError> {
    let mut request = LinkMessage::default();
    if let Some(nsid) = nsid {
        request.attributes.push(LinkAttribute::IfNetnsId(nsid));
        request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    }
    let object = format!("links{}", super::in_namespace(nsid));
    let answer = connection.dump(&object, RouteNetlinkMessage::GetLink(request))?;
    Ok(answer.into_iter().filter_map(Device::read).collect())
}

impl Device {
    /// A link message's content; `None` when it has no name, which the kernel never leaves out.
    fn read(message: RouteNetlinkMessage) -> Option<Self> {
        let RouteNetlinkMessage::NewLink(message) = message else { return None };
        let ethernet = message.header.link_layer_type == LinkLayerType::Ether;
        let mut device = Self {
            ifindex: message.header.index,
            name: String::new(),
            kind: String::new(),
            mtu: 0,
            ipv6_mtu: None,
            min_mtu: None,
            max_mtu: None,
            up: message.header.flags.contains(LinkFlags::Up),
            loopback: message.header.flags.contains(LinkFlags::Loopback),
            ethernet,
            master: None,
            master_kind: None,
            link: None,
            link_nsid: None,
            table: None,
            tunnel: None,
            counters: DeviceCounters::default(),
        };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => device.name = name,
                LinkAttribute::Mtu(mtu) => device.mtu = mtu,
                LinkAttribute::MinMtu(mtu) => device.min_mtu = Some(mtu),
                // Zero says that nothing bounds it (`struct net_device`).
                LinkAttribute::MaxMtu(mtu) => device.max_mtu = Some(mtu).filter(|&mtu| mtu != 0),
                LinkAttribute::AfSpecUnspec(families) => device.ipv6_mtu = ipv6_mtu(&families),
                LinkAttribute::Controller(ifindex) => {
                    device.master = Some(ifindex).filter(|&index| index != 0)
                }
                LinkAttribute::Link(ifindex) => device.link = Some(ifindex).filter(|&index| index != 0),
                LinkAttribute::LinkNetNsId(nsid) => device.link_nsid = Some(nsid),
                LinkAttribute::LinkInfo(info) => device.read_info(&info),
                LinkAttribute::Stats64(stats) => {
                    device.counters = DeviceCounters {
                        rx_packets: stats.rx_packets,
                        tx_packets: stats.tx_packets,
                        rx_dropped: stats.rx_dropped,
                        tx_dropped: stats.tx_dropped,
                        rx_errors: stats.rx_errors,
                        rx_length_errors: stats.rx_length_errors,
                        rx_over_errors: stats.rx_over_errors,
                        tx_errors: stats.tx_errors,
                    }
                }
                _ => {}
            }
        }
        (!device.name.is_empty()).then_some(device)
    }

    fn read_info(&mut self, info: &[LinkInfo]) {
        let mut kind: Option<&InfoKind> = None;
        let mut data: Option<&InfoData> = None;
        for entry in info {
            match entry {
                LinkInfo::Kind(found) => kind = Some(found),
                LinkInfo::Data(found) => data = Some(found),
                LinkInfo::PortKind(found) => self.master_kind = Some(found.to_string()),
                _ => {}
            }
        }
        if let Some(kind) = kind {
            self.kind = kind.to_string();
            if let Some(InfoData::Vrf(info)) = data {
                self.table = info.iter().find_map(|entry| match entry {
                    InfoVrf::TableId(table) => Some(*table),
                    _ => None,
                });
            }
            self.tunnel = TunnelDevice::read(kind, data, self.ethernet);
        }
    }

    /// Has another end: what it sends comes out of that.
    pub fn is_pair(&self) -> bool {
        matches!(self.kind.as_str(), "veth" | "netkit")
    }

    /// Sends by the device that `link` names.
    pub fn is_stacked(&self) -> bool {
        matches!(self.kind.as_str(), "vlan" | "macvlan" | "macvtap" | "ipvlan" | "ipvtap" | "macsec" | "dsa")
    }
}

/// `DEVCONF_MTU6`; a device without IPv6 has none.
fn ipv6_mtu(families: &[AfSpecUnspec]) -> Option<u32> {
    let ipv6 = families.iter().find_map(|family| match family {
        AfSpecUnspec::Inet6(ipv6) => Some(ipv6),
        _ => None,
    })?;
    ipv6.iter().find_map(|attribute| match attribute {
        AfSpecInet6::DevConf(settings) => u32::try_from(settings.mtu6).ok().filter(|&mtu| mtu != 0),
        _ => None,
    })
}
