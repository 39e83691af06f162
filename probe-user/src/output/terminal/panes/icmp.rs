//! The ledger of ICMP errors about size: who said what, and how far it came.
use super::Scene;
use crate::output::terminal::sheet::{Column, Row, Sheet};
use crate::output::terminal::told::SeenError;
use crate::output::wall_clock::WallClock;
use probe_core::diagnose::{PacketTooBigReport, Stage, Verdict};
use probe_core::model::finding::Severity;
use probe_core::model::packet_too_big::HookDirection;
use probe_core::model::pod::Pod;
use std::cmp::Reverse;

const COLUMNS: &[Column] = &[
    Column::left("TIME", 8),
    Column::right("MTU", 5),
    Column::left("SAYS", 15),
    Column::left("CAME AS FAR AS", 19),
    Column::rest("ABOUT"),
];

pub(in crate::output::terminal) fn sheet(scene: &Scene, sort: &str) -> Sheet {
    let mut errors: Vec<&SeenError> = scene.told.errors.iter().rev().collect();
    let first = |error: &SeenError| error.reports.first().cloned();
    match sort {
        "MTU" => errors.sort_by_key(|error| first(error).and_then(|report| report.next_hop_mtu)),
        "sender" => errors.sort_by_key(|error| Reverse(first(error).and_then(|report| report.reporter))),
        _ => {}
    }
    let rows = errors.into_iter().filter_map(|error| row(error, scene.clock)).collect();
    Sheet { columns: COLUMNS, rows, empty: "No ICMP error about size was seen so far.".to_owned() }
}

/// The error behind a row.
pub(in crate::output::terminal) fn behind<'a>(scene: &'a Scene, key: &str) -> Option<&'a SeenError> {
    scene.told.errors.iter().find(|error| error.reports.first().is_some_and(|first| first.error_id == key))
}

fn row(error: &SeenError, clock: WallClock) -> Option<Row> {
    let first = error.reports.first()?;
    let known = |of: fn(&PacketTooBigReport) -> Option<String>| error.reports.iter().find_map(of);
    let came = |stage: Stage| error.reports.iter().any(|report| report.stage == stage);
    let worst = error.reports.iter().map(|report| report.verdict).max().unwrap_or(first.verdict);
    let severity = match (worst, came(Stage::Dropped)) {
        (Verdict::Implausible | Verdict::UnknownFlow, _) | (Verdict::Plausible, true) => Severity::Warning,
        (Verdict::Plausible, false) => Severity::Info,
    };
    // The details have those before.
    let furthest = error.reports.iter().max_by_key(|report| report.stage)?;
    let place = furthest.seen_at.as_ref().map(|(interface, _)| format!(" {interface}")).unwrap_or_default();
    let mtu = known(|report| report.next_hop_mtu.map(|mtu| mtu.to_string()));
    let original = known(|report| report.original.map(|flow| flow.to_string()));
    Some(Row {
        key: first.error_id.clone(),
        cells: vec![
            clock.time_of_day(first.time),
            mtu.unwrap_or_default(),
            known(|report| report.reporter.map(|reporter| reporter.to_string())).unwrap_or_default(),
            format!("{}{place}", furthest.stage.name()),
            original.unwrap_or_default(),
        ],
        severity,
        faint: false,
        details: details(error, worst, clock),
    })
}

fn details(error: &SeenError, verdict: Verdict, clock: WallClock) -> Vec<(String, String)> {
    let mut details = Vec::new();
    let known = |of: fn(&PacketTooBigReport) -> Option<String>| error.reports.iter().find_map(of);
    let about = known(|report| {
        let length = report.original_length.map(|length| format!(" of {length} bytes")).unwrap_or_default();
        report.original.map(|flow| format!("{flow}{length}"))
    });
    details.extend(about.map(|about| ("about".to_owned(), about)));
    let pod = known(|report| report.pod.as_ref().map(Pod::display_name));
    details.extend(pod.map(|pod| ("pod".to_owned(), pod)));
    for report in &error.reports {
        let place = match &report.seen_at {
            Some((interface, Some(HookDirection::Ingress))) => format!(" received at {interface}"),
            Some((interface, Some(HookDirection::Egress))) => format!(" sent at {interface}"),
            Some((interface, None)) => format!(" at {interface}"),
            None => String::new(),
        };
        let time = clock.time_of_day(report.time);
        details.push((report.stage.name().to_owned(), format!("{time}{place}")));
    }
    let why = known(|report| report.why.clone()).map(|why| format!(": {why}")).unwrap_or_default();
    details.push(("verdict".to_owned(), format!("{}{why}", verdict.name())));
    details
}
