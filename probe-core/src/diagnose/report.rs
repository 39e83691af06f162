//! What goes into the diagnosis beside events, and what comes out.
use crate::model::Time;
use crate::model::change::Change;
use crate::model::coverage::Coverage;
use crate::model::event::Lost;
use crate::model::finding::Finding;
use crate::model::flow::{Family, Flow};
use crate::model::packet_too_big::HookDirection;
use crate::model::pod::Pod;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What the diagnosis may rely on; a sense that is missing lowers certainty and never invents evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Senses {
    /// TC hooks see packets.
    pub tc: bool,
    /// `kfree_skb` is observed.
    pub kfree_skb: bool,
    /// `icmp_send` is observed.
    pub icmp_send: bool,
    /// `tcp_retransmit_skb` is observed.
    pub tcp_retransmit: bool,
    /// Connection tracking can be read.
    pub conntrack: bool,
}

/// Counters of a network namespace (`/proc/net/snmp`, `/proc/net/netstat`, `/proc/net/snmp6`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetnsCounters {
    /// Index of the host interface of the pod they belong to; `None` for the observed namespace.
    pub pod_host_ifindex: Option<u32>,
    /// Name (`IpFragFails`, `TcpExtOutOfWindowIcmps`, `Icmp6InPktTooBigs` …) → value.
    pub values: BTreeMap<String, u64>,
}

/// How far an ICMP error is known to have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// This node made it.
    Generated,
    /// It arrived at the uplink.
    AtUplink,
    /// It passed to the sender.
    Delivered,
    /// Its drop was witnessed.
    Dropped,
}

impl Stage {
    /// Name in JSON and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::AtUplink => "at_uplink",
            Self::Delivered => "delivered",
            Self::Dropped => "dropped",
        }
    }
}

/// Whether an ICMP error is one that a real path would send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// It is.
    Plausible,
    /// It is not.
    Implausible,
    /// Nobody here has the flow it quotes.
    UnknownFlow,
}

impl Verdict {
    /// Name in JSON and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plausible => "plausible",
            Self::Implausible => "implausible",
            Self::UnknownFlow => "unknown_flow",
        }
    }
}

/// One ICMP error at one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketTooBigReport {
    /// When.
    pub time: Time,
    /// Family.
    pub family: Family,
    /// How far it has come.
    pub stage: Stage,
    /// The same at every stage.
    pub error_id: String,
    /// Interface and direction where it was seen.
    pub seen_at: Option<(String, Option<HookDirection>)>,
    /// Who sent it.
    pub reporter: Option<IpAddr>,
    /// The MTU it announces, in bytes.
    pub next_hop_mtu: Option<u32>,
    /// The flow of the original datagram.
    pub original: Option<Flow>,
    /// Length in bytes of the original datagram.
    pub original_length: Option<u32>,
    /// The pod whose packet it is about.
    pub pod: Option<Pod>,
    /// Whether a real path would send it.
    pub verdict: Verdict,
    /// Why.
    pub why: Option<String>,
}

/// A packet that the kernel dropped for its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropReport {
    /// When.
    pub time: Time,
    /// Drop reason.
    pub reason: String,
    /// Symbol of the place.
    pub location: String,
    /// Device.
    pub interface: String,
    /// Size in bytes.
    pub length: u32,
    /// The limit it met.
    pub limit_mtu: Option<u32>,
    /// Its flow.
    pub flow: Option<Flow>,
    /// The pod whose packet it was.
    pub pod: Option<Pod>,
    /// Packets that the line stands for.
    pub packets: u32,
}

/// What comes out, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "outputs are rare and short-lived")]
pub enum Output {
    /// A finding opens, changes materially, closes or is retracted.
    Finding(Finding),
    /// An ICMP error at a stage.
    PacketTooBig(PacketTooBigReport),
    /// A drop for size.
    Drop(DropReport),
    /// What can be seen of a pod changed.
    Coverage(Coverage),
    /// Something that MTU depends on changed.
    Change(Change),
    /// Evidence was lost.
    Lost(Lost),
}
