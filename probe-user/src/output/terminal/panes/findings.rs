//! The causes by harm.
use super::Scene;
use crate::output::terminal::sheet::{Column, Row, Sheet, age, short};
use crate::output::text::event;
use crate::output::text::summary;
use probe_core::model::SECOND;
use probe_core::model::finding::{Finding, State};
use probe_core::model::pod::Pod;
use std::cmp::Reverse;

const COLUMNS: &[Column] = &[
    Column::left("SEVERITY", 8),
    Column::left("POD", 21),
    Column::right("LIMIT", 5),
    Column::right("AGE", 4),
    Column::right("PER MIN", 7),
    Column::rest("CAUSE"),
];

/// Flows that the details spell out.
const FLOWS_TOLD: usize = 5;

pub(in crate::output::terminal) fn sheet(scene: &Scene, sort: &str) -> Sheet {
    let findings: Vec<Finding> = scene.told.findings.values().cloned().collect();
    let mut causes = summary::causes(&findings);
    match sort {
        "newest" => causes.sort_by_key(|cause| Reverse(cause.iter().map(|finding| finding.first_seen).max())),
        "pod" => causes.sort_by_key(|cause| who(cause)),
        _ => {}
    }
    let rows = causes.iter().filter_map(|cause| row(scene, cause)).collect();
    Sheet { columns: COLUMNS, rows, empty: nothing(scene) }
}

/// The findings behind a row, the worst first.
pub(in crate::output::terminal) fn behind<'a>(scene: &'a Scene, key: &str) -> Vec<&'a Finding> {
    let mut findings: Vec<&Finding> =
        scene.told.findings.values().filter(|finding| cause_id(finding) == key).collect();
    findings.sort_by_key(|finding| Reverse(finding.severity));
    findings
}

fn cause_id(finding: &Finding) -> &str {
    finding.cause.as_ref().map_or(&finding.id, |cause| &cause.id)
}

fn row(scene: &Scene, findings: &[&Finding]) -> Option<Row> {
    let worst = findings.first()?;
    let is_over = findings.iter().all(|finding| finding.state != State::Open);
    let severity = if is_over { worst.state.name().to_owned() } else { event::severity(worst.severity) };
    let began = findings.iter().map(|finding| finding.first_seen).min()?;
    let per_minute: u64 =
        findings.iter().filter_map(|finding| scene.rates.growth(&finding.id, 60 * SECOND)).sum();
    Some(Row {
        key: cause_id(worst).to_owned(),
        cells: vec![
            severity,
            who(findings),
            limit(worst),
            age(scene.now.saturating_sub(began)),
            short(per_minute),
            summary::title(findings).to_owned(),
        ],
        severity: worst.severity,
        faint: is_over,
        details: details(scene, findings),
    })
}

/// The first pod, and how many more.
fn who(findings: &[&Finding]) -> String {
    let of = |finding: &&Finding| {
        finding.pod.iter().chain(&finding.pods).map(Pod::display_name).collect::<Vec<_>>()
    };
    let mut pods: Vec<String> = findings.iter().flat_map(of).collect();
    pods.sort();
    pods.dedup();
    match pods.as_slice() {
        [] => "the node".to_owned(),
        [pod] => pod.clone(),
        [pod, more @ ..] => format!("{pod} +{}", more.len()),
    }
}

fn limit(finding: &Finding) -> String {
    match (finding.limit.mtu, finding.limit.between) {
        (Some(mtu), _) => mtu.to_string(),
        (None, Some((arrives, _))) => format!("≥{arrives}"),
        (None, None) => "?".to_owned(),
    }
}

fn details(scene: &Scene, findings: &[&Finding]) -> Vec<(String, String)> {
    let Some(worst) = findings.first() else { return Vec::new() };
    let kind = match worst.reason {
        Some(reason) => format!("{} / {}", worst.kind.name(), reason.name()),
        None => worst.kind.name().to_owned(),
    };
    let mut details = vec![
        ("what".to_owned(), summary::title(findings).to_owned()),
        ("kind".to_owned(), format!("{kind}, {}, {}", worst.certainty.name(), worst.outcome.name())),
        ("extent".to_owned(), summary::extent(findings, scene.clock)),
    ];
    // The way and the limiting joint before the rest.
    details.extend(summary::details(findings).into_iter().map(|(word, rest)| (word.to_owned(), rest)));
    let counts = worst.counts;
    let counted = [
        (counts.oversize_packets, "oversize"),
        (counts.dropped_packets, "dropped"),
        (counts.ptb_generated, "ICMP errors made"),
        (counts.ptb_delivered, "delivered"),
        (counts.fragments_created, "fragments"),
        (counts.retransmits, "retransmits"),
    ];
    let counted = counted.iter().filter(|(count, _)| *count > 0);
    let counted: Vec<String> =
        counted.map(|(count, what)| format!("{} {what}", summary::grouped(*count))).collect();
    if !counted.is_empty() {
        details.push(("counts".to_owned(), counted.join(", ")));
    }
    let flows = findings.iter().flat_map(|finding| &finding.flows);
    for flow in flows.take(FLOWS_TOLD) {
        let (packets, largest) = (flow.packets, flow.largest_packet);
        let outcome = flow.outcome.name();
        details.push(("flow".to_owned(), format!("{} {outcome}, {packets} of up to {largest}", flow.flow)));
    }
    let ids: Vec<&str> = findings.iter().map(|finding| finding.id.as_str()).collect();
    details.push(("id".to_owned(), ids.join(" ")));
    details
}

/// What is said while there is nothing: silence is good news only where something is seen.
fn nothing(scene: &Scene) -> String {
    let told = &scene.told;
    if told.start.is_none() {
        return "Attaching to the first interfaces ...".to_owned();
    }
    let seen = event::counted(told.attached, "interface");
    if told.attached == 0 {
        return "Nothing found, and no interface is observed: packets are not seen.".to_owned();
    }
    format!("Nothing found so far at {seen}.")
}
