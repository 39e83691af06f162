//! What a tunnel device adds to a packet and where it leaves, from its `IFLA_INFO_DATA`.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums grow with the kernel; what is not asked for is skipped"
)]
use super::vswitch::SwitchedTunnel;
use netlink_packet_core::{DefaultNla, Nla as _};
use netlink_packet_route::link::{
    GeneveDf, GreEncapType, GreIOFlags, InfoData, InfoGeneve, InfoGre, InfoGre6, InfoIpTunnel, InfoKind,
    InfoVti, InfoVxlan, Ip6TunnelFlags, TunnelEncapType, VxlanDf,
};
use probe_core::model::flow::Family;
use probe_core::model::interface::{OuterDf, Tunnel};
use probe_core::model::overhead as header;
use std::net::IpAddr;

/// Attribute of `IFLA_INFO_DATA` that the decoder leaves raw (`include/uapi/linux/if_tunnel.h`).
const IFLA_GRE_FLAGS: u16 = 13;
/// `IP6_TNL_F_IGN_ENCAP_LIMIT` (`include/uapi/linux/ip6_tunnel.h`).
const IGNORE_ENCAPSULATION_LIMIT: u32 = 1;

/// A tunnel device before its underlay is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelDevice {
    /// Bytes between the outer IP header and the inner one; `None` where a packet's own decides (encryption) or a
    /// process (tun).
    pub above_ip: Option<u32>,
    /// Family of the outer packets where the kind fixes it.
    pub outer: Option<Family>,
    /// Device that it is bound to (`IFLA_VXLAN_LINK` and the like).
    pub lower: Option<u32>,
    /// Address that the outer packets come from.
    pub local: Option<IpAddr>,
    /// Remote endpoints, without wildcards.
    pub remotes: Vec<IpAddr>,
    /// DF of outer IPv4 packets.
    pub df: OuterDf,
    /// UDP destination port.
    pub port: Option<u16>,
    /// Each packet brings its own remote endpoint.
    pub metadata: bool,
    /// Bytes that inner packets are filled up to a multiple of.
    pub padding: Option<u32>,
}

impl TunnelDevice {
    fn new(above_ip: Option<u32>, outer: Option<Family>, df: OuterDf) -> Self {
        Self {
            above_ip,
            outer,
            lower: None,
            local: None,
            remotes: Vec::new(),
            df,
            port: None,
            metadata: false,
            padding: None,
        }
    }

    /// Takes a device of a tunnel kind for what it is; `None` for any other. `ethernet` tells a tap from a tun.
    pub fn read(kind: &InfoKind, data: Option<&InfoData>, ethernet: bool) -> Option<Self> {
        let mut tunnel = match (kind, data) {
            (InfoKind::Vxlan, Some(InfoData::Vxlan(info))) => vxlan(info),
            (InfoKind::Geneve, Some(InfoData::Geneve(info))) => geneve(info),
            (
                InfoKind::GreTun | InfoKind::GreTap | InfoKind::ErSpan,
                Some(InfoData::GreTun(info) | InfoData::GreTap(info) | InfoData::ErSpan(info)),
            ) => gre(kind, info),
            (
                InfoKind::GreTun6 | InfoKind::GreTap6 | InfoKind::Ip6ErSpan,
                Some(InfoData::GreTun6(info) | InfoData::GreTap6(info) | InfoData::Ip6ErSpan(info)),
            ) => gre6(kind, info),
            (InfoKind::IpIp | InfoKind::SitTun, Some(InfoData::IpTunnel(info))) => {
                ip_tunnel(Family::Ipv4, info)
            }
            (InfoKind::Ip6Tnl, Some(InfoData::IpTunnel(info))) => ip_tunnel(Family::Ipv6, info),
            (InfoKind::Vti | InfoKind::Vti6, Some(InfoData::Vti(info))) => vti(info),
            (InfoKind::Wireguard, _) => {
                // `send4` in drivers/net/wireguard/socket.c sends with DF 0.
                let tunnel = Self::new(Some(header::UDP + header::WIREGUARD), None, OuterDf::Unset);
                Self { padding: Some(header::WIREGUARD_PADDING), ..tunnel }
            }
            (InfoKind::Xfrm, _) => Self::new(None, None, OuterDf::Unset),
            (InfoKind::BareUdp, _) => Self::new(Some(header::UDP), None, OuterDf::Set),
            (InfoKind::Tun, _) if !ethernet => Self::new(None, None, OuterDf::Unset),
            _ => return None,
        };
        let specified = |address: &IpAddr| !address.is_unspecified();
        tunnel.local = tunnel.local.filter(specified);
        tunnel.remotes.retain(specified);
        tunnel.lower = tunnel.lower.filter(|&ifindex| ifindex != 0);
        tunnel.port = tunnel.port.filter(|&port| port != 0);
        Some(tunnel)
    }

