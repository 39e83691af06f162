//! The page that Prometheus reads: families of samples, and the two formats they are written in.
//!
//! `catalogue` says what each metric is called and means, `process` what this process uses, `exposition` writes.
pub mod catalogue;
mod exposition;
mod process;

pub use exposition::{Format, write};
pub use process::process_families;

use probe_core::model::size_histogram::SizeBucket;

/// What a metric does over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; its name ends with `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, sum and count.
    Histogram,
}

/// What is known of a metric before anything is counted.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Full name.
    pub name: &'static str,
    /// What it does over time.
    pub kind: Kind,
    /// What it means.
    pub help: &'static str,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A count.
    Count(u64),
    /// A measure.
    Number(f64),
    /// Packets by size, and their bytes.
    Sizes {
        /// By rising size.
        buckets: Vec<SizeBucket>,
        /// Bytes.
        sum: u64,
    },
}

/// One time series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Names and values.
    pub labels: Vec<(&'static str, String)>,
    /// Value.
    pub value: Value,
}

/// A metric with its series.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Which.
    pub metric: &'static Metric,
    /// Its series.
    pub samples: Vec<Sample>,
}

impl Family {
    /// A family from labels and values.
    pub fn new(
        metric: &'static Metric,
        samples: impl IntoIterator<Item = (Vec<(&'static str, String)>, Value)>,
    ) -> Self {
        let samples = samples.into_iter().map(|(labels, value)| Sample { labels, value }).collect();
        Self { metric, samples }
    }

    /// One value without labels.
    pub fn single(metric: &'static Metric, value: Value) -> Self {
        Self::new(metric, [(Vec::new(), value)])
    }
}
