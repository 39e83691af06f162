//! Interfaces of the observed network namespace.
use std::net::IpAddr;

/// The part an interface plays on this node, from topology (contract, section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The host side of a pod's veth (also as a bridge port).
    Pod,
    /// A tunnel device.
    Overlay,
    /// A bridge device.
    Bridge,
    /// A bridge port that is no pod's.
    Port,
    /// The device of a default or gateway route in any table and family, and the underlay of any tunnel.
    Uplink,
    /// Everything else.
    Link,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 6] = [Self::Pod, Self::Overlay, Self::Bridge, Self::Port, Self::Uplink, Self::Link];

    /// Name in JSON, labels and text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Overlay => "overlay",
            Self::Bridge => "bridge",
            Self::Port => "port",
            Self::Uplink => "uplink",
            Self::Link => "link",
        }
    }
}

/// An interface of the observed namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Index in this namespace.
    pub ifindex: u32,
    /// Name.
    pub name: String,
    /// `IFLA_INFO_KIND`: `veth`, `bridge`, `vxlan` …; empty for a physical device.
    pub kind: String,
    /// MTU in bytes.
    pub mtu: u32,
    /// MTU in bytes for IPv6 (`net.ipv6.conf.*.mtu`), which follows the device's unless somebody set it; `None` where IPv6
    /// is off.
    pub ipv6_mtu: Option<u32>,
    /// Smallest MTU in bytes that the driver takes (`IFLA_MIN_MTU`).
    pub min_mtu: Option<u32>,
    /// Largest MTU in bytes that the driver takes (`IFLA_MAX_MTU`); `None` where nothing bounds it.
    pub max_mtu: Option<u32>,
    /// Administratively up.
    pub up: bool,
    /// Frames have an Ethernet header (`ARPHRD_ETHER`).
    pub ethernet: bool,
    /// Its part on this node.
    pub role: Role,
    /// Index of the bridge, bond or VRF that it belongs to.
    pub master: Option<u32>,
    /// Kind of that master.
    pub master_kind: Option<String>,
    /// Index of the device it sits on (VLAN, macvlan, ipvlan), in this namespace.
    pub lower: Option<u32>,
    /// The other end of a veth.
    pub peer: Option<Peer>,
    /// Routing table of a VRF (`IFLA_VRF_TABLE`).
    pub table: Option<u32>,
    /// What a tunnel device does.
    pub tunnel: Option<Tunnel>,
    /// Addresses with prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// The device's own counters.
    pub counters: DeviceCounters,
}

impl Interface {
    /// An Ethernet device that is up and of which nothing else is known.
    pub fn plain(ifindex: u32, name: &str, kind: &str, mtu: u32, role: Role) -> Self {
        Self {
            ifindex,
            name: name.to_owned(),
            kind: kind.to_owned(),
            mtu,
            ipv6_mtu: None,
            min_mtu: None,
            max_mtu: None,
            up: true,
            ethernet: true,
            role,
            master: None,
            master_kind: None,
            lower: None,
            peer: None,
            table: None,
            tunnel: None,
            addresses: Vec::new(),
            counters: DeviceCounters::default(),
        }
    }
}

/// The other end of a veth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Index in its own namespace.
    pub ifindex: u32,
    /// Namespace id as seen from ours; `None` when the other end is in our own namespace.
    pub nsid: Option<i32>,
    /// Name, where it could be read.
    pub name: Option<String>,
    /// MTU in bytes, where it could be read.
    pub mtu: Option<u32>,
    /// Addresses, where they could be read.
    pub addresses: Vec<IpAddr>,
    /// The far end's own counters, where they could be read.
    pub counters: Option<DeviceCounters>,
}

/// Whether a tunnel sets DF on its outer IPv4 packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OuterDf {
    /// Never: outer packets that are too big are fragmented.
    Unset,
    /// Always: they are dropped.
    Set,
    /// As the inner packet.
    Inherit,
}

/// What a tunnel device adds and where it leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Bytes added to an inner IP packet; `None` where it is not known (tun).
    pub overhead: Option<u32>,
    /// Device that the outer packets leave by.
    pub underlay: Option<u32>,
    /// The outer packets' DF.
    pub df: OuterDf,
    /// UDP destination port of the outer packets.
    pub port: Option<u16>,
    /// Bytes that inner packets are filled up to a multiple of before they are wrapped (wireguard).
    pub padding: Option<u32>,
    /// Address that the outer packets come from.
    pub local: Option<IpAddr>,
    /// Each packet brings its own remote endpoint, from a program, Open vSwitch or a lightweight tunnel route
    /// (`collect_md`): the device's MTU says nothing then.
    pub metadata: bool,
    /// Remote tunnel endpoints that are configured (device, forwarding entries).
    pub remotes: Vec<IpAddr>,
}

/// Counters that the device keeps itself (`rtnl_link_stats64`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceCounters {
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Received and dropped.
    pub rx_dropped: u64,
    /// Dropped instead of sent.
    pub tx_dropped: u64,
    /// Received with errors.
    pub rx_errors: u64,
    /// Received longer than the device takes (`rx_length_errors`).
    pub rx_length_errors: u64,
    /// Receiver overruns (`rx_over_errors`).
    pub rx_over_errors: u64,
    /// Not sent for errors.
    pub tx_errors: u64,
}
