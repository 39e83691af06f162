//! Lost evidence: where records were lost, that none was seen proves nothing.
use super::Diagnoser;
use super::fault::FaultKey;
use crate::model::event::Lost;
use crate::model::{SECOND, Time};

/// What is counted when a record of a drop may be among the lost. Names are those of the kernel side's skip reasons;
/// what the gate holds back of a flow that was told of is none of them.
const RECORDS: &[&str] = &[
    "ring_full",
    "interface_rate",
    "cpu_rate",
    "filter_sample",
    "map_full",
    "read_failed",
    super::filtered::FORGOTTEN,
];

/// A loss is noticed up to so long after it happened.
const NOTICED_AFTER: Time = 2 * SECOND;

/// When records were lost last.
#[derive(Debug, Default)]
pub(super) struct Losses {
    last: Option<Time>,
}

impl Losses {
    pub fn add(&mut self, lost: &Lost) {
        if RECORDS.contains(&lost.what.as_str()) {
            self.last = self.last.max(Some(lost.time));
        }
    }

    /// Whether records may have been lost after a time.
    pub fn since(&self, time: Time) -> bool {
        self.last.is_some_and(|last| last + NOTICED_AFTER >= time)
    }
}

impl Diagnoser {
    /// Says whether drops that belong to a fault would have been seen.
    pub(super) fn note_losses(&mut self, key: &FaultKey) {
        let Some(fault) = self.faults.get_mut(key) else { return };
        fault.drops_observable = self.senses.kfree_skb && !self.losses.since(fault.first_seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::Senses;
    use crate::diagnose::fixtures::{diagnoser, node, play};
    use crate::diagnose::scenarios::{BACKOFF, closed, retransmit};
    use crate::model::event::Event;
    use crate::model::finding::{Certainty, Finding, LimitAt, Reason};

    const MS: Time = SECOND / 1000;

    /// Two connections that stand still at a large segment while small ones pass, and perhaps lost evidence.
    fn silent_path(diagnoser: Diagnoser, lost: Option<&str>) -> Finding {
        let mut events: Vec<(Time, Event)> = Vec::new();
        for offset in BACKOFF {
            for port in [40_001, 40_002] {
                events.push((SECOND + offset, retransmit(SECOND + offset, port, 1500)));
            }
        }
        events.insert(2, (SECOND + 40 * MS, closed(SECOND + 40 * MS, 40_003, SECOND + 39 * MS)));
        if let Some(what) = lost {
            let time = SECOND + 500 * MS;
            let lost = Lost { time, what: what.to_owned(), count: 7, interface: None, why: String::new() };
            let place = events.iter().position(|(other, _)| *other > time).unwrap_or(events.len());
            events.insert(place, (time, Event::Lost(lost)));
        }
        let mut findings = play(diagnoser, events);
        assert_eq!(findings.len(), 1, "{findings:#?}");
        let finding = findings.remove(0);
        assert_eq!(finding.reason, Some(Reason::PathSilent));
        finding
    }

    #[test]
    fn with_all_evidence_it_is_confirmed() {
        for lost in [None, Some("held_back")] {
            let finding = silent_path(diagnoser(node(1500)), lost);
            assert_eq!((finding.certainty, finding.limit.at), (Certainty::Confirmed, LimitAt::Path));
            assert!(finding.explanation.contains("Nothing was dropped on this node"));
        }
    }

    #[test]
    fn lost_records_leave_a_doubt() {
        let finding = silent_path(diagnoser(node(1500)), Some("ring_full"));
        assert_eq!(finding.certainty, Certainty::Suspected);
        assert!(finding.explanation.contains("Not all drops on this node could be observed"));
    }

    #[test]
    fn without_the_sense_the_place_is_not_known() {
        let senses =
            Senses { tc: true, kfree_skb: false, icmp_send: true, tcp_retransmit: true, conntrack: false };
        let mut blind = Diagnoser::new(senses);
        blind.handle_topology(0, node(1500));
        let finding = silent_path(blind, None);
        assert_eq!((finding.certainty, finding.limit.at), (Certainty::Suspected, LimitAt::Unknown));
        assert!(!finding.explanation.contains("Nothing was dropped on this node"));
    }
}