    /// Completes it by what the flows of a vswitch ask of it.
    pub fn take_flows(&mut self, asked: &SwitchedTunnel) {
        self.remotes.extend(asked.remotes.iter().copied());
        self.above_ip = self.above_ip.map(|above| above + asked.options);
        if asked.df {
            self.df = OuterDf::Set;
        }
    }

    /// Family of the outer packets, from the kind or the addresses.
    pub fn family(&self) -> Option<Family> {
        let addresses = || self.remotes.first().or(self.local.as_ref()).copied().map(Family::of);
        self.outer.or_else(addresses)
    }

    /// The tunnel over an underlay whose outer packets are of `family`.
    pub fn over(self, family: Family, underlay: Option<u32>) -> Tunnel {
        let df = match family {
            Family::Ipv4 => self.df,
            // An IPv6 tunnel never fragments what it forwards (`ip6_fragment` without `ignore_df`; `ip6_tnl_xmit`), except
            // WireGuard: its socket lets its own packets be cut (`send6`).
            Family::Ipv6 if self.padding.is_some() => self.df,
            Family::Ipv6 => OuterDf::Set,
        };
        Tunnel {
            overhead: self.above_ip.map(|above| above + header::ip(family)),
            underlay,
            df,
            port: self.port,
            padding: self.padding,
            local: self.local,
            metadata: self.metadata,
            remotes: self.remotes,
        }
    }
}

fn vxlan(info: &[InfoVxlan]) -> TunnelDevice {
    // The generic protocol extension carries IP without Ethernet (`vxlan_headroom`).
    let inner = if info.contains(&InfoVxlan::Gpe) { 0 } else { header::ETHERNET };
    let mut tunnel = TunnelDevice::new(Some(header::UDP + header::VXLAN + inner), None, OuterDf::Unset);
    for attribute in info {
        match attribute {
            InfoVxlan::Link(ifindex) => tunnel.lower = Some(*ifindex),
            InfoVxlan::Local(address) => tunnel.local = Some((*address).into()),
            InfoVxlan::Local6(address) => tunnel.local = Some((*address).into()),
            InfoVxlan::Group(address) => tunnel.remotes.push((*address).into()),
            InfoVxlan::Group6(address) => tunnel.remotes.push((*address).into()),
            InfoVxlan::CollectMetadata(on) => tunnel.metadata = *on,
            InfoVxlan::Port(port) => tunnel.port = Some(*port),
            InfoVxlan::Df(VxlanDf::Set) => tunnel.df = OuterDf::Set,
            InfoVxlan::Df(VxlanDf::Inherit) => tunnel.df = OuterDf::Inherit,
            _ => {}
        }
    }
    tunnel
}

