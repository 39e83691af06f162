//! Bars: a row per size, the pod's own MTU marked.
use super::Sheet;
use crate::output::wall_clock::WallClock;
use probe_core::model::amount::amount;
use probe_core::model::finding::Direction;
use probe_core::model::size_histogram::{SizeBucket, SizeHistogram};
use std::fmt::Write;

/// Columns of the longest bar.
const BAR: usize = 28;
/// Columns of the longest bar where two stand side by side.
const NARROW_BAR: usize = 10;
/// Parts of a column, from an eighth to seven.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// All of a sheet, 80 columns wide.
pub(super) fn text(sheet: &Sheet, clock: WallClock, compare: bool) -> String {
    let seconds = sheet.observed / 1_000_000_000;
    let mut text = format!(
        "mtuprobe histogram  {} UTC  {seconds} s  sizes in bytes at layer 3\n",
        clock.time_of_day(sheet.time)
    );
    if sheet.histograms.is_empty() {
        text.push_str("no pod is observed\n");
        return text;
    }
    match side_by_side(&sheet.histograms).filter(|_| compare) {
        Some((left, right)) => {
            for (left, right) in left.iter().zip(&right) {
                pair(&mut text, left, right);
            }
        }
        None => {
            if compare {
                text.push_str("compare: name two pods with --pod\n");
            }
            for histogram in &sheet.histograms {
                single(&mut text, histogram);
            }
        }
    }
    text
}

type Both<'a> = Vec<&'a SizeHistogram>;

/// The histograms of the two pods, if it is two: each from and to.
fn side_by_side(histograms: &[SizeHistogram]) -> Option<(Both<'_>, Both<'_>)> {
    let first = histograms.first()?;
    let (left, right): (Both<'_>, Both<'_>) =
        histograms.iter().partition(|histogram| histogram.interface == first.interface);
    let other = right.first()?.interface.as_str();
    let is_one = right.iter().all(|histogram| histogram.interface == other);
    (is_one && left.len() == right.len()).then_some((left, right))
}

fn single(text: &mut String, histogram: &SizeHistogram) {
    head(text, histogram);
    if histogram.packets == 0 {
        return;
    }
    let largest = histogram.buckets.iter().map(|bucket| bucket.packets).max().unwrap_or(0);
    let mut cumulative = 0;
    let shown = shown(&[histogram]);
    for (index, bucket) in histogram.buckets.iter().enumerate() {
        cumulative += bucket.packets;
        if !shown.contains(&index) {
            continue;
        }
        let _ = writeln!(
            text,
            "  {:>6} {:>12} {:>6} {:>6}  {}{}",
            edge(*bucket),
            bucket.packets,
            percent(bucket.packets, histogram.packets),
            percent(cumulative, histogram.packets),
            bar(bucket.packets, largest, BAR),
            if is_own(histogram, index) { "  < MTU" } else { "" },
        );
    }
}

fn pair(text: &mut String, left: &SizeHistogram, right: &SizeHistogram) {
    head(text, left);
    head(text, right);
    if left.packets + right.packets == 0 {
        return;
    }
    for index in shown(&[left, right]) {
        let Some(bucket) = left.buckets.get(index) else { continue };
        let _ = write!(text, "  {:>6}", edge(*bucket));
        for (side, histogram) in [left, right].into_iter().enumerate() {
            let packets = histogram.buckets.get(index).map_or(0, |bucket| bucket.packets);
            let bar = bar(packets, histogram.packets, NARROW_BAR);
            let mark = if is_own(histogram, index) { "<MTU" } else { "" };
            let percent = percent(packets, histogram.packets);
            let _ = write!(text, "  {packets:>11} {percent:>6} {bar:<NARROW_BAR$}{mark:<4}");
            if side == 1 {
                let end = text.trim_end().len();
                text.truncate(end);
            }
        }
        text.push('\n');
    }
}

fn head(text: &mut String, histogram: &SizeHistogram) {
    let mtu = histogram.pod.pod_mtu.map_or_else(|| "unknown".to_owned(), |mtu| mtu.to_string());
    let _ = write!(
        text,
        "{} {}  {}  MTU {mtu}  {}  {}",
        histogram.pod.display_name(),
        direction(histogram.direction),
        histogram.interface,
        amount(histogram.packets, "packet"),
        volume(histogram.bytes),
    );
    if histogram.packets > 0 {
        let _ = write!(text, "  largest {}", histogram.largest);
    }
    if histogram.above_pod_mtu > 0 {
        let _ = write!(text, "  {} above the MTU", histogram.above_pod_mtu);
    }
    text.push('\n');
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::FromPod => "sends",
        Direction::ToPod => "gets",
        Direction::FromHost | Direction::ToHost => direction.name(),
    }
}

/// From the first bucket in use to the last.
fn shown(histograms: &[&SizeHistogram]) -> std::ops::Range<usize> {
    let used = |index: &usize| {
        histograms
            .iter()
            .any(|histogram| histogram.buckets.get(*index).is_some_and(|bucket| bucket.packets > 0))
    };
    let count = histograms.first().map_or(0, |histogram| histogram.buckets.len());
    let first = (0..count).find(used).unwrap_or(0);
    let last = (0..count).rev().find(used).map_or(0, |last| last + 1);
    first..last
}

/// Whether the pod's own MTU falls into a bucket.
fn is_own(histogram: &SizeHistogram, index: usize) -> bool {
    let Some(mtu) = histogram.pod.pod_mtu else { return false };
    let holds = |bucket: &SizeBucket| bucket.upper.is_none_or(|upper| mtu <= upper);
    histogram.buckets.iter().position(holds) == Some(index)
}

fn edge(bucket: SizeBucket) -> String {
    bucket.upper.map_or_else(|| "larger".to_owned(), |upper| upper.to_string())
}

/// In tenths of a percent.
fn percent(part: u64, whole: u64) -> String {
    let tenths = (u128::from(part) * 1000 + u128::from(whole) / 2) / u128::from(whole.max(1));
    format!("{}.{}%", tenths / 10, tenths % 10)
}

/// A bar that is as long as `width` for `whole`; whatever is there shows.
fn bar(part: u64, whole: u64, width: usize) -> String {
    let eighths = u128::from(part) * width as u128 * 8 / u128::from(whole.max(1));
    let eighths = usize::try_from(eighths).unwrap_or(0).max(usize::from(part > 0));
    let mut bar = "█".repeat(eighths / 8);
    if let Some(rest) = (eighths % 8).checked_sub(1) {
        bar.extend(EIGHTHS.get(rest));
    }
    bar
}

fn volume(bytes: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.into_iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => format!("{}.{} {unit}", bytes / size, bytes % size * 10 / size),
        None => format!("{bytes} B"),
    }
}
