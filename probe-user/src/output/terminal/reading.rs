//! What was read of the observation at one moment, beside what it tells.
use crate::output::Hook;
use probe_core::model::finding::Finding;
use probe_core::model::interface::Interface;
use probe_core::model::pod::Pod;
use probe_core::model::size_histogram::SizeHistogram;
use probe_core::model::{SECOND, Time};
use std::collections::{BTreeMap, VecDeque};

/// Rates are those of the last so many nanoseconds.
const WINDOW: Time = 10 * SECOND;

/// One look at the observation.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// When.
    pub time: Time,
    /// The interfaces that are observed.
    pub interfaces: Vec<ObservedInterface>,
    /// Packet sizes by pod and direction.
    pub histograms: Vec<SizeHistogram>,
    /// The findings that stand, as of now.
    pub findings: Vec<Finding>,
}

/// An interface and what its hooks counted.
#[derive(Clone, Debug)]
pub struct ObservedInterface {
    /// The interface.
    pub interface: Interface,
    /// The pod behind it.
    pub pod: Option<Pod>,
    /// How the programs hang on it; `None` where they do not (yet).
    pub hook: Option<Hook>,
    /// Received by the interface.
    pub ingress: Passed,
    /// Sent by the interface.
    pub egress: Passed,
}

/// What passed a hook. Segmentation-offload packets count as the segments that they become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Packets (segments).
    pub packets: u64,
    /// Bytes at layer 3.
    pub bytes: u64,
    /// Packets (segments) whose own way out is smaller.
    pub oversize: u64,
}

/// Numbers that grow, and how fast they did lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Rates {
    history: BTreeMap<String, VecDeque<(Time, u64)>>,
}

/// What an interface's numbers are kept under.
pub(super) fn key(interface: &str, what: &str) -> String {
    format!("{interface}\0{what}")
}

impl Rates {
    pub fn take(&mut self, reading: &Reading) {
        let mut numbers: Vec<(String, u64)> = Vec::new();
        for seen in &reading.interfaces {
            let name = &seen.interface.name;
            numbers.push((key(name, "in"), seen.ingress.packets));
            numbers.push((key(name, "out"), seen.egress.packets));
            numbers.push((key(name, "bytes"), seen.ingress.bytes + seen.egress.bytes));
        }
        let met = |finding: &Finding| finding.counts.oversize_packets.max(finding.counts.dropped_packets);
        numbers.extend(reading.findings.iter().map(|finding| (finding.id.clone(), met(finding))));
        for (key, number) in numbers {
            self.history.entry(key).or_default().push_back((reading.time, number));
        }
        for history in self.history.values_mut() {
            while history.len() > 2 && history.front().is_some_and(|(time, _)| time + WINDOW < reading.time) {
                history.pop_front();
            }
        }
        // What was not read any more is over.
        self.history.retain(|_, history| history.back().is_some_and(|(time, _)| *time == reading.time));
    }

    /// Growth in `per` nanoseconds; `None` if it was read once only.
    pub fn growth(&self, key: &str, per: Time) -> Option<u64> {
        let history = self.history.get(key)?;
        let ((since, before), (now, after)) = (history.front()?, history.back()?);
        let passed = now.checked_sub(*since).filter(|passed| *passed > 0)?;
        let grown = u128::from(after.saturating_sub(*before));
        u64::try_from(grown * u128::from(per) / u128::from(passed)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let mut rates = Rates::default();
        let at = |second: u64, number: u64| {
            let mut finding = crate::output::sample::finding();
            finding.counts.oversize_packets = number;
            Reading { time: second * SECOND, findings: vec![finding], ..Reading::default() }
        };
        rates.take(&at(1, 12));
        assert_eq!(rates.growth("f3a9c1", SECOND), None);
        rates.take(&at(2, 32));
        assert_eq!(rates.growth("f3a9c1", SECOND), Some(20));
        for second in 3..30 {
            rates.take(&at(second, 32));
        }
        assert_eq!(rates.growth("f3a9c1", SECOND), Some(0));
        rates.take(&Reading { time: 31 * SECOND, ..Reading::default() });
        assert_eq!(rates.growth("f3a9c1", SECOND), None);
    }
}