fn geneve(info: &[InfoGeneve]) -> TunnelDevice {
    let inner = if info.contains(&InfoGeneve::InnerProtoInherit) { 0 } else { header::ETHERNET };
    let mut tunnel = TunnelDevice::new(Some(header::UDP + header::GENEVE + inner), None, OuterDf::Unset);
    for attribute in info {
        match attribute {
            InfoGeneve::Local(address) => tunnel.local = Some((*address).into()),
            InfoGeneve::Local6(address) => tunnel.local = Some((*address).into()),
            InfoGeneve::Remote(address) => tunnel.remotes.push((*address).into()),
            InfoGeneve::Remote6(address) => tunnel.remotes.push((*address).into()),
            InfoGeneve::CollectMetadata => tunnel.metadata = true,
            InfoGeneve::Port(port) => tunnel.port = Some(*port),
            InfoGeneve::Df(GeneveDf::Set) => tunnel.df = OuterDf::Set,
            InfoGeneve::Df(GeneveDf::Inherit) => tunnel.df = OuterDf::Inherit,
            _ => {}
        }
    }
    tunnel
}

/// GRE's own header with the optional fields that are switched on for sending.
fn gre_header(flags: GreIOFlags) -> u32 {
    let optional = [GreIOFlags::Checksum, GreIOFlags::Key, GreIOFlags::Seq];
    let fields: u32 = optional.into_iter().map(|field| u32::from(flags.contains(field))).sum();
    header::GRE + fields * header::GRE_FIELD
}

/// What the kinds of GRE carry between GRE and the inner IP header.
fn gre_inner(kind: &InfoKind, erspan_version: u8) -> u32 {
    match kind {
        InfoKind::GreTap | InfoKind::GreTap6 => header::ETHERNET,
        InfoKind::ErSpan | InfoKind::Ip6ErSpan => match erspan_version {
            // Version 0 has no sequence number and no header of its own.
            0 => header::ETHERNET,
            1 => header::ETHERNET + header::GRE_FIELD + header::ERSPAN_V1,
            _ => header::ETHERNET + header::GRE_FIELD + header::ERSPAN_V2,
        },
        _ => 0,
    }
}

fn udp_encapsulation(encapsulation: &GreEncapType) -> u32 {
    match encapsulation {
        GreEncapType::Fou => header::UDP,
        GreEncapType::Gue => header::UDP + header::GUE,
        _ => 0,
    }
}

/// With path MTU discovery the outer packet always has DF, without it the inner packet's (`ip_tunnel_xmit`).
fn df_of_pmtu_discovery(on: bool) -> OuterDf {
    if on { OuterDf::Set } else { OuterDf::Inherit }
}

fn gre(kind: &InfoKind, info: &[InfoGre]) -> TunnelDevice {
    let mut tunnel = TunnelDevice::new(None, Some(Family::Ipv4), OuterDf::Set);
    let (mut flags, mut version, mut encapsulation) = (GreIOFlags::empty(), 1, 0);
    for attribute in info {
        match attribute {
            InfoGre::Link(ifindex) => tunnel.lower = Some(*ifindex),
            InfoGre::Local(address) => tunnel.local = Some((*address).into()),
            InfoGre::Remote(address) => tunnel.remotes.push((*address).into()),
            InfoGre::OFlags(on) => flags = *on,
            InfoGre::PathMTUDiscovery(on) => tunnel.df = df_of_pmtu_discovery(*on),
            InfoGre::ErSpanVer(number) => version = *number,
            InfoGre::EncapType(kind) => encapsulation = udp_encapsulation(kind),
            _ => {}
        }
    }
    tunnel.above_ip = Some(encapsulation + gre_length(kind, flags, version));
    tunnel
}

fn gre6(kind: &InfoKind, info: &[InfoGre6]) -> TunnelDevice {
    let mut tunnel = TunnelDevice::new(None, Some(Family::Ipv6), OuterDf::Set);
    let (mut flags, mut version, mut encapsulation) = (GreIOFlags::empty(), 1, 0);
    let (mut limit, mut no_limit) = (false, false);
    for attribute in info {
        match attribute {
            InfoGre6::Link(ifindex) => tunnel.lower = Some(*ifindex),
            InfoGre6::Local(address) => tunnel.local = Some((*address).into()),
            InfoGre6::Remote(address) => tunnel.remotes.push((*address).into()),
            InfoGre6::OFlags(on) => flags = *on,
            InfoGre6::ErSpanVer(number) => version = *number,
            InfoGre6::EncapType(kind) => encapsulation = udp_encapsulation(kind),
            InfoGre6::EncapLimit(_) => limit = true,
            InfoGre6::Other(nla) if nla.kind() == IFLA_GRE_FLAGS => {
                no_limit = ignores_encapsulation_limit(nla)
            }
            _ => {}
        }
    }
    let limit = if limit && !no_limit { header::ENCAPSULATION_LIMIT } else { 0 };
    tunnel.above_ip = Some(encapsulation + limit + gre_length(kind, flags, version));
    tunnel
}

