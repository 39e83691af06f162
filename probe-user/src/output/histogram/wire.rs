//! One line per pod and direction.
use super::Sheet;
use crate::output::json_lines::PodWire;
use crate::output::wall_clock::WallClock;
use serde::Serialize;
use std::io::{self, Write};

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "histogram")]
struct Line<'a> {
    time: String,
    pod: PodWire<'a>,
    interface: &'a str,
    direction: &'static str,
    /// Packets of each bucket alone; the last has no upper bound.
    buckets: Vec<BucketWire>,
    packets: u64,
    bytes: u64,
    largest: u32,
    pod_mtu: Option<u32>,
    above_pod_mtu: u64,
}

#[derive(Debug, Serialize)]
struct BucketWire {
    le: Option<u32>,
    packets: u64,
}

pub(super) fn write(stream: &mut impl Write, sheet: &Sheet, clock: WallClock) -> io::Result<()> {
    for histogram in &sheet.histograms {
        let buckets = histogram.buckets.iter();
        let line = Line {
            time: clock.rfc3339(sheet.time),
            pod: PodWire::new(&histogram.pod),
            interface: &histogram.interface,
            direction: histogram.direction.name(),
            buckets: buckets.map(|bucket| BucketWire { le: bucket.upper, packets: bucket.packets }).collect(),
            packets: histogram.packets,
            bytes: histogram.bytes,
            largest: histogram.largest,
            pod_mtu: histogram.pod.pod_mtu,
            above_pod_mtu: histogram.above_pod_mtu,
        };
        let mut line = serde_json::to_vec(&line)?;
        line.push(b'\n');
        stream.write_all(&line)?;
    }
    Ok(())
}
