//! The two nodes, so that one function builds both.
use super::address::Site;
use super::plan::{Pod, Style};

/// One of the two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The observed one.
    Node,
    /// The one at the other end of the tunnel.
    Second,
}

impl Side {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Node, Self::Second];

    /// The node of a pod.
    pub const fn of(pod: &Pod) -> Self {
        if pod.on_second_node { Self::Second } else { Self::Node }
    }

    /// Name of its namespace.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Second => "node2",
        }
    }

    /// 0 or 1.
    pub const fn index(self) -> usize {
        match self {
            Self::Node => 0,
            Self::Second => 1,
        }
    }

    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Node => Self::Second,
            Self::Second => Self::Node,
        }
    }

    /// Its link to the fabric.
    pub const fn link(self) -> Site {
        match self {
            Self::Node => Site::NodeLink,
            Self::Second => Site::PeerLink,
        }
    }

    /// Addresses of its pods of one style.
    pub const fn pods(self, style: Style) -> Site {
        match (self, style) {
            (Self::Node, Style::Routed) => Site::Routed,
            (Self::Node, Style::Bridged) => Site::Bridged,
            (Self::Second, Style::Routed) => Site::PeerRouted,
            (Self::Second, Style::Bridged) => Site::PeerBridged,
        }
    }

    /// Addresses of all its pods.
    pub fn pod_sites(self) -> [Site; 2] {
        [self.pods(Style::Routed), self.pods(Style::Bridged)]
    }
}
