//! The largest packets of the pods as a table, and the chains that make them so.
use probe_core::model::flow::Family;
use probe_core::reach::{Destination, Reach};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Rows at most; pods that are alike share one where there are more.
const ROWS: usize = 16;
/// Chains that are drawn at most.
const CHAINS: usize = 12;
/// Names that are spelt out where pods share a row or a chain.
const NAMED: usize = 3;

/// A row: the interface's name and MTU, the family, and the sizes by destination.
type Row = (String, u32, Family, Vec<String>);

/// A chain without its names: MTU, the route's and overhead of each joint.
type Sizes = Vec<(u32, Option<u32>, u32)>;

/// Table and chains; empty where there is no pod.
pub fn of_reaches(reaches: &[Reach]) -> String {
    if reaches.is_empty() {
        return String::new();
    }
    let rows = rows(reaches);
    let shared = if rows.len() > ROWS { share(rows) } else { rows };
    let more = shared.len().saturating_sub(ROWS);
    let lines: Vec<[String; 7]> = shared
        .into_iter()
        .take(ROWS)
        .map(|(names, (interface, mtu, family, sizes))| {
            let size = |index: usize| sizes.get(index).cloned().unwrap_or_default();
            let family = family.name().to_owned();
            [names_of(&names), interface, mtu.to_string(), family, size(0), size(1), size(2)]
        })
        .collect();
    let mut text =
        "\nlargest packet in bytes that passes whole; outside: at most, up to this node's edge\n".to_owned();
    let head =
        ["pod", "interface", "mtu", "family", "same node", "other nodes", "outside"].map(str::to_owned);
    let widths = widths(&head, &lines);
    for line in [head].iter().chain(&lines) {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _infallible = writeln!(text, "  {}", cells.join("  ").trim_end());
    }
    if more > 0 {
        let _infallible = writeln!(text, "  and {more} more (--output json tells all)");
    }
    text.push_str(&chains(reaches));
    text
}

/// Names, the first few spelt out.
pub fn names(names: &[String], named: usize) -> String {
    let more = names.len().saturating_sub(named);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.iter().take(named).cloned().collect::<Vec<_>>().join(", "))
}

fn names_of(pods: &[String]) -> String {
    names(pods, NAMED)
}

fn widths(head: &[String; 7], lines: &[[String; 7]]) -> Vec<usize> {
    (0..head.len())
        .map(|column| {
            let cells = lines.iter().chain([head]).filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect()
}

fn interface(reach: &Reach) -> String {
    reach.pod.pod_interface.clone().or_else(|| reach.pod.host_interface.clone()).unwrap_or_default()
}

fn rows(reaches: &[Reach]) -> Vec<(Vec<String>, Row)> {
    let mut rows: Vec<(Vec<String>, Row)> = Vec::new();
    let key = |reach: &Reach| (reach.pod.key(), interface(reach), reach.family);
    for group in reaches.chunk_by(|a, b| key(a) == key(b)) {
        let Some(first) = group.first() else { continue };
        let sizes = Destination::ALL.iter().map(|&to| {
            let sizes = || group.iter().filter(|reach| reach.to == to).map(Reach::mtu);
            match (sizes().min(), sizes().max()) {
                (Some(least), Some(most)) if least == most => least.to_string(),
                (Some(least), Some(most)) => format!("{least} to {most}"),
                _ => "-".to_owned(),
            }
        });
        let row = (interface(first), first.pod_mtu(), first.family, sizes.collect());
        rows.push((vec![first.pod.display_name()], row));
    }
    rows
}

/// Pods with the same row share it.
fn share(rows: Vec<(Vec<String>, Row)>) -> Vec<(Vec<String>, Row)> {
    let mut shared: BTreeMap<Row, Vec<String>> = BTreeMap::new();
    for (names, row) in rows {
        shared.entry(row).or_default().extend(names);
    }
    let mut rows: Vec<(Vec<String>, Row)> = shared.into_iter().map(|(row, names)| (names, row)).collect();
    rows.sort_by_key(|(names, _)| std::cmp::Reverse(names.len()));
    rows
}

/// One chain for all that are of the same sizes, the shortest packets first.
fn chains(reaches: &[Reach]) -> String {
    let mut alike: BTreeMap<(u32, Destination, Sizes), Vec<&Reach>> = BTreeMap::new();
    for reach in reaches {
        let sizes = reach.chain.iter().map(|joint| (joint.mtu, joint.route_mtu, joint.overhead)).collect();
        alike.entry((reach.mtu(), reach.to, sizes)).or_default().push(reach);
    }
    let mut text = String::new();
    let more = alike.len().saturating_sub(CHAINS);
    for ((_, to, _), alike) in alike.into_iter().take(CHAINS) {
        let Some(first) = alike.first() else { continue };
        let mut pods: Vec<String> = alike.iter().map(|reach| reach.pod.display_name()).collect();
        pods.sort();
        pods.dedup();
        let to = to.name().replace('_', " ");
        let by = first.limited_by().map(|by| format!(", limited by {by}")).unwrap_or_default();
        let _infallible = writeln!(text, "  {to:<10} {}  ({}{by})", first.text(), names_of(&pods));
    }
    if more > 0 {
        let _infallible = writeln!(text, "  and {more} more chains (--output json tells all)");
    }
    text
}
