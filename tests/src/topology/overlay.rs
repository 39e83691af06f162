//! The tunnel between the two nodes.
use super::address::{Family, Site};
use super::namespace::Namespace;
use super::network::UPLINK;
use super::plan::{OuterDf, Style};
use super::script::Script;
use super::side::Side;
use anyhow::{Context, Result};

/// Host number of a node's own address in the tunnel.
const TUNNEL_HOST: u16 = 0xfff0;
const TUNNEL_MACS: [&str; 2] = ["0e:4d:54:55:00:01", "0e:4d:54:55:00:02"];
/// UDP port of both ends of a WireGuard tunnel.
const WIREGUARD_PORT: u16 = 51820;

/// What wraps the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// RFC 7348.
    Vxlan,
    /// RFC 8926.
    Geneve,
    /// Encrypted, over UDP.
    Wireguard,
    /// IPv4 in IPv4.
    Ipip,
    /// IPv6 in IPv4.
    Sit,
    /// GRE over IPv4.
    Gre,
    /// Ethernet in GRE over IPv4.
    Gretap,
    /// GRE over IPv6.
    Ip6gre,
    /// Either in IPv6.
    Ip6tnl,
}

/// A tunnel between the two nodes, over their uplinks.
#[derive(Clone, Copy, Debug)]
pub struct Overlay {
    pub(super) wrapping: Wrapping,
    mtu: u32,
    df: OuterDf,
    bound: bool,
    outer: Family,
    options: &'static str,
}

impl Overlay {
    /// A VXLAN whose device has this MTU; it carries it whole when the underlay's is 50 larger.
    pub const fn vxlan(mtu: u32) -> Self {
        Self::of(Wrapping::Vxlan, mtu)
    }

    /// A tunnel whose device has this MTU. Only a VXLAN is there on every kernel.
    pub const fn of(wrapping: Wrapping, mtu: u32) -> Self {
        let outer = match wrapping {
            Wrapping::Ip6gre | Wrapping::Ip6tnl => Family::V6,
            Wrapping::Vxlan
            | Wrapping::Geneve
            | Wrapping::Wireguard
            | Wrapping::Ipip
            | Wrapping::Sit
            | Wrapping::Gre
            | Wrapping::Gretap => Family::V4,
        };
        Self { wrapping, mtu, df: OuterDf::Unset, bound: false, outer, options: "" }
    }

    /// Another MTU of the device.
    pub const fn mtu(mut self, mtu: u32) -> Self {
        self.mtu = mtu;
        self
    }

    /// The don't-fragment bit of the outer packets of a VXLAN or Geneve.
    pub const fn outer_df(mut self, df: OuterDf) -> Self {
        self.df = df;
        self
    }

    /// Bound to the uplink device. The kernel then caps the MTU when the device is made, and not afterwards.
    pub const fn bound(mut self) -> Self {
        self.bound = true;
        self
    }

    /// Outer packets of this family, where the wrapping leaves it open.
    pub const fn over(mut self, outer: Family) -> Self {
        self.outer = outer;
        self
    }

    /// More options of `ip link add`, after the type.
    pub const fn options(mut self, options: &'static str) -> Self {
        self.options = options;
        self
    }

