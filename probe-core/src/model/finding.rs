//! What the diagnosis concludes.
use super::Time;
use super::flow::{Family, Flow};
use super::pod::Pod;
use std::net::IpAddr;

macro_rules! names {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Name in JSON, labels and text.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

names! {
    /// What kind of fault (contract, section 2).
    Kind {
        /// The two ends of a veth pair differ.
        VethMtuMismatch = "veth_mtu_mismatch",
        /// The pod's MTU is larger than that of the device or route its traffic leaves by.
        PodMtuExceedsEgress = "pod_mtu_exceeds_egress",
        /// What a tunnel is given is, with its overhead, larger than the underlay's MTU.
        OverlayMtuExceedsUnderlay = "overlay_mtu_exceeds_underlay",
        /// Ports of one bridge have different MTUs.
        BridgeMtuMismatch = "bridge_mtu_mismatch",
        /// Path MTU discovery is off where it is needed.
        PmtudDisabled = "pmtud_disabled",
        /// An MTU below 1280 switched IPv6 off.
        MtuBelowIpv6Minimum = "mtu_below_ipv6_minimum",
        /// Packets too big were dropped and the sender was told.
        OversizeDropped = "oversize_dropped",
        /// Packets too big are dropped and the sender does not learn.
        PmtuBlackHole = "pmtu_black_hole",
        /// Packets too big are fragmented here.
        OversizeFragmented = "oversize_fragmented",
        /// Fragments are dropped or never put together.
        FragmentsLost = "fragments_lost",
        /// An ICMP error that no real path would send.
        PacketTooBigImplausible = "packet_too_big_implausible",
        /// A learned exception that no known path explains.
        PmtuExceptionSuspicious = "pmtu_exception_suspicious",
        /// A handshake announces segments that the path cannot carry.
        MssExceedsPath = "mss_exceeds_path",
    }
}

names! {
    /// How a black hole came about.
    Reason {
        /// Veth or bridge: no ICMP is possible.
        SilentLinkDrop = "silent_link_drop",
        /// The error was dropped by a filter, and the drop was witnessed.
        IcmpFiltered = "icmp_filtered",
        /// The error never reached the pod, and no drop was witnessed.
        IcmpLost = "icmp_lost",
        /// The error went to an address that is not the sender.
        IcmpMisdirected = "icmp_misdirected",
        /// The error reached the pod and was refused or had no effect.
        IcmpIgnored = "icmp_ignored",
        /// Another program dropped the packet.
        DatapathDrop = "datapath_drop",
        /// No error ever came back.
        PathSilent = "path_silent",
    }
}

names! {
    /// How bad.
    Severity {
        /// Worth knowing.
        Info = "info",
        /// Loss that recovers, fragmentation, or loss although the sender was told.
        Warning = "warning",
        /// Traffic is lost and the sender cannot learn why.
        Critical = "critical",
    }
}

names! {
    /// How sure.
    Certainty {
        /// One indirect source.
        Suspected = "suspected",
        /// Two independent sources, or the kernel's own word.
        Confirmed = "confirmed",
    }
}

names! {
    /// What became of the packets; in rising order of harm.
    Outcome {
        /// No packet has met it.
        Latent = "latent",
        /// All arrived.
        Delivered = "delivered",
        /// The sender's own kernel refused them (EMSGSIZE).
        Refused = "refused",
        /// Lost, then the sender learned and shrank.
        Recovered = "recovered",
        /// Cut into fragments.
        Fragmented = "fragmented",
        /// Lost.
        Lost = "lost",
    }
}

names! {
    /// From the point of view of the pod, or of the node itself.
    Direction {
        /// Sent by the pod.
        FromPod = "from_pod",
        /// Sent to the pod.
        ToPod = "to_pod",
        /// Sent by the node itself.
        FromHost = "from_host",
        /// Sent to the node itself.
        ToHost = "to_host",
    }
}

names! {
    /// Where the limit is.
    LimitAt {
        /// The pod's own interface or route, or a device inside it.
        Pod = "pod",
        /// The other end of the link, or a bridge port.
        Link = "link",
        /// An egress device or route of this node.
        Node = "node",
        /// A tunnel's underlay.
        Overlay = "overlay",
        /// A router beyond this node.
        Path = "path",
        /// Not known.
        Unknown = "unknown",
    }
}

names! {
    /// How the limit is known.
    LimitHow {
        /// MTU of a device.
        DeviceMtu = "device_mtu",
        /// MTU of a route.
        RouteMtu = "route_mtu",
        /// MTU of the other end of a veth, or of a bridge port.
        PeerMtu = "peer_mtu",
        /// MTU of the underlay less the overhead.
        UnderlayMinusOverhead = "underlay_minus_overhead",
        /// An ICMP error announced it.
        Icmp = "icmp",
        /// Only bounds are known.
        Bounds = "bounds",
    }
}

names! {
    /// Whether a finding still stands.
    State {
        /// It stands.
        Open = "open",
        /// The fault is gone.
        Closed = "closed",
        /// Further evidence refuted it.
        Retracted = "retracted",
    }
}

/// The limit that packets met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Largest packet in bytes of this sender that passes whole; `None` where only bounds are known.
    pub mtu: Option<u32>,
    /// Largest seen to arrive, smallest seen to be lost.
    pub between: Option<(u32, u32)>,
    /// Where it is.
    pub at: LimitAt,
    /// The limiting interface.
    pub interface: Option<String>,
    /// The router that announced it.
    pub router: Option<IpAddr>,
    /// How it is known.
    pub how: LimitHow,
}

