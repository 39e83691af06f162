//! Counters of our network namespace and of the pods', read in turn.
use crate::attribution::CounterReader;
use probe_core::diagnose::NetnsCounters;
use probe_core::model::pod::Pod;

/// Pods whose counters are read at a time: each takes some ten microseconds, or a visit where no process is known.
const PODS_AT_A_TIME: usize = 16;

/// Reads a few namespaces at each call.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    reader: CounterReader,
    next: usize,
}

impl Namespaces {
    /// Ours, and the next few pods'. What cannot be read is left out: a pod may just be going.
    pub fn read(&mut self, pods: &[Pod]) -> Vec<NetnsCounters> {
        self.reader.keep(pods);
        let mut counters: Vec<NetnsCounters> = self.reader.read(None).into_iter().collect();
        let in_turn = pods.iter().cycle().skip(self.next % pods.len().max(1));
        for pod in in_turn.take(PODS_AT_A_TIME.min(pods.len())) {
            counters.extend(self.reader.read(Some(pod)));
        }
        self.next = self.next.wrapping_add(PODS_AT_A_TIME);
        counters
    }
}
