//! A finding with its pod and flows, as `finding` lines, the summary and HTTP show it.
use crate::output::wall_clock::WallClock;
use probe_core::model::finding::{Cause, Counts, Finding, Fix, FlowReport, Impact, Limit};
use probe_core::model::flow::Flow;
use probe_core::model::pod::{Container, Pod};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

#[derive(Debug, Serialize)]
pub(in crate::output) struct FindingWire<'a> {
    id: &'a str,
    state: &'static str,
    kind: &'static str,
    reason: Option<&'static str>,
    severity: &'static str,
    certainty: &'static str,
    family: Option<&'static str>,
    cause: Option<CauseWire<'a>>,
    pod: Option<PodWire<'a>>,
    /// Of a joint that pods share.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pods: Vec<PodWire<'a>>,
    direction: Option<&'static str>,
    limit: LimitWire<'a>,
    outcome: &'static str,
    flows: Vec<FlowReportWire<'a>>,
    counts: CountsWire,
    first_seen: String,
    last_seen: String,
    ended: Option<String>,
    impact: ImpactWire,
    chain: Option<&'a str>,
    title: &'a str,
    explanation: &'a str,
    fix: Vec<FixWire<'a>>,
}

#[derive(Debug, Serialize)]
struct CauseWire<'a> {
    id: &'a str,
    kind: Option<&'static str>,
    title: &'a str,
    scope: &'a str,
    pods_affected: u32,
    pods_total: u32,
    changed: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(in crate::output) struct PodWire<'a> {
    namespace: Option<&'a str>,
    name: Option<&'a str>,
    uid: Option<&'a str>,
    container_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    containers: Vec<ContainerWire<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerWire<'a>>,
    netns: Option<&'a str>,
    netns_inode: Option<u32>,
    host_interface: Option<&'a str>,
    pod_interface: Option<&'a str>,
    addresses: &'a [IpAddr],
    source: &'static str,
}

#[derive(Debug, Serialize)]
struct ContainerWire<'a> {
    name: &'a str,
    id: &'a str,
}

#[derive(Debug, Serialize)]
struct OwnerWire<'a> {
    kind: &'a str,
    name: &'a str,
}

#[derive(Debug, Serialize)]
struct LimitWire<'a> {
    mtu: Option<u32>,
    between: Option<(u32, u32)>,
    at: &'static str,
    interface: Option<&'a str>,
    router: Option<IpAddr>,
    how: &'static str,
}

#[derive(Debug, Serialize)]
pub(in super::super) struct FlowWire {
    protocol: String,
    src: IpAddr,
    src_port: u16,
    dst: IpAddr,
    dst_port: u16,
}

#[derive(Debug, Serialize)]
struct FlowReportWire<'a> {
    #[serde(flatten)]
    flow: FlowWire,
    nat: Option<FlowWire>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst_name: Option<&'a str>,
    packets: u64,
    largest_packet: u32,
    df: bool,
    outcome: &'static str,
}

#[derive(Debug, Serialize)]
struct CountsWire {
    oversize_packets: u64,
    dropped_packets: u64,
    ptb_generated: u64,
    ptb_delivered: u64,
    fragments_created: u64,
    retransmits: u64,
}

#[derive(Debug, Serialize)]
struct ImpactWire {
    stalled_flows: u64,
    lost_per_minute: u64,
}

#[derive(Debug, Serialize)]
struct FixWire<'a> {
    when: &'static str,
    command: Option<&'a str>,
    text: &'a str,
}