impl Limit {
    /// A limit on or next to this node, whose size is known.
    pub fn known(mtu: u32, at: LimitAt, how: LimitHow, interface: Option<String>) -> Self {
        Self { mtu: Some(mtu), between: None, at, interface, router: None, how }
    }
}

/// A flow that met the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowReport {
    /// As the pod sees it.
    pub flow: Flow,
    /// As it looks behind NAT.
    pub nat: Option<Flow>,
    /// Who sends, where that is known: `shop/cart`.
    pub src_name: Option<String>,
    /// Who receives: `kube-system/coredns (service kube-dns)`, `service shop/payments`.
    pub dst_name: Option<String>,
    /// Packets that met the limit.
    pub packets: u64,
    /// Largest of them in bytes.
    pub largest_packet: u32,
    /// They had DF (always with IPv6).
    pub df: bool,
    /// What became of them.
    pub outcome: Outcome,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that the kernel dropped, fragmented or refused for their size, or whose own route is smaller.
    pub oversize_packets: u64,
    /// Packets dropped.
    pub dropped_packets: u64,
    /// ICMP errors made on this node or arrived at its uplink.
    pub ptb_generated: u64,
    /// ICMP errors that passed to the sender.
    pub ptb_delivered: u64,
    /// Fragments made.
    pub fragments_created: u64,
    /// TCP retransmissions.
    pub retransmits: u64,
}

/// Who suffers and how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Impact {
    /// Flows that stand still.
    pub stalled_flows: u64,
    /// Packets lost a minute.
    pub lost_per_minute: u64,
}

/// What one fault does to many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Opaque, stable.
    pub id: String,
    /// The configuration kind that it is, where the configuration shows it.
    pub kind: Option<Kind>,
    /// One line.
    pub title: String,
    /// `pod`, `link`, `bridge`, `overlay`, `uplink`, `path` or `filter`.
    pub scope: &'static str,
    /// Pods that suffer from it.
    pub pods_affected: u32,
    /// Pods on this node.
    pub pods_total: u32,
    /// A change up to ten minutes before.
    pub changed: Option<String>,
}

/// When a fix applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixWhen {
    /// At once, until the next restart.
    Now,
    /// For good.
    Durable,
    /// How to see that it worked.
    Verify,
}

impl FixWhen {
    /// Name in JSON and text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Durable => "durable",
            Self::Verify => "verify",
        }
    }
}

/// Something that somebody can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// When it applies.
    pub when: FixWhen,
    /// A command, if one does it.
    pub command: Option<String>,
    /// In words.
    pub text: String,
}

/// One fault: a pod, a direction, a family and a limiting joint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Opaque, the same from open to close.
    pub id: String,
    /// Whether it stands.
    pub state: State,
    /// What kind.
    pub kind: Kind,
    /// How a black hole came about.
    pub reason: Option<Reason>,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub certainty: Certainty,
    /// Family; `None` where a fault concerns both.
    pub family: Option<Family>,
    /// What it has in common with others.
    pub cause: Option<Cause>,
    /// The pod; `None` for the node itself or a joint that pods share.
    pub pod: Option<Pod>,
    /// Pods that a shared joint concerns (configuration findings).
    pub pods: Vec<Pod>,
    /// Direction of the packets.
    pub direction: Option<Direction>,
    /// The limit.
    pub limit: Limit,
    /// The worst that became of the flows.
    pub outcome: Outcome,
    /// Flows that met it.
    pub flows: Vec<FlowReport>,
    /// What was counted.
    pub counts: Counts,
    /// When the first packet met it.
    pub first_seen: Time,
    /// When the last packet met it.
    pub last_seen: Time,
    /// When it was closed or retracted.
    pub ended: Option<Time>,
    /// Who suffers.
    pub impact: Impact,
    /// The chain of MTUs with the limiting joint in brackets.
    pub chain: Option<String>,
    /// One line.
    pub title: String,
    /// What was seen, and which evidence proves it.
    pub explanation: String,
    /// What to do.
    pub fixes: Vec<Fix>,
}
