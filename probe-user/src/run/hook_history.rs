//! What the hooks counted a short while ago.
//!
//! Counters of devices come with a snapshot of links, which takes a while to read and may wait in a queue. Compared with
//! what the hooks count by then, a hook would seem to miss what passed meanwhile: its own count from before the snapshot is
//! needed.
use crate::output::wall_clock::monotonic_now;
use probe_core::diagnose::HookCounters;
use probe_core::model::Time;
use std::collections::{BTreeMap, VecDeque};

/// Readings that are kept: more than wait in the queue of snapshots.
const KEPT: usize = 16;

/// Packets at the ingress and the egress hook.
type Packets = [Option<u64>; 2];

/// The last readings, the oldest first.
#[derive(Debug, Default)]
pub(super) struct HookHistory {
    readings: VecDeque<(Time, BTreeMap<u32, Packets>)>,
}

impl HookHistory {
    /// Keeps what was read just now.
    pub fn keep(&mut self, hooks: &[HookCounters]) {
        // After the reading: none of these counts is younger.
        self.keep_of(monotonic_now(), hooks);
    }

    fn keep_of(&mut self, time: Time, hooks: &[HookCounters]) {
        if self.readings.len() == KEPT {
            self.readings.pop_front();
        }
        let packets = hooks.iter().map(|hook| (hook.ifindex, [hook.ingress, hook.egress]));
        self.readings.push_back((time, packets.collect()));
    }

    fn before(&self, time: Time) -> Option<&BTreeMap<u32, Packets>> {
        self.readings.iter().rev().find(|(read, _)| *read <= time).map(|(_, packets)| packets)
    }

    /// Whether there is a hook that was read before a time.
    pub fn is_read(&self, ifindex: u32, before: Time) -> bool {
        let packets = self.before(before).and_then(|read| read.get(&ifindex));
        packets.is_some_and(|packets| packets.iter().any(Option::is_some))
    }

    /// Those of the hooks that can be compared with devices that were read from a time on, with what they had counted
    /// before that. One that was attached later says nothing of what its device counted.
    pub fn comparable(&self, began: Time, hooks: &[HookCounters]) -> Vec<HookCounters> {
        let before = self.before(began);
        let complete = |hook: &HookCounters| {
            if hook.ingress.is_none() && hook.egress.is_none() {
                return Some(*hook);
            }
            let [ingress_before, egress_before] = *before?.get(&hook.ifindex)?;
            let attached_since = ingress_before.is_some() == hook.ingress.is_some();
            attached_since.then_some(HookCounters { ingress_before, egress_before, ..*hook })
        };
        hooks.iter().filter_map(complete).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(packets: Option<u64>) -> HookCounters {
        HookCounters {
            ifindex: 3,
            ingress: packets,
            egress: packets,
            ingress_before: None,
            egress_before: None,
        }
    }

    #[test]
    fn the_last_count_before_the_snapshot_goes_with_it() {
        let mut history = HookHistory::default();
        for time in 0..40_u64 {
            history.keep_of(time * 10, &[hook(Some(time))]);
        }
        let compared = history.comparable(395, &[hook(Some(44))]);
        assert_eq!(
            compared,
            [HookCounters { ingress_before: Some(39), egress_before: Some(39), ..hook(Some(44)) }]
        );
        assert_eq!(history.comparable(389, &[hook(Some(44))])[0].ingress_before, Some(38));
    }

    #[test]
    fn what_was_attached_after_the_snapshot_is_not_compared() {
        let mut history = HookHistory::default();
        assert!(history.comparable(10, &[hook(Some(7))]).is_empty());
        history.keep_of(20, &[hook(None)]);
        history.keep_of(30, &[hook(Some(1))]);
        assert!(history.comparable(10, &[hook(Some(7))]).is_empty());
        assert!(history.comparable(25, &[hook(Some(7))]).is_empty());
        assert_eq!(history.comparable(30, &[hook(Some(7))]).len(), 1);
        // A hook that could not be attached sees nothing at any time.
        assert_eq!(history.comparable(10, &[hook(None)]), [hook(None)]);
    }
}