impl<'a> FindingWire<'a> {
    pub fn new(finding: &'a Finding, clock: WallClock) -> Self {
        Self {
            id: &finding.id,
            state: finding.state.name(),
            kind: finding.kind.name(),
            reason: finding.reason.map(|reason| reason.name()),
            severity: finding.severity.name(),
            certainty: finding.certainty.name(),
            family: finding.family.map(|family| family.name()),
            cause: finding.cause.as_ref().map(CauseWire::new),
            pod: finding.pod.as_ref().map(PodWire::new),
            pods: if finding.pod.is_none() {
                finding.pods.iter().map(PodWire::new).collect()
            } else {
                Vec::new()
            },
            direction: finding.direction.map(|direction| direction.name()),
            limit: LimitWire::new(&finding.limit),
            outcome: finding.outcome.name(),
            flows: finding.flows.iter().map(FlowReportWire::new).collect(),
            counts: CountsWire::new(finding.counts),
            first_seen: clock.rfc3339(finding.first_seen),
            last_seen: clock.rfc3339(finding.last_seen),
            ended: finding.ended.map(|time| clock.rfc3339(time)),
            impact: ImpactWire::new(finding.impact),
            chain: finding.chain.as_deref(),
            title: &finding.title,
            explanation: &finding.explanation,
            fix: finding.fixes.iter().map(FixWire::new).collect(),
        }
    }
}

impl<'a> CauseWire<'a> {
    fn new(cause: &'a Cause) -> Self {
        Self {
            id: &cause.id,
            kind: cause.kind.map(|kind| kind.name()),
            title: &cause.title,
            scope: cause.scope,
            pods_affected: cause.pods_affected,
            pods_total: cause.pods_total,
            changed: cause.changed.as_deref(),
        }
    }
}

impl<'a> PodWire<'a> {
    pub fn new(pod: &'a Pod) -> Self {
        Self {
            namespace: pod.namespace.as_deref(),
            name: pod.name.as_deref(),
            uid: pod.uid.as_deref(),
            container_id: pod.container_id.as_deref(),
            containers: pod.containers.iter().map(ContainerWire::new).collect(),
            labels: &pod.labels,
            owner: pod.owner.as_ref().map(|owner| OwnerWire { kind: &owner.kind, name: &owner.name }),
            netns: pod.netns.as_deref(),
            netns_inode: pod.netns_inode,
            host_interface: pod.host_interface.as_deref(),
            pod_interface: pod.pod_interface.as_deref(),
            addresses: &pod.addresses,
            source: pod.source.name(),
        }
    }
}

impl<'a> ContainerWire<'a> {
    fn new(container: &'a Container) -> Self {
        Self { name: &container.name, id: &container.id }
    }
}

impl<'a> LimitWire<'a> {
    fn new(limit: &'a Limit) -> Self {
        Self {
            mtu: limit.mtu,
            between: limit.between,
            at: limit.at.name(),
            interface: limit.interface.as_deref(),
            router: limit.router,
            how: limit.how.name(),
        }
    }
}

impl FlowWire {
    pub fn new(flow: &Flow) -> Self {
        Self {
            protocol: flow.protocol.to_string(),
            src: flow.src,
            src_port: flow.src_port,
            dst: flow.dst,
            dst_port: flow.dst_port,
        }
    }
}

impl<'a> FlowReportWire<'a> {
    fn new(report: &'a FlowReport) -> Self {
        Self {
            flow: FlowWire::new(&report.flow),
            nat: report.nat.as_ref().map(FlowWire::new),
            src_name: report.src_name.as_deref(),
            dst_name: report.dst_name.as_deref(),
            packets: report.packets,
            largest_packet: report.largest_packet,
            df: report.df,
            outcome: report.outcome.name(),
        }
    }
}

impl CountsWire {
    fn new(counts: Counts) -> Self {
        Self {
            oversize_packets: counts.oversize_packets,
            dropped_packets: counts.dropped_packets,
            ptb_generated: counts.ptb_generated,
            ptb_delivered: counts.ptb_delivered,
            fragments_created: counts.fragments_created,
            retransmits: counts.retransmits,
        }
    }
}

impl ImpactWire {
    fn new(impact: Impact) -> Self {
        Self { stalled_flows: impact.stalled_flows, lost_per_minute: impact.lost_per_minute }
    }
}

impl<'a> FixWire<'a> {
    fn new(fix: &'a Fix) -> Self {
        Self { when: fix.when.name(), command: fix.command.as_deref(), text: &fix.text }
    }
}
