//! What a mismatch is, and how each is told, whoever compares: an observation by the topology alone, `check` by what every
//! sender sends.
use crate::diagnose::fault::Joint;
use crate::model::finding::{Direction, Kind, LimitAt, LimitHow};
use crate::model::flow::Family;
use crate::model::interface::Interface;
use crate::model::pod::Pod;

/// A mismatch, as the topology shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Kind.
    pub kind: Kind,
    /// The interface at which it lies.
    pub ifindex: u32,
    /// Its name.
    pub interface: String,
    /// Largest packet in bytes that passes.
    pub limit: u32,
    /// Largest packet in bytes that is sent towards it.
    pub larger: u32,
    /// Where the limit is.
    pub at: LimitAt,
    /// How it is known.
    pub how: LimitHow,
    /// The one pod concerned; `None` for a joint that pods share.
    pub pod: Option<Pod>,
    /// All pods concerned.
    pub pods: Vec<Pod>,
    /// Which packets would meet it, from the pods' point of view; `None` for both ways.
    pub direction: Option<Direction>,
    /// Family of those packets; `None` where it does not matter.
    pub family: Option<Family>,
    /// Loss is certain, not only possible (an address family is off already).
    pub certain: bool,
}

impl Mismatch {
    /// The joint at which packets would meet it; `None` where it costs no packet.
    pub fn joint(&self) -> Option<Joint> {
        match self.kind {
            Kind::VethMtuMismatch => Some(Joint::Veth(self.ifindex)),
            Kind::BridgeMtuMismatch => Some(Joint::Port(self.ifindex)),
            Kind::OverlayMtuExceedsUnderlay => Some(Joint::Tunnel(self.ifindex)),
            Kind::PodMtuExceedsEgress => Some(Joint::Egress(self.ifindex, self.limit)),
            Kind::PmtudDisabled
            | Kind::MtuBelowIpv6Minimum
            | Kind::OversizeDropped
            | Kind::PmtuBlackHole
            | Kind::OversizeFragmented
            | Kind::FragmentsLost
            | Kind::PacketTooBigImplausible
            | Kind::PmtuExceptionSuspicious
            | Kind::MssExceedsPath => None,
        }
    }

    /// What leaves by a device or a route that takes less, in bytes: (what it takes, what is sent).
    pub(crate) fn of_way_out(ifindex: u32, interface: &str, sizes: (u32, u32), how: LimitHow) -> Self {
        let base = Self::base(Kind::PodMtuExceedsEgress, ifindex, interface, sizes);
        Self { at: LimitAt::Node, how, ..base }
    }

    /// What goes into a tunnel whose underlay takes less, in bytes: (what is left of the underlay, what is sent).
    pub(crate) fn of_tunnel(tunnel: &Interface, sizes: (u32, u32), pods: Vec<Pod>) -> Self {
        let base = Self::base(Kind::OverlayMtuExceedsUnderlay, tunnel.ifindex, &tunnel.name, sizes);
        Self { at: LimitAt::Overlay, how: LimitHow::UnderlayMinusOverhead, pods, ..base }
    }

    /// Ports of a bridge or a vswitch that differ, or the bridge itself, in bytes: (the least, the most), both ways.
    pub(crate) fn of_bridge(bridge: &Interface, sizes: (u32, u32), pods: Vec<Pod>) -> Self {
        let base = Self::base(Kind::BridgeMtuMismatch, bridge.ifindex, &bridge.name, sizes);
        Self { direction: None, pods, ..base }
    }

    /// A sender that does not discover: a pod, or the node itself. In bytes: (what the way takes, what is sent).
    pub(crate) fn of_discovery(
        pod: Option<&Pod>,
        family: Family,
        (ifindex, interface): (u32, &str),
        sizes: (u32, u32),
    ) -> Self {
        let base = Self::base(Kind::PmtudDisabled, ifindex, interface, sizes);
        let direction = Some(if pod.is_some() { Direction::FromPod } else { Direction::FromHost });
        let pods = pod.into_iter().cloned().collect();
        Self {
            at: LimitAt::Node,
            how: LimitHow::DeviceMtu,
            pod: pod.cloned(),
            pods,
            direction,
            family: Some(family),
            ..base
        }
    }

    fn base(kind: Kind, ifindex: u32, interface: &str, (limit, larger): (u32, u32)) -> Self {
        Self {
            kind,
            ifindex,
            interface: interface.to_owned(),
            limit,
            larger,
            at: LimitAt::Link,
            how: LimitHow::PeerMtu,
            pod: None,
            pods: Vec::new(),
            direction: Some(Direction::FromPod),
            family: None,
            certain: false,
        }
    }
}
