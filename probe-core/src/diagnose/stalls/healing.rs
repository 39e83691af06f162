//! Connections that stood still and go on with segments as large as before.
//!
//! Either the size was never the reason, or the path was put right. After an outage the first repetition of each connection
//! arrives, and small segments with it. Where several connections lost repetitions after the silent path was proved, the
//! size was the reason: then it was put right.
use super::{RTO_MIN, Stalls};
use crate::diagnose::Diagnoser;
use crate::diagnose::fault::Joint;
use crate::model::Time;
use crate::model::flow::Flow;

/// Connections that lost more after it was proved: one alone may have been unlucky.
const TOGETHER: usize = 2;

impl Stalls {
    /// A repetition of a connection's oldest segment is known to be lost that was sent at this time or later, less the time
    /// after which evidence is read: repetitions are further apart.
    fn lost_since(&self, flow: &Flow, time: Time) -> bool {
        self.stalls.iter().any(|((_, other), stall)| other == flow && stall.known_lost + RTO_MIN >= time)
    }
}

impl Diagnoser {
    /// The segment at which a connection stood still arrived, as large as it was.
    pub(in crate::diagnose) fn note_arrival(&mut self, now: Time, flow: &Flow) {
        let mut healed = Vec::new();
        for (key, fault) in &mut self.faults {
            let is_silent = key.joint == Joint::SilentPath && fault.closed.is_none();
            let Some(proved) = fault.proved.filter(|_| is_silent && fault.flows.contains_key(flow)) else {
                continue;
            };
            let was_size =
                |flow: &Flow, got_through: bool| got_through || self.stalls.lost_since(flow, proved);
            let sure =
                fault.flows.iter().filter(|(flow, evidence)| was_size(flow, evidence.got_through)).count();
            if sure < TOGETHER {
                continue;
            }
            if let Some(evidence) = fault.flows.get_mut(flow) {
                evidence.got_through = true;
            }
            if fault.flows.values().all(|flow| flow.got_through) {
                fault.closed = Some((now, "segments as large as before arrive again".to_owned()));
            }
            healed.push(key.clone());
        }
        if healed.is_empty() {
            self.exonerate(now, |other| other == flow);
        }
        for key in healed {
            self.touch(now, &key);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnose::fixtures::{diagnoser, node, play};
    use crate::diagnose::scenarios::{BACKOFF, MS, closed, retransmit};
    use crate::model::event::Event;
    use crate::model::finding::{Finding, Kind, State};
    use crate::model::{SECOND, Time};

    /// Connections stand still while small requests pass, and then all go on with segments of the same size.
    fn healed(ports: &[u16], lasts: usize) -> Vec<Finding> {
        let mut events: Vec<(Time, Event)> = Vec::new();
        for offset in &BACKOFF[..lasts] {
            for port in ports {
                events.push((SECOND + offset, retransmit(SECOND + offset, *port, 1500)));
            }
        }
        events.insert(2, (SECOND + 40 * MS, closed(SECOND + 40 * MS, 40_009, SECOND + 39 * MS)));
        for port in ports {
            let time = SECOND + BACKOFF[lasts - 1] + 500 * MS;
            let mut end = closed(time, *port, time - MS);
            if let Event::TcpStateChange(end) = &mut end {
                end.total_retrans = 4;
            }
            events.push((time, end));
        }
        play(diagnoser(node(1500)), events)
    }

    #[test]
    fn several_that_go_on_after_long_were_on_a_path_that_was_put_right() {
        let findings = healed(&[40_001, 40_002], 5);
        let [finding] = &findings[..] else { panic!("{findings:#?}") };
        assert_eq!((finding.kind, finding.state), (Kind::PmtuBlackHole, State::Closed));
    }

    #[test]
    fn one_that_goes_on_or_several_soon_stood_still_for_another_reason() {
        for (ports, lasts) in [(&[40_001][..], 5), (&[40_001, 40_002], 4)] {
            let findings = healed(ports, lasts);
            assert!(findings.iter().all(|finding| finding.state == State::Retracted), "{findings:#?}");
        }
    }
}