/// `IFLA_GRE_FLAGS` of an IPv6 tunnel: `IP6_TNL_F_IGN_ENCAP_LIMIT` is set.
fn ignores_encapsulation_limit(nla: &DefaultNla) -> bool {
    let mut value = vec![0; nla.value_len()];
    nla.emit_value(&mut value);
    value.try_into().is_ok_and(|bytes| u32::from_ne_bytes(bytes) & IGNORE_ENCAPSULATION_LIMIT != 0)
}

fn gre_length(kind: &InfoKind, flags: GreIOFlags, erspan_version: u8) -> u32 {
    let own = match kind {
        // ERSPAN's GRE header does not follow the flags: its sequence number is counted with the version.
        InfoKind::ErSpan | InfoKind::Ip6ErSpan => header::GRE,
        _ => gre_header(flags),
    };
    own + gre_inner(kind, erspan_version)
}

fn ip_tunnel(outer: Family, info: &[InfoIpTunnel]) -> TunnelDevice {
    let mut tunnel = TunnelDevice::new(None, Some(outer), OuterDf::Set);
    let (mut encapsulation, mut limit) = (0, outer == Family::Ipv6);
    for attribute in info {
        match attribute {
            InfoIpTunnel::Link(ifindex) => tunnel.lower = Some(*ifindex),
            InfoIpTunnel::Local(address) => tunnel.local = Some(*address),
            InfoIpTunnel::Remote(address) => tunnel.remotes.push(*address),
            InfoIpTunnel::PMtuDisc(on) => tunnel.df = df_of_pmtu_discovery(*on),
            InfoIpTunnel::CollectMetadata => tunnel.metadata = true,
            InfoIpTunnel::EncapType(TunnelEncapType::Fou) => encapsulation = header::UDP,
            InfoIpTunnel::EncapType(TunnelEncapType::Gue) => encapsulation = header::UDP + header::GUE,
            InfoIpTunnel::Ipv6Flags(flags) => limit &= !flags.contains(Ip6TunnelFlags::IgnEncapLimit),
            _ => {}
        }
    }
    tunnel.above_ip = Some(encapsulation + if limit { header::ENCAPSULATION_LIMIT } else { 0 });
    tunnel
}

