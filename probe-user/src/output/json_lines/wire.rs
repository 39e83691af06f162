//! The lines' types: field names and order as the contract fixes them. What is not known is null.

pub(in crate::output) mod finding;

use super::super::wall_clock::WallClock;
use super::super::{AttachedInterface, Message, Sense};
pub(in crate::output) use finding::PodWire;
use finding::{FindingWire, FlowWire};
use probe_core::diagnose::{DropReport, Output, PacketTooBigReport};
use probe_core::model::Time;
use probe_core::model::change::Change;
use probe_core::model::coverage::Coverage;
use probe_core::model::event::Lost;
use probe_core::model::packet_too_big::HookDirection;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// One line.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "written at once, never stored")]
pub(super) enum Line<'a> {
    Start {
        time: String,
        version: &'a str,
        kernel: &'a str,
        node: &'a str,
        attached: Vec<InterfaceWire<'a>>,
        pending: &'a [String],
        senses: Vec<SenseWire<'a>>,
    },
    Progress {
        time: String,
        attached: usize,
        pending: usize,
    },
    Attached {
        time: String,
        attached: usize,
        seconds: f64,
    },
    Attach {
        time: String,
        #[serde(flatten)]
        interface: InterfaceWire<'a>,
        pod: Option<PodWire<'a>>,
    },
    Detach {
        time: String,
        #[serde(flatten)]
        interface: InterfaceWire<'a>,
        pod: Option<PodWire<'a>>,
    },
    PacketTooBig {
        time: String,
        family: &'static str,
        stage: &'static str,
        error_id: &'a str,
        seen_at: Option<SeenAt<'a>>,
        reporter: Option<IpAddr>,
        next_hop_mtu: Option<u32>,
        original: Option<OriginalWire>,
        pod: Option<PodWire<'a>>,
        verdict: &'static str,
        why: Option<&'a str>,
    },
    Drop {
        time: String,
        reason: &'a str,
        location: &'a str,
        interface: &'a str,
        length: u32,
        limit_mtu: Option<u32>,
        packets: u32,
        flow: Option<FlowWire>,
        pod: Option<PodWire<'a>>,
    },
    Finding(FindingWire<'a>),
    Coverage {
        time: String,
        pod: PodWire<'a>,
        direction: &'static str,
        state: &'static str,
        why: Option<&'a str>,
        instead: Option<&'a str>,
    },
    Change {
        time: String,
        what: &'static str,
        object: &'a str,
        from: Option<&'a str>,
        to: Option<&'a str>,
    },
    Lost {
        time: String,
        what: &'a str,
        count: u64,
        interface: Option<&'a str>,
        pod: Option<PodWire<'a>>,
        why: &'a str,
    },
    Summary {
        time: String,
        duration_seconds: f64,
        findings: Vec<FindingWire<'a>>,
        /// Findings that the selection or the severity hides.
        hidden: usize,
        packets_seen: u64,
        lost: &'a BTreeMap<String, u64>,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct InterfaceWire<'a> {
    interface: &'a str,
    role: &'static str,
    hook: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct SenseWire<'a> {
    name: &'a str,
    state: &'static str,
    why: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(super) struct SeenAt<'a> {
    interface: &'a str,
    direction: Option<&'static str>,
}

/// The original datagram of an ICMP error.
#[derive(Debug, Serialize)]
pub(super) struct OriginalWire {
    #[serde(flatten)]
    flow: FlowWire,
    length: Option<u32>,
}

/// Nanoseconds as seconds, to the millisecond.
fn seconds(time: Time) -> f64 {
    (time / 1_000_000) as f64 / 1_000.0
}

fn direction(direction: HookDirection) -> &'static str {
    match direction {
        HookDirection::Ingress => "ingress",
        HookDirection::Egress => "egress",
    }
}

impl<'a> Line<'a> {
    /// The line for a message.
    pub fn new(message: &'a Message, clock: WallClock) -> Self {
        match message {
            Message::Start(start) => Self::Start {
                time: clock.rfc3339(start.time),
                version: &start.version,
                kernel: &start.kernel,
                node: &start.node,
                attached: start.attached.iter().map(InterfaceWire::new).collect(),
                pending: &start.pending,
                senses: start.senses.iter().map(SenseWire::new).collect(),
            },
            Message::Progress { time, attached, pending } => {
                Self::Progress { time: clock.rfc3339(*time), attached: *attached, pending: *pending }
            }
            Message::Attached { time, count, took } => {
                Self::Attached { time: clock.rfc3339(*time), attached: *count, seconds: seconds(*took) }
            }
            Message::Attach { time, interface, pod } => Self::Attach {
                time: clock.rfc3339(*time),
                interface: InterfaceWire::new(interface),
                pod: pod.as_ref().map(PodWire::new),
            },
            Message::Detach { time, interface, pod } => Self::Detach {
                time: clock.rfc3339(*time),
                interface: InterfaceWire::new(interface),
                pod: pod.as_ref().map(PodWire::new),
            },
            Message::Diagnosis { time, output } => Self::of_diagnosis(*time, output, clock),
            Message::Summary(summary) => Self::Summary {
                time: clock.rfc3339(summary.time),
                duration_seconds: seconds(summary.duration),
                findings: summary.findings.iter().map(|finding| FindingWire::new(finding, clock)).collect(),
                hidden: summary.hidden,
                packets_seen: summary.packets_seen,
                lost: &summary.lost,
            },
        }
    }

    fn of_diagnosis(time: Time, output: &'a Output, clock: WallClock) -> Self {
        match output {
            Output::Finding(finding) => Self::Finding(FindingWire::new(finding, clock)),
            Output::PacketTooBig(report) => Self::of_packet_too_big(report, clock),
            Output::Drop(report) => Self::of_drop(report, clock),
            Output::Coverage(coverage) => Self::of_coverage(time, coverage, clock),
            Output::Change(change) => Self::of_change(change, clock),
            Output::Lost(lost) => Self::of_lost(lost, clock),
        }
    }

    fn of_packet_too_big(report: &'a PacketTooBigReport, clock: WallClock) -> Self {
        Self::PacketTooBig {
            time: clock.rfc3339(report.time),
            family: report.family.name(),
            stage: report.stage.name(),
            error_id: &report.error_id,
            seen_at: report
                .seen_at
                .as_ref()
                .map(|(interface, seen)| SeenAt { interface, direction: seen.map(direction) }),
            reporter: report.reporter,
            next_hop_mtu: report.next_hop_mtu,
            original: report
                .original
                .as_ref()
                .map(|flow| OriginalWire { flow: FlowWire::new(flow), length: report.original_length }),
            pod: report.pod.as_ref().map(PodWire::new),
            verdict: report.verdict.name(),
            why: report.why.as_deref(),
        }
    }

    fn of_drop(report: &'a DropReport, clock: WallClock) -> Self {
        Self::Drop {
            time: clock.rfc3339(report.time),
            reason: &report.reason,
            location: &report.location,
            interface: &report.interface,
            length: report.length,
            limit_mtu: report.limit_mtu,
            packets: report.packets,
            flow: report.flow.as_ref().map(FlowWire::new),
            pod: report.pod.as_ref().map(PodWire::new),
        }
    }

    fn of_coverage(time: Time, coverage: &'a Coverage, clock: WallClock) -> Self {
        Self::Coverage {
            time: clock.rfc3339(time),
            pod: PodWire::new(&coverage.pod),
            direction: coverage.direction.name(),
            state: coverage.state.name(),
            why: coverage.why,
            instead: coverage.instead,
        }
    }

    fn of_change(change: &'a Change, clock: WallClock) -> Self {
        Self::Change {
            time: clock.rfc3339(change.time),
            what: change.what.name(),
            object: &change.object,
            from: change.from.as_deref(),
            to: change.to.as_deref(),
        }
    }

    fn of_lost(lost: &'a Lost, clock: WallClock) -> Self {
        Self::Lost {
            time: clock.rfc3339(lost.time),
            what: &lost.what,
            count: lost.count,
            interface: lost.interface.as_deref(),
            pod: None,
            why: &lost.why,
        }
    }
}

impl<'a> InterfaceWire<'a> {
    fn new(interface: &'a AttachedInterface) -> Self {
        Self { interface: &interface.interface, role: interface.role.name(), hook: interface.hook.name() }
    }
}

impl<'a> SenseWire<'a> {
    fn new(sense: &'a Sense) -> Self {
        Self { name: &sense.name, state: sense.state.name(), why: sense.why.as_deref() }
    }
}
