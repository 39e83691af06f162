//! What network is wanted.
use super::Network;
use super::overlay::Overlay;
use anyhow::Result;

/// The common MTU of Ethernet; what everything has until told otherwise.
pub const ETHERNET_MTU: u32 = 1500;

/// MTUs of the two ends of a link, in bytes at layer 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The end of the node, the server, the far host.
    pub near: u32,
    /// The end of the fabric or router.
    pub beyond: u32,
}

impl From<u32> for Ends {
    fn from(mtu: u32) -> Self {
        Self { near: mtu, beyond: mtu }
    }
}

/// How a pod hangs on its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A host route to each pod, proxy ARP and a link-local gateway, as Calico does.
    Routed,
    /// A port of the bridge `cni0`, as the bridge plugin and flannel do.
    Bridged,
}

/// A pod: a namespace with `eth0`, whose other end is on a node.
#[derive(Clone, Debug)]
pub struct Pod {
    pub(super) name: String,
    pub(super) style: Style,
    pub(super) mtu: u32,
    pub(super) host_mtu: Option<u32>,
    pub(super) on_second_node: bool,
}

impl Pod {
    /// A pod in the routed style. The name is at most 11 bytes: the host interface is called after it.
    pub fn routed(name: &str) -> Self {
        Self::new(name, Style::Routed)
    }

    /// A pod on the bridge.
    pub fn bridged(name: &str) -> Self {
        Self::new(name, Style::Bridged)
    }

    fn new(name: &str, style: Style) -> Self {
        assert!(name.len() <= 11, "an interface name has at most 15 bytes");
        Self { name: name.to_owned(), style, mtu: ETHERNET_MTU, host_mtu: None, on_second_node: false }
    }

    /// MTU of the pod's `eth0`, and of the host end if nothing else is said.
    pub fn mtu(mut self, mtu: u32) -> Self {
        self.mtu = mtu;
        self
    }

    /// MTU of the end on the node.
    pub fn host_mtu(mut self, mtu: u32) -> Self {
        self.host_mtu = Some(mtu);
        self
    }

    /// On the second node instead of the observed one.
    pub fn on_second_node(mut self) -> Self {
        self.on_second_node = true;
        self
    }
}

/// The don't-fragment bit of a tunnel's outer packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OuterDf {
    /// Never set: outer packets that are too big are fragmented.
    Unset,
    /// Always set.
    Set,
    /// That of the inner packet.
    Inherit,
}

impl OuterDf {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Set => "set",
            Self::Inherit => "inherit",
        }
    }
}

/// A network to build. What is not asked for is not made: the node, the fabric and the server always are.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) uplink: Ends,
    pub(super) second_uplink: Ends,
    pub(super) server: Ends,
    pub(super) far: Option<u32>,
    pub(super) pods: Vec<Pod>,
    pub(super) bridge_mtu: Option<u32>,
    pub(super) overlay: Option<Overlay>,
    pub(super) masquerade: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self::new()
    }
}

impl Plan {
    /// A node with an uplink and a server behind it, all of 1,500.
    pub fn new() -> Self {
        Self {
            uplink: ETHERNET_MTU.into(),
            second_uplink: ETHERNET_MTU.into(),
            server: ETHERNET_MTU.into(),
            far: None,
            pods: Vec::new(),
            bridge_mtu: None,
            overlay: None,
            masquerade: false,
        }
    }

    /// MTU of the node's uplink, both ends or each.
    pub fn uplink(mut self, ends: impl Into<Ends>) -> Self {
        self.uplink = ends.into();
        self
    }

    /// MTU of the second node's uplink.
    pub fn second_uplink(mut self, ends: impl Into<Ends>) -> Self {
        self.second_uplink = ends.into();
        self
    }

    /// MTU of the server's link.
    pub fn server(mut self, ends: impl Into<Ends>) -> Self {
        self.server = ends.into();
        self
    }

    /// A host `far` behind two more routers, which are joined by a link of this MTU.
    pub fn far(mut self, mtu: u32) -> Self {
        self.far = Some(mtu);
        self
    }

    /// One more pod.
    pub fn pod(mut self, pod: Pod) -> Self {
        self.pods.push(pod);
        self
    }

    /// Fixes the MTU of the bridges, which otherwise follows the smallest port.
    pub fn bridge_mtu(mut self, mtu: u32) -> Self {
        self.bridge_mtu = Some(mtu);
        self
    }

    /// A tunnel to the second node, for all pods of both.
    pub fn overlay(mut self, overlay: Overlay) -> Self {
        self.overlay = Some(overlay);
        self
    }

    /// Pods go out under the node's own address.
    pub fn masquerade(mut self) -> Self {
        self.masquerade = true;
        self
    }

    /// Builds it.
    pub fn build(&self) -> Result<Network> {
        Network::build(self)
    }
}
