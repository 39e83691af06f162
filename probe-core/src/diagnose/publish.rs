//! From faults and mismatches to findings.
use super::causes;
use super::exceptions::{Oddity, Suspicion};
use super::fault::{Fault, Joint, Judgement};
use super::latent::Mismatch;
use super::rules::{self, Case, Teller, Telling};
use super::short_id;
use super::verification::of_mismatch;
use crate::model::finding::{
    Cause, Certainty, Counts, Direction, Finding, FlowReport, Impact, Kind, Limit, LimitAt, LimitHow,
    Outcome, Severity, State,
};
use crate::model::topology::Topology;
use crate::model::{SECOND, Time};

/// Flows listed in a finding; all are counted.
const MAX_FLOWS_SHOWN: usize = 20;

/// A finding that was published, as it was last.
#[derive(Clone, Debug)]
pub(super) struct Published {
    pub judgement: Judgement,
    pub state: State,
    pub limit: Limit,
}

/// The finding of a fault.
pub(super) fn finding(
    topology: &Topology,
    fault: &Fault,
    judgement: Judgement,
    cause: Cause,
    now: Time,
) -> Option<Finding> {
    let rule = rules::rule(judgement.kind)?;
    let Teller::Traffic(tell) = rule.tell else { return None };
    let Telling { title, explanation, fixes } = tell(&Case { topology, fault, judgement });
    let (state, ended) = match &fault.closed {
        Some((time, _)) => (State::Closed, Some(*time)),
        None => (State::Open, None),
    };
    let explanation = match &fault.closed {
        Some((_, why)) => format!("{explanation} Closed: {why}."),
        None => explanation + &hidden_overhead(topology, fault.limit.interface.as_deref()),
    };
    Some(Finding {
        id: short_id(&format!("{:?}", fault.key)),
        state,
        kind: judgement.kind,
        reason: judgement.reason,
        severity: judgement.severity,
        certainty: judgement.certainty,
        family: Some(fault.key.family),
        cause: Some(cause),
        pod: fault.pod.clone(),
        pods: Vec::new(),
        direction: Some(fault.key.direction),
        limit: fault.limit.clone(),
        outcome: judgement.outcome,
        flows: flow_reports(fault, now),
        counts: counts(fault),
        first_seen: fault.first_seen,
        last_seen: fault.last_seen,
        ended,
        impact: if state == State::Open { impact(fault, judgement, now) } else { Impact::default() },
        chain: if state == State::Open { chain(topology, fault) } else { None },
        title,
        explanation,
        fixes,
    })
}

fn flow_reports(fault: &Fault, now: Time) -> Vec<FlowReport> {
    let mut flows: Vec<FlowReport> = fault
        .flows
        .values()
        .map(|flow| FlowReport {
            flow: flow.flow,
            nat: None,
            src_name: None,
            dst_name: None,
            packets: flow.packets,
            largest_packet: flow.largest,
            df: flow.df,
            outcome: fault.outcome(flow, now),
        })
        .collect();
    flows.sort_by_key(|flow| std::cmp::Reverse((flow.outcome, flow.packets)));
    flows.truncate(MAX_FLOWS_SHOWN);
    flows
}

fn counts(fault: &Fault) -> Counts {
    let mut counts = Counts { oversize_packets: fault.packets_beyond, ..Counts::default() };
    for flow in fault.flows.values() {
        counts.oversize_packets += flow.packets;
        counts.dropped_packets += flow.drops;
        counts.ptb_generated += flow.errors_made.max(flow.errors_delivered);
        counts.ptb_delivered += flow.errors_delivered.saturating_sub(flow.errors_dropped);
        counts.fragments_created += flow.fragmented * 2;
        counts.retransmits += flow.retransmits;
    }
    counts
}

fn impact(fault: &Fault, judgement: Judgement, now: Time) -> Impact {
    let lost: u64 = fault.flows.values().map(|flow| flow.drops).sum();
    let seconds = (fault.last_seen.saturating_sub(fault.first_seen) / SECOND).max(1);
    let stalled = if judgement.kind == Kind::PmtuBlackHole {
        fault.flows.values().filter(|flow| fault.outcome(flow, now) == Outcome::Lost).count()
    } else {
        0
    };
    Impact { stalled_flows: stalled as u64, lost_per_minute: lost * 60 / seconds }
}

/// The chain of MTUs from the pod outwards, with the limiting joint in brackets.
fn chain(topology: &Topology, fault: &Fault) -> Option<String> {
    let pod = fault.pod.as_ref()?;
    let host_end = topology.interface(pod.host_ifindex?)?;
    let mark = |text: String, limiting: bool| if limiting { format!("[{text}]") } else { text };
    let inner = format!(
        "pod {} {}",
        pod.pod_interface.as_deref().unwrap_or("?"),
        pod.pod_mtu.map_or_else(|| "?".to_owned(), |mtu| mtu.to_string())
    );
    let outer = format!("{} {}", host_end.name, host_end.mtu);
    let from_pod = fault.key.direction == Direction::FromPod;
    let at_veth = matches!(fault.key.joint, Joint::Veth(_));
    let mut chain = vec![mark(inner, at_veth && !from_pod), mark(outer, at_veth && from_pod)];
    match &fault.key.joint {
        Joint::Port(ifindex) | Joint::Egress(ifindex, _) => {
            let name = topology.interface(*ifindex).map_or("?", |interface| interface.name.as_str());
            chain.push(mark(format!("{name} {}", fault.limit.mtu?), true));
        }
        Joint::Tunnel(ifindex) => {
            let tunnel = topology.interface(*ifindex)?;
            chain.push(format!("{} {}", tunnel.name, tunnel.mtu));
            let underlay = topology.interface(tunnel.tunnel.as_ref()?.underlay?)?;
            let overhead = tunnel.tunnel.as_ref()?.overhead?;
            chain.push(mark(format!("{} {} - {overhead}", underlay.name, underlay.mtu), true));
        }
        Joint::Router(router, mtu) => chain.push(mark(format!("router {router} {mtu}"), true)),
        Joint::SilentPath => chain.push(mark("beyond this node".to_owned(), true)),
        Joint::Program(_) => {
            let place = fault.limit.interface.as_deref().unwrap_or("this node");
            chain.push(mark(format!("a program or filter at {place}"), true));
        }
        Joint::PodDevice(..) => {
            let device = format!("{} {}", fault.limit.interface.as_deref()?, fault.limit.mtu?);
            chain.insert(0, mark(device, true));
        }
        Joint::Veth(_) | Joint::FragmentFilter(_) | Joint::Reassembly(_) | Joint::Announcement(_) => {}
    }
    if !from_pod {
        chain.reverse();
    }
    Some(chain.join(" > "))
}

