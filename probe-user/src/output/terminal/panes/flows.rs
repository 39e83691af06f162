//! Flows that met a limit.
use super::Scene;
use crate::output::terminal::sheet::{Column, Row, Sheet, short};
use probe_core::model::finding::{Finding, FlowReport, Outcome, Severity, State};
use probe_core::model::pod::Pod;
use std::cmp::Reverse;

const COLUMNS: &[Column] = &[
    Column::left("OUTCOME", 10),
    Column::rest("FLOW"),
    Column::right("PACKETS", 7),
    Column::right("LARGEST", 7),
    Column::right("LIMIT", 5),
];

pub(in crate::output::terminal) fn sheet(scene: &Scene, sort: &str) -> Sheet {
    let findings = scene.told.findings.values().filter(|finding| finding.state != State::Retracted);
    let mut flows: Vec<(&Finding, &FlowReport)> =
        findings.flat_map(|finding| finding.flows.iter().map(move |flow| (finding, flow))).collect();
    match sort {
        "packets" => flows.sort_by_key(|(_, flow)| Reverse(flow.packets)),
        "largest" => flows.sort_by_key(|(_, flow)| Reverse(flow.largest_packet)),
        _ => flows.sort_by_key(|(finding, flow)| Reverse((flow.outcome, finding.severity, flow.packets))),
    }
    let rows = flows.into_iter().map(|(finding, flow)| row(finding, flow)).collect();
    Sheet { columns: COLUMNS, rows, empty: "No flow met a limit so far.".to_owned() }
}

/// The finding that a row is of.
pub(in crate::output::terminal) fn finding_of<'a>(scene: &'a Scene, key: &str) -> Option<&'a Finding> {
    scene.told.findings.get(key.split_once(' ')?.0)
}

fn row(finding: &Finding, flow: &FlowReport) -> Row {
    let severity = match flow.outcome {
        Outcome::Lost => finding.severity,
        Outcome::Fragmented => Severity::Warning,
        Outcome::Latent | Outcome::Delivered | Outcome::Refused | Outcome::Recovered => Severity::Info,
    };
    let pod = finding.pod.as_ref().map_or_else(|| "the node".to_owned(), Pod::display_name);
    let direction = finding.direction.map_or("", |direction| direction.name());
    let mut details = vec![
        ("pod".to_owned(), format!("{pod} {direction}")),
        ("finding".to_owned(), format!("{}  {}  {}", finding.id, finding.kind.name(), finding.title)),
    ];
    if let Some(nat) = &flow.nat {
        details.push(("behind NAT".to_owned(), nat.to_string()));
    }
    let df = if flow.df { "may not be fragmented (DF)" } else { "may be fragmented" };
    details.push(("packets".to_owned(), format!("{} of up to {}, {df}", flow.packets, flow.largest_packet)));
    details.extend(finding.chain.clone().map(|chain| ("chain".to_owned(), chain)));
    Row {
        key: format!("{} {}", finding.id, flow.flow),
        cells: vec![
            flow.outcome.name().to_owned(),
            flow.flow.to_string(),
            short(flow.packets),
            flow.largest_packet.to_string(),
            finding.limit.mtu.map_or_else(|| "?".to_owned(), |mtu| mtu.to_string()),
        ],
        severity,
        faint: finding.state != State::Open,
        details,
    }
}
