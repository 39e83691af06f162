//! The joints at which sizes do not fit, and what tells one fault from another.
use crate::model::finding::Direction;
use crate::model::flow::Family;
use crate::model::pod::PodKey;
use std::net::IpAddr;

/// The joint at which sizes do not fit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Joint {
    /// The two ends of a veth; the index is the end on this side.
    Veth(u32),
    /// A port of a bridge or vswitch.
    Port(u32),
    /// A device or route of this node, with the size it takes.
    Egress(u32, u32),
    /// A tunnel and its underlay.
    Tunnel(u32),
    /// A device inside a pod's namespace.
    PodDevice(u32, u32),
    /// A router beyond this node, with the size it announced.
    Router(IpAddr, u32),
    /// A router beyond this node that does not answer.
    SilentPath,
    /// A filter or somebody's program on this node that drops large packets, by the device at which it does.
    Program(u32),
    /// A filter that drops fragments, by the namespace it works in.
    FragmentFilter(u32),
    /// A namespace in which fragments are never put together, because some of them do not arrive.
    Reassembly(u32),
    /// An announcement that no path would make.
    Announcement(u32),
}

/// What a joint is made of, as far as errors about it are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    /// A link: nothing there can send an ICMP error.
    Link,
    /// What forwards packets, or a device that packets are routed into: errors about a known size come of it.
    Limit,
    /// Packets vanish, and no error tells of a size.
    Mute,
}

impl Joint {
    fn nature(&self) -> Nature {
        match self {
            Self::Veth(_) | Self::Port(_) => Nature::Link,
            Self::Egress(..) | Self::Tunnel(_) | Self::PodDevice(..) | Self::Router(..) => Nature::Limit,
            Self::SilentPath
            | Self::Program(_)
            | Self::FragmentFilter(_)
            | Self::Reassembly(_)
            | Self::Announcement(_) => Nature::Mute,
        }
    }

    /// Whether nothing on this joint can send an ICMP error.
    pub fn is_silent(&self) -> bool {
        self.nature() == Nature::Link
    }

    /// Whether a sender may learn of its limit by an ICMP error.
    pub fn tells_of_limit(&self) -> bool {
        self.nature() == Nature::Limit
    }

    /// Whether packets vanish here without a limit that is known.
    pub fn is_mute(&self) -> bool {
        self.nature() == Nature::Mute
    }

    /// Whether whole datagrams are lost here for a fragment.
    pub fn loses_fragments(&self) -> bool {
        matches!(self, Self::FragmentFilter(_) | Self::Reassembly(_))
    }
}

/// What tells one fault from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultKey {
    /// Whose packets.
    pub pod: PodKey,
    /// Which way.
    pub direction: Direction,
    /// Which family.
    pub family: Family,
    /// Where.
    pub joint: Joint,
}

impl FaultKey {
    /// Whether a lost segment counts as sent: TCP is not told at once, as it is of a drop within its own call, so a segment
    /// that is lost is unacknowledged until a repetition of it arrives.
    pub fn counts_as_sent(&self) -> bool {
        match self.joint {
            Joint::SilentPath | Joint::Router(..) => true,
            Joint::Egress(..) | Joint::Tunnel(_) | Joint::Port(_) => self.direction == Direction::FromPod,
            Joint::Veth(_)
            | Joint::PodDevice(..)
            | Joint::Program(_)
            | Joint::FragmentFilter(_)
            | Joint::Reassembly(_)
            | Joint::Announcement(_) => false,
        }
    }
}