/// What is said of a device behind which a program puts packets into others of its own.
fn hidden_overhead(topology: &Topology, interface: Option<&str>) -> String {
    let device = interface.and_then(|name| topology.interface_named(name));
    match device.filter(|device| device.kind == "tun" && device.master.is_none()) {
        Some(device) => format!(
            " {} leads to a program that puts packets into others of its own: its overhead is unknown, so whether what \
             fits here fits the underlay is unknown too.",
            device.name
        ),
        None => String::new(),
    }
}

fn latent_id(mismatch: &Mismatch) -> String {
    let Mismatch { kind, ifindex, limit, .. } = mismatch;
    short_id(&match (mismatch.direction, mismatch.family) {
        (Some(direction), Some(family)) => format!("{kind:?} {ifindex} {limit} {direction:?} {family:?}"),
        (_, _) => format!("{kind:?} {ifindex} {limit}"),
    })
}

/// The finding of a mismatch that no packet need have met.
pub(super) fn latent(topology: &Topology, mismatch: &Mismatch, now: Time) -> Option<Finding> {
    latent_finding(topology, mismatch, None, now)
}

/// The finding of a mismatch, in the words of its kind's rule or in others.
pub(crate) fn latent_finding(
    topology: &Topology,
    mismatch: &Mismatch,
    telling: Option<Telling>,
    now: Time,
) -> Option<Finding> {
    let rule = rules::rule(mismatch.kind)?;
    let Teller::Latent(tell) = rule.tell else { return None };
    let Telling { title, mut explanation, mut fixes } = telling.unwrap_or_else(|| tell(topology, mismatch));
    fixes.push(of_mismatch(mismatch.pod.as_ref()));
    explanation += &hidden_overhead(topology, Some(&mismatch.interface));
    let id = latent_id(mismatch);
    Some(Finding {
        cause: Some(causes::of_mismatch(topology, mismatch, &id, &title)),
        id,
        state: State::Open,
        kind: mismatch.kind,
        reason: None,
        severity: if mismatch.certain { Severity::Warning } else { Severity::Info },
        certainty: Certainty::Confirmed,
        family: mismatch.family,
        pod: mismatch.pod.clone(),
        pods: mismatch.pods.clone(),
        direction: mismatch.direction,
        limit: Limit {
            mtu: Some(mismatch.limit),
            between: None,
            at: mismatch.at,
            interface: Some(mismatch.interface.clone()),
            router: None,
            how: mismatch.how,
        },
        outcome: Outcome::Latent,
        flows: Vec::new(),
        counts: Counts::default(),
        first_seen: now,
        last_seen: now,
        ended: None,
        impact: Impact::default(),
        chain: None,
        title,
        explanation,
        fixes,
    })
}

/// The finding of a learned path MTU that nothing explains.
pub(super) fn exception(topology: &Topology, suspicion: &Suspicion, now: Time) -> Option<Finding> {
    let kind = Kind::PmtuExceptionSuspicious;
    let Teller::Exception(tell) = rules::rule(kind)?.tell else { return None };
    let Telling { title, explanation, fixes } = tell(suspicion);
    let Suspicion { netns, family, mtu, oddity, .. } = suspicion;
    let cause = Cause {
        kind: None,
        id: short_id(&format!("{kind:?} {mtu}"))[..4].to_owned(),
        title: format!("somebody announces a path MTU of {mtu}"),
        scope: "path",
        pods_affected: u32::from(suspicion.pod.is_some()),
        pods_total: u32::try_from(topology.pods.len()).unwrap_or(u32::MAX),
        changed: None,
    };
    Some(Finding {
        id: short_id(&format!("{kind:?} {netns} {family:?} {mtu} {oddity:?}")),
        state: State::Open,
        kind,
        reason: None,
        severity: if suspicion.used { Severity::Warning } else { Severity::Info },
        certainty: match oddity {
            Oddity::Absurd => Certainty::Confirmed,
            // That something was not seen is one sense.
            Oddity::Unexplained => Certainty::Suspected,
        },
        family: Some(*family),
        cause: Some(cause),
        pod: suspicion.pod.clone(),
        pods: Vec::new(),
        direction: Some(if suspicion.pod.is_some() { Direction::FromPod } else { Direction::FromHost }),
        limit: Limit {
            interface: suspicion.interface.clone(),
            ..Limit::known(*mtu, LimitAt::Unknown, LimitHow::Icmp, None)
        },
        outcome: if suspicion.used { Outcome::Delivered } else { Outcome::Latent },
        flows: Vec::new(),
        counts: Counts::default(),
        first_seen: now.saturating_sub(Time::from(suspicion.age) * SECOND),
        last_seen: now,
        ended: None,
        impact: Impact::default(),
        chain: None,
        title,
        explanation,
        fixes,
    })
}