fn vti(info: &[InfoVti]) -> TunnelDevice {
    // The security association decides what is added.
    let mut tunnel = TunnelDevice::new(None, None, OuterDf::Set);
    for attribute in info {
        match attribute {
            InfoVti::Link(ifindex) => tunnel.lower = Some(*ifindex),
            InfoVti::Local(address) => tunnel.local = Some(*address),
            InfoVti::Remote(address) => tunnel.remotes.push(*address),
            _ => {}
        }
    }
    tunnel
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn overhead(kind: InfoKind, data: InfoData, family: Family) -> Option<u32> {
        let device = TunnelDevice::read(&kind, Some(&data), false).unwrap();
        device.over(family, None).overhead
    }

    #[test]
    fn overheads_are_the_sums_of_the_headers() {
        let key = GreIOFlags::Key;
        let all = GreIOFlags::Key | GreIOFlags::Checksum | GreIOFlags::Seq;
        let cases = [
            (InfoKind::Vxlan, InfoData::Vxlan(vec![]), Family::Ipv4, 50),
            (InfoKind::Vxlan, InfoData::Vxlan(vec![]), Family::Ipv6, 70),
            (InfoKind::Vxlan, InfoData::Vxlan(vec![InfoVxlan::Gpe]), Family::Ipv4, 36),
            (InfoKind::Geneve, InfoData::Geneve(vec![]), Family::Ipv4, 50),
            (InfoKind::Geneve, InfoData::Geneve(vec![]), Family::Ipv6, 70),
            (InfoKind::GreTun, InfoData::GreTun(vec![]), Family::Ipv4, 24),
            (InfoKind::GreTun, InfoData::GreTun(vec![InfoGre::OFlags(key)]), Family::Ipv4, 28),
            (InfoKind::GreTun, InfoData::GreTun(vec![InfoGre::OFlags(all)]), Family::Ipv4, 36),
            (InfoKind::GreTap, InfoData::GreTap(vec![]), Family::Ipv4, 38),
            (
                InfoKind::GreTap,
                InfoData::GreTap(vec![InfoGre::EncapType(GreEncapType::Gue)]),
                Family::Ipv4,
                50,
            ),
            (InfoKind::ErSpan, InfoData::ErSpan(vec![InfoGre::ErSpanVer(1)]), Family::Ipv4, 50),
            (InfoKind::GreTun6, InfoData::GreTun6(vec![InfoGre6::EncapLimit(4)]), Family::Ipv6, 52),
            (InfoKind::IpIp, InfoData::IpTunnel(vec![]), Family::Ipv4, 20),
            (InfoKind::SitTun, InfoData::IpTunnel(vec![]), Family::Ipv4, 20),
            (InfoKind::Ip6Tnl, InfoData::IpTunnel(vec![]), Family::Ipv6, 48),
            (
                InfoKind::Ip6Tnl,
                InfoData::IpTunnel(vec![InfoIpTunnel::Ipv6Flags(Ip6TunnelFlags::IgnEncapLimit)]),
                Family::Ipv6,
                40,
            ),
            (InfoKind::Wireguard, InfoData::Wireguard(vec![]), Family::Ipv4, 60),
            (InfoKind::Wireguard, InfoData::Wireguard(vec![]), Family::Ipv6, 80),
        ];
        for (kind, data, family, expected) in cases {
            let name = format!("{kind} {data:?} {family:?}");
            assert_eq!(overhead(kind, data, family), Some(expected), "{name}");
        }
    }

    #[test]
    fn a_tun_is_a_tunnel_of_unknown_overhead_and_a_tap_is_none() {
        let tun = TunnelDevice::read(&InfoKind::Tun, None, false).unwrap();
        assert_eq!(tun.over(Family::Ipv4, Some(2)).overhead, None);
        assert_eq!(TunnelDevice::read(&InfoKind::Tun, None, true), None);
        assert_eq!(TunnelDevice::read(&InfoKind::Veth, None, true), None);
    }

    #[test]
    fn addresses_decide_the_family_and_wildcards_say_nothing() {
        let info = vec![
            InfoVxlan::Local(Ipv4Addr::UNSPECIFIED),
            InfoVxlan::Group6(Ipv6Addr::LOCALHOST),
            InfoVxlan::Df(VxlanDf::Inherit),
            InfoVxlan::Link(0),
        ];
        let tunnel = TunnelDevice::read(&InfoKind::Vxlan, Some(&InfoData::Vxlan(info)), true).unwrap();
        assert_eq!((tunnel.local, tunnel.lower), (None, None));
        assert_eq!(tunnel.family(), Some(Family::Ipv6));
        assert_eq!(tunnel.over(Family::Ipv6, None).df, OuterDf::Set);
    }

    #[test]
    fn ip_tunnels_set_df_with_path_mtu_discovery() {
        for (on, expected) in [(true, OuterDf::Set), (false, OuterDf::Inherit)] {
            let data = InfoData::IpTunnel(vec![InfoIpTunnel::PMtuDisc(on)]);
            let tunnel = TunnelDevice::read(&InfoKind::IpIp, Some(&data), false).unwrap();
            assert_eq!(tunnel.over(Family::Ipv4, None).df, expected);
        }
    }
}
