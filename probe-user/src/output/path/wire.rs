//! One line per size, then one for the path.
use super::PathReport;
use crate::output::json_lines::PodWire;
use probe_core::path_search::{Hop, Step, TooBig, Vanishing};
use serde::Serialize;
use std::io::{self, Write};
use std::net::IpAddr;

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "step")]
struct StepWire {
    size: u32,
    sent: u32,
    answered: u32,
    too_big: Vec<TooBigWire>,
    refused: bool,
    verdict: &'static str,
}

#[derive(Debug, Serialize)]
struct TooBigWire {
    router: IpAddr,
    next_hop_mtu: u32,
    count: u32,
    verdict: &'static str,
    why: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "path")]
struct PathWire<'a> {
    pod: Option<PodWire<'a>>,
    destination: IpAddr,
    asked: &'a str,
    port: Option<u16>,
    source: IpAddr,
    family: &'static str,
    protocol: &'static str,
    mtu: u32,
    exact: bool,
    interrupted: bool,
    interface: &'a str,
    interface_mtu: u32,
    route_mtu: Option<u32>,
    icmp: Option<&'static str>,
    errors: ErrorsWire,
    black_hole: bool,
    limited_by: Option<LimitWire<'a>>,
    vanishes: Option<VanishingWire>,
    gain: GainWire,
    verdict: String,
    sent: u32,
    unanswered: &'a [String],
    learned: Vec<LearnedWire>,
    caused: Vec<LearnedWire>,
}

/// A router where one told, else the sender's own device or route.
#[derive(Debug, Serialize)]
struct LimitWire<'a> {
    router: Option<IpAddr>,
    next_hop_mtu: Option<u32>,
    interface: Option<&'a str>,
}

/// Packets sent that were too big for the path, and ICMP errors that came back about them.
#[derive(Debug, Serialize)]
struct ErrorsWire {
    expected: u32,
    received: u32,
}

/// Between which hops packets of a size vanish; `after` is null if they do not reach the first.
#[derive(Debug, Serialize)]
struct VanishingWire {
    size: u32,
    after: Option<HopWire>,
    before: HopWire,
}

#[derive(Debug, Serialize)]
struct HopWire {
    hop: u8,
    address: IpAddr,
}

#[derive(Debug, Serialize)]
struct GainWire {
    bytes: u32,
    percent: f64,
}

#[derive(Debug, Serialize)]
struct LearnedWire {
    mtu: u32,
    expires_seconds: u32,
}

/// Writes it for programs.
///
/// # Errors
/// The stream cannot be written to.
pub fn json_lines(report: &PathReport, stream: &mut impl Write) -> io::Result<()> {
    for step in &report.steps {
        line(stream, &step_wire(step))?;
    }
    line(stream, &path_wire(report))
}

fn line(stream: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}

fn step_wire(step: &Step) -> StepWire {
    let too_big = |too_big: &TooBig| TooBigWire {
        router: too_big.router,
        next_hop_mtu: too_big.next_hop_mtu,
        count: too_big.count,
        verdict: if too_big.implausible.is_some() { "implausible" } else { "plausible" },
        why: too_big.implausible,
    };
    StepWire {
        size: step.size,
        sent: step.sent,
        answered: step.answered,
        too_big: step.too_big.iter().map(too_big).collect(),
        refused: step.refused,
        verdict: step.verdict().name(),
    }
}

fn path_wire(report: &PathReport) -> PathWire<'_> {
    let PathReport { ends, way, found, .. } = report;
    let learned = |exceptions: &[probe_core::model::pmtu_exception::PmtuException]| {
        exceptions
            .iter()
            .map(|exception| LearnedWire { mtu: exception.mtu, expires_seconds: exception.expires })
            .collect()
    };
    let limited_by = match found.router {
        Some((router, mtu)) => {
            Some(LimitWire { router: Some(router), next_hop_mtu: Some(mtu), interface: None })
        }
        None if found.icmp.is_none() && report.is_full() => Some(LimitWire {
            router: None,
            next_hop_mtu: Some(report.ceiling),
            interface: Some(&way.interface),
        }),
        None => None,
    };
    let (expected, received) = report.errors();
    let hop = |hop: Hop| HopWire { hop: hop.distance, address: hop.address };
    let vanishing = |Vanishing { size, after, before }| VanishingWire {
        size,
        after: after.map(hop),
        before: hop(before),
    };
    PathWire {
        pod: report.pod.as_ref().map(PodWire::new),
        destination: ends.dst,
        asked: &report.destination,
        port: Some(ends.dst_port).filter(|&port| port != 0),
        source: ends.src,
        family: ends.family().name(),
        protocol: ends.method.name(),
        mtu: found.mtu,
        exact: found.is_exact(),
        interrupted: report.interrupted,
        interface: &way.interface,
        interface_mtu: way.mtu,
        route_mtu: way.route_mtu,
        icmp: found.icmp.map(|icmp| icmp.name()),
        errors: ErrorsWire { expected, received },
        black_hole: found.black_hole,
        limited_by,
        vanishes: report.vanishing.map(vanishing),
        gain: GainWire { bytes: report.gain(), percent: report.gain_percent() },
        verdict: report.verdict(),
        sent: report.sent,
        unanswered: &report.unanswered,
        learned: learned(&report.learned),
        caused: learned(&report.caused),
    }
}
