//! Packet sizes of each pod, and the picture of the selected one.
use super::Scene;
use crate::output::terminal::sheet::{Column, Row, Sheet, fit, short};
use probe_core::model::finding::{Direction, Severity, State};
use probe_core::model::size_histogram::{SizeBucket, SizeHistogram};
use std::cmp::Reverse;
use std::collections::BTreeMap;

const COLUMNS: &[Column] = &[
    Column::rest("POD"),
    Column::left("INTERFACE", 15),
    Column::right("MTU", 5),
    Column::right("SENDS", 6),
    Column::right("LARGEST", 7),
    Column::right("GETS", 6),
    Column::right("LARGEST", 7),
    Column::right("ABOVE", 5),
];

pub(in crate::output::terminal) fn sheet(scene: &Scene, sort: &str) -> Sheet {
    let mut pods: BTreeMap<&str, Vec<&SizeHistogram>> = BTreeMap::new();
    for histogram in &scene.reading.histograms {
        pods.entry(&histogram.interface).or_default().push(histogram);
    }
    let mut pods: Vec<Vec<&SizeHistogram>> = pods.into_values().collect();
    pods.sort_by_key(|ways| ways.first().map(|histogram| histogram.pod.display_name()));
    if sort == "packets" {
        pods.sort_by_key(|ways| Reverse(ways.iter().map(|histogram| histogram.packets).sum::<u64>()));
    }
    let rows = pods.into_iter().filter_map(|ways| row(&ways)).collect();
    Sheet { columns: COLUMNS, rows, empty: "No pod is observed yet.".to_owned() }
}

fn row(ways: &[&SizeHistogram]) -> Option<Row> {
    let first = ways.first()?;
    let way = |direction: Direction| ways.iter().find(|histogram| histogram.direction == direction);
    let numbers = |direction: Direction| match way(direction).filter(|histogram| histogram.packets > 0) {
        Some(histogram) => [short(histogram.packets), histogram.largest.to_string()],
        None => ["0".to_owned(), String::new()],
    };
    let [sends, largest_sent] = numbers(Direction::FromPod);
    let [gets, largest_got] = numbers(Direction::ToPod);
    let above: u64 = ways.iter().map(|histogram| histogram.above_pod_mtu).sum();
    Some(Row {
        key: first.interface.clone(),
        cells: vec![
            first.pod.display_name(),
            first.interface.clone(),
            first.pod.pod_mtu.map_or_else(|| "?".to_owned(), |mtu| mtu.to_string()),
            sends,
            largest_sent,
            gets,
            largest_got,
            short(above),
        ],
        severity: if above > 0 { Severity::Warning } else { Severity::Info },
        faint: ways.iter().all(|histogram| histogram.packets == 0),
        details: Vec::new(),
    })
}

/// The histograms behind a row.
pub(in crate::output::terminal) fn behind<'a>(scene: &'a Scene, key: &str) -> Vec<&'a SizeHistogram> {
    scene.reading.histograms.iter().filter(|histogram| histogram.interface == key).collect()
}

/// Both ways of a pod side by side: a row per size, its own MTU and the limits that it met marked.
pub(in crate::output::terminal) fn picture(scene: &Scene, key: &str, width: usize) -> Vec<String> {
    let ways = behind(scene, key);
    let side = width.saturating_sub(2) / 2;
    let sides: Vec<(&SizeHistogram, Vec<Option<u32>>)> =
        ways.iter().map(|histogram| (*histogram, limits(scene, histogram))).collect();
    let heads = ways.iter().map(|histogram| {
        let way = match histogram.direction {
            Direction::FromPod => "sends",
            Direction::ToPod => "gets",
            Direction::FromHost | Direction::ToHost => histogram.direction.name(),
        };
        fit(&format!("{way} {}, {} bytes", short(histogram.packets), short(histogram.bytes)), side, false)
    });
    let mut lines = vec![heads.collect::<Vec<_>>().join("  ")];
    for index in worth_a_row(scene, &ways) {
        let cells =
            sides.iter().map(|(histogram, limits)| fit(&bar(histogram, index, limits, side), side, false));
        lines.push(cells.collect::<Vec<_>>().join("  ").trim_end().to_owned());
    }
    lines
}

/// Sizes in use, and those that are marked: a screen has no room for all.
fn worth_a_row(scene: &Scene, ways: &[&SizeHistogram]) -> Vec<usize> {
    let marks = ways.iter().flat_map(|histogram| {
        let sizes = limits(scene, histogram).into_iter().chain([histogram.pod.pod_mtu]);
        sizes.map(|size| bucket_of(histogram, size))
    });
    let marks: Vec<Option<usize>> = marks.collect();
    let count = ways.first().map_or(0, |histogram| histogram.buckets.len());
    let packets = |index: usize| {
        ways.iter()
            .filter_map(|histogram| histogram.buckets.get(index))
            .map(|bucket| bucket.packets)
            .sum::<u64>()
    };
    (0..count).filter(|index| packets(*index) > 0 || marks.contains(&Some(*index))).collect()
}

fn bucket_of(histogram: &SizeHistogram, size: Option<u32>) -> Option<usize> {
    let size = size?;
    histogram.buckets.iter().position(|bucket| bucket.upper.is_none_or(|upper| size <= upper))
}

/// Limits that open findings of this pod and direction tell.
fn limits(scene: &Scene, histogram: &SizeHistogram) -> Vec<Option<u32>> {
    let of_this = scene.told.findings.values().filter(|finding| {
        finding.state == State::Open
            && finding.direction == Some(histogram.direction)
            && finding.pod.as_ref().is_some_and(|pod| pod.key() == histogram.pod.key())
    });
    of_this.map(|finding| finding.limit.mtu).collect()
}

fn bar(histogram: &SizeHistogram, index: usize, limits: &[Option<u32>], width: usize) -> String {
    let Some(SizeBucket { upper, packets }) = histogram.buckets.get(index).copied() else {
        return String::new();
    };
    let edge = upper.map_or_else(|| "larger".to_owned(), |upper| upper.to_string());
    let tenths = u128::from(packets) * 1000 / u128::from(histogram.packets.max(1));
    let percent = format!("{}.{}%", tenths / 10, tenths % 10);
    let is_own = bucket_of(histogram, histogram.pod.pod_mtu) == Some(index);
    let is_limit = limits.iter().any(|limit| bucket_of(histogram, *limit) == Some(index));
    let mark = match (is_own, is_limit) {
        (true, true) => " <MTU <limit",
        (true, false) => " <MTU",
        (false, true) => " <limit",
        (false, false) => "",
    };
    let left = format!("{edge:>6} {:>5} {percent:>6} ", short(packets));
    let room = width.saturating_sub(left.chars().count() + mark.len());
    let most = histogram.buckets.iter().map(|bucket| bucket.packets).max().unwrap_or(0).max(1);
    let length = usize::try_from(u128::from(packets) * room as u128 / u128::from(most)).unwrap_or(0);
    format!("{left}{}{mark}", "█".repeat(length.max(usize::from(packets > 0)).min(room)))
}
