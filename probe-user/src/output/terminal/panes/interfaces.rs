//! Interfaces: MTU, rates, oversize.
use super::Scene;
use crate::output::terminal::reading::{ObservedInterface, key};
use crate::output::terminal::sheet::{Column, Row, Sheet, short};
use crate::output::text::summary::grouped;
use probe_core::model::SECOND;
use probe_core::model::finding::Severity;
use probe_core::model::pod::Pod;
use std::cmp::Reverse;

const COLUMNS: &[Column] = &[
    Column::left("INTERFACE", 15),
    Column::left("ROLE", 7),
    Column::left("MTU", 10),
    Column::right("IN/S", 5),
    Column::right("OUT/S", 5),
    Column::right("BIT/S", 5),
    Column::right("OVERSIZE", 8),
    Column::right("DROPS", 5),
    Column::rest("POD"),
];

pub(in crate::output::terminal) fn sheet(scene: &Scene, sort: &str) -> Sheet {
    let mut seen: Vec<&ObservedInterface> = scene.reading.interfaces.iter().collect();
    seen.sort_by(|left, right| left.interface.name.cmp(&right.interface.name));
    match sort {
        "oversize" => seen.sort_by_key(|seen| Reverse(oversize(seen))),
        "MTU" => seen.sort_by_key(|seen| seen.interface.mtu),
        "traffic" => seen.sort_by_key(|seen| Reverse(rate(scene, seen, "bytes"))),
        _ => {}
    }
    let rows = seen.into_iter().map(|seen| row(scene, seen)).collect();
    Sheet { columns: COLUMNS, rows, empty: "No interface is observed yet.".to_owned() }
}

fn rate(scene: &Scene, seen: &ObservedInterface, what: &str) -> Option<u64> {
    scene.rates.growth(&key(&seen.interface.name, what), SECOND)
}

fn oversize(seen: &ObservedInterface) -> u64 {
    seen.ingress.oversize + seen.egress.oversize
}

fn drops(seen: &ObservedInterface) -> u64 {
    let counters = seen.interface.counters;
    let far = seen.interface.peer.as_ref().and_then(|peer| peer.counters).unwrap_or_default();
    counters.rx_dropped + counters.tx_dropped + far.rx_dropped + far.tx_dropped
}

fn row(scene: &Scene, seen: &ObservedInterface) -> Row {
    let interface = &seen.interface;
    let told =
        |what: &str, times: u64| rate(scene, seen, what).map_or_else(String::new, |rate| short(rate * times));
    let far = interface.peer.as_ref().and_then(|peer| peer.mtu).filter(|mtu| *mtu != interface.mtu);
    let mtu = far.map_or_else(|| interface.mtu.to_string(), |far| format!("{}>{far}", interface.mtu));
    let pod = seen.pod.as_ref().map(Pod::display_name).unwrap_or_default();
    Row {
        key: interface.name.clone(),
        cells: vec![
            interface.name.clone(),
            interface.role.name().to_owned(),
            mtu,
            told("in", 1),
            told("out", 1),
            told("bytes", 8),
            short(oversize(seen)),
            short(drops(seen)),
            pod,
        ],
        severity: if far.is_some() { Severity::Warning } else { Severity::Info },
        faint: seen.hook.is_none(),
        details: details(seen),
    }
}

fn details(seen: &ObservedInterface) -> Vec<(String, String)> {
    let interface = &seen.interface;
    let kind = if interface.kind.is_empty() { "device" } else { interface.kind.as_str() };
    let hook = seen.hook.map_or("not attached: packets are not seen here", |hook| hook.name());
    let mut details = vec![("hook".to_owned(), format!("{kind} {}, {hook}", interface.ifindex))];
    if let Some(pod) = &seen.pod {
        let name = pod.pod_interface.as_deref().unwrap_or("?");
        let mtu = pod.pod_mtu.map_or_else(|| "?".to_owned(), |mtu| mtu.to_string());
        details.push(("pod".to_owned(), format!("{} {name} {mtu}", pod.display_name())));
    }
    if let Some(overhead) = interface.tunnel.as_ref().and_then(|tunnel| tunnel.overhead) {
        details.push(("tunnel".to_owned(), format!("adds {overhead} bytes")));
    }
    let addresses: Vec<String> =
        interface.addresses.iter().map(|(address, length)| format!("{address}/{length}")).collect();
    if !addresses.is_empty() {
        details.push(("address".to_owned(), addresses.join(" ")));
    }
    for (word, passed) in [("in", seen.ingress), ("out", seen.egress)] {
        let (packets, bytes) = (grouped(passed.packets), grouped(passed.bytes));
        details.push((
            word.to_owned(),
            format!("{packets} packets, {bytes} bytes, {} oversize", passed.oversize),
        ));
    }
    let counters = interface.counters;
    let dropped = [
        ("rx_dropped", counters.rx_dropped),
        ("tx_dropped", counters.tx_dropped),
        ("rx_length_errors", counters.rx_length_errors),
        ("rx_over_errors", counters.rx_over_errors),
    ];
    let dropped = dropped.iter().filter(|(_, count)| *count > 0);
    let dropped: Vec<String> = dropped.map(|(name, count)| format!("{name} {}", grouped(*count))).collect();
    if !dropped.is_empty() {
        details.push(("device".to_owned(), dropped.join(", ")));
    }
    details
}
