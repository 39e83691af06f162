//! Several ways to one address (ECMP, several uplinks): what passes by one of them says nothing of another.
//!
//! Routers spread connections, not packets. Where one way carries less and says nothing, some connections stand still from
//! their first full segment on, and others carry as large ones all the time. A connection that was merely cut off, or a
//! path that died, stands still in the midst of what it carried.
use super::{HANDSHAKE, Stall, Stalls};
use crate::model::flow::Flow;

/// Connections that all stand still at their first large segment: one alone may have been cut off just there.
const ALIKE: usize = 2;

impl Stall {
    /// Something of this connection was acknowledged after its handshake, and never anything as large as what it stands
    /// still at.
    fn stands_at_first_large(&self) -> bool {
        let is_known = self.segment != u32::MAX;
        is_known && self.acked > 1 && self.acked + u64::from(HANDSHAKE) <= u64::from(self.segment)
    }
}

impl Stalls {
    /// Whether a connection stands still on a way on which small packets passed and no large one ever did, as others
    /// between the same two hosts do: large ones that arrive came another way.
    pub(super) fn takes_another_path(&self, flow: &Flow, stall: &Stall) -> bool {
        let is_alike = |other: &Flow, stall: &Stall| {
            other.src == flow.src
                && other.dst == flow.dst
                && stall.is_proved()
                && !stall.got_through
                && stall.stands_at_first_large()
        };
        stall.stands_at_first_large()
            && self.stalls.iter().filter(|((_, other), stall)| is_alike(other, stall)).count() >= ALIKE
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnose::fixtures::{diagnoser, node, play};
    use crate::diagnose::scenarios::{BACKOFF, MS, closed, retransmit};
    use crate::model::SECOND;
    use crate::model::Time;
    use crate::model::event::Event;
    use crate::model::finding::{Finding, Reason, State};

    /// Two connections stand still after these bytes were acknowledged, while others finish, large segments and all.
    fn beside_others(acked: u64) -> Vec<Finding> {
        let mut events: Vec<(Time, Event)> = Vec::new();
        for offset in BACKOFF {
            for port in [40_001, 40_002] {
                let mut event = retransmit(SECOND + offset, port, 1500);
                if let Event::TcpRetransmit(event) = &mut event {
                    event.bytes_acked = acked;
                }
                events.push((SECOND + offset, event));
            }
        }
        for (port, large) in [(40_003, false), (40_004, true)] {
            // Small ones between two repetitions, large ones long after the first.
            let time = if large { 3 * SECOND + 500 * MS } else { 2 * SECOND };
            let mut event = closed(time, port, time - MS);
            if let Event::TcpStateChange(event) = &mut event {
                event.bytes_acked = if large { 1448 * 20 } else { 300 };
                event.data_segments_out = if large { 20 } else { 3 };
            }
            events.push((time, event));
        }
        events.sort_by_key(|(time, _)| *time);
        play(diagnoser(node(1500)), events)
    }

    #[test]
    fn large_segments_by_another_path_refute_nothing() {
        let findings = beside_others(42);
        let [finding] = &findings[..] else { panic!("{findings:#?}") };
        assert_eq!(finding.reason, Some(Reason::PathSilent));
        assert_eq!((finding.flows.len(), finding.state), (2, State::Open));
        assert_eq!(finding.limit.between, Some((152, 1500)));
        assert!(finding.explanation.contains("one of several paths"), "{}", finding.explanation);
    }

    #[test]
    fn connections_that_were_cut_off_are_refuted() {
        let findings = beside_others(1448 * 40);
        assert!(findings.iter().all(|finding| finding.state == State::Retracted), "{findings:#?}");
    }
}