    /// Name of the device on both nodes.
    pub const fn device(&self) -> &'static str {
        match self.wrapping {
            Wrapping::Vxlan => super::network::TUNNEL,
            Wrapping::Geneve
            | Wrapping::Wireguard
            | Wrapping::Ipip
            | Wrapping::Sit
            | Wrapping::Gre
            | Wrapping::Gretap
            | Wrapping::Ip6gre
            | Wrapping::Ip6tnl => "tunnel0",
        }
    }

    /// Families that it carries.
    fn carries(&self) -> &'static [Family] {
        match self.wrapping {
            Wrapping::Ipip => &[Family::V4],
            Wrapping::Sit => &[Family::V6],
            Wrapping::Vxlan
            | Wrapping::Geneve
            | Wrapping::Wireguard
            | Wrapping::Gre
            | Wrapping::Gretap
            | Wrapping::Ip6gre
            | Wrapping::Ip6tnl => &Family::ALL,
        }
    }

    /// Whether Ethernet frames go through it.
    const fn is_ethernet(&self) -> bool {
        matches!(self.wrapping, Wrapping::Vxlan | Wrapping::Geneve | Wrapping::Gretap)
    }

    fn link(&self, side: Side) -> String {
        let (local, remote) =
            (side.link().address(self.outer, 2), side.other().link().address(self.outer, 2));
        let ends = format!("local {local} remote {remote}");
        let df = self.df.name();
        match self.wrapping {
            Wrapping::Vxlan => format!("vxlan id 42 {ends} dstport 8472 nolearning df {df}"),
            Wrapping::Geneve if self.outer == Family::V4 => {
                format!("geneve id 42 remote {remote} dstport 6081 df {df}")
            }
            Wrapping::Geneve => format!("geneve id 42 remote {remote} dstport 6081"),
            Wrapping::Wireguard => "wireguard".to_owned(),
            Wrapping::Ipip => format!("ipip {ends}"),
            Wrapping::Sit => format!("sit {ends}"),
            Wrapping::Gre => format!("gre {ends}"),
            Wrapping::Gretap => format!("gretap {ends}"),
            Wrapping::Ip6gre => format!("ip6gre {ends}"),
            Wrapping::Ip6tnl => format!("ip6tnl mode any {ends}"),
        }
    }

    /// The device on one node, and the routes into it.
    pub(super) fn build(&self, script: &mut Script, side: Side) {
        let (node, peer, device) = (side.name(), side.other(), self.device());
        let address = if self.is_ethernet() {
            format!(" address {}", TUNNEL_MACS[side.index()])
        } else {
            String::new()
        };
        let bound = if self.bound { format!(" dev {UPLINK}") } else { String::new() };
        let (link, options, mtu) = (self.link(side), self.options, self.mtu);
        script.ip(node, format!("link add {device}{address} type {link}{bound} {options}"));
        script.ip(node, format!("link set {device} mtu {mtu}"));
        script.ip(node, format!("link set {device} up"));
        for &family in self.carries() {
            // The node has an address of its own in the tunnel, out of its routed pods.
            let bits = family.host_bits();
            let own = super::network::address(side.pods(Style::Routed), family, TUNNEL_HOST, bits, device);
            script.ip(node, own);
            let via = peer.pods(Style::Routed).address(family, TUNNEL_HOST);
            let hop = if self.is_ethernet() {
                let lladdr = TUNNEL_MACS[peer.index()];
                script.ip(node, format!("neighbour add {via} lladdr {lladdr} dev {device} nud permanent"));
                format!("via {via} dev {device} onlink")
            } else {
                format!("dev {device}")
            };
            for pods in peer.pod_sites() {
                script.ip(node, format!("route add {} {hop}", pods.prefix(family)));
            }
        }
    }

    /// Gives the two ends of a WireGuard tunnel their keys and endpoints.
    pub(super) fn join(&self, nodes: [&Namespace; 2]) -> Result<()> {
        if self.wrapping != Wrapping::Wireguard {
            return Ok(());
        }
        let mut private = Vec::new();
        let mut public = Vec::new();
        for node in nodes {
            let key = node.output("wg", &["genkey"])?;
            public.push(node.output_of("wg", &["pubkey"], &key)?.trim().to_owned());
            private.push(key);
        }
        let (port, device) = (WIREGUARD_PORT.to_string(), self.device());
        for (side, (node, key)) in Side::ALL.into_iter().zip(nodes.into_iter().zip(&private)) {
            let peer = public.get(side.other().index()).context("a key of each side")?;
            let endpoint =
                std::net::SocketAddr::new(Site::address(side.other().link(), self.outer, 2), WIREGUARD_PORT)
                    .to_string();
            let set = ["set", device, "listen-port", &port, "private-key", "/dev/stdin", "peer", peer];
            let rest = ["endpoint", &endpoint, "allowed-ips", "0.0.0.0/0,::/0"];
            node.output_of("wg", &[&set[..], &rest[..]].concat(), key)?;
        }
        Ok(())
    }
}
