//! What contradicts that a size is the reason why a connection stands still: an outage that ended, and losses that meet
//! every size.
use super::{Acknowledged, RTO_MIN, Stall, Stalls};
use crate::diagnose::Diagnoser;
use crate::diagnose::fault::Joint;
use crate::model::Time;
use crate::model::flow::{Family, Flow};
use std::net::IpAddr;

/// Bytes of a packet that no path is too small for: the minimum of IPv6 (RFC 8200 section 5), and what every host of IPv4
/// takes (RFC 791); links below that are not built.
pub(super) const fn every_path_carries(family: Family) -> u32 {
    match family {
        Family::Ipv4 => 576,
        Family::Ipv6 => 1280,
    }
}

impl Stall {
    /// The repetitions of the oldest segment that a record stands for. What was held back since the record before may be of
    /// other segments; the timer repeats no faster than this.
    pub(super) fn repetitions(&self, packets: u64, time: Time) -> u64 {
        if self.retransmissions == 0 {
            return 1;
        }
        packets.min(1 + time.saturating_sub(self.repeated_at) / RTO_MIN)
    }
}

impl Acknowledged {
    /// A segment as large arrived after the connection began to stand still, of one that did not.
    pub(super) fn contradicts(&self, stall: &Stall) -> bool {
        self.size >= stall.segment && self.from >= stall.began && !self.stood_still
    }
}

impl Stalls {
    /// Whether a connection stands still, or did a while ago.
    pub(super) fn stands_still(&self, flow: &Flow) -> bool {
        self.stalls.iter().any(|((_, other), stall)| other == flow && stall.is_proved())
    }

    /// Whether segments of a size that is said to pass stand still between the same two hosts at the same time.
    fn stands_at(&self, flow: &Flow, passed: u32, from: Time, until: Time) -> bool {
        self.stalls.iter().any(|((_, other), stall)| {
            other.src == flow.src
                && other.dst == flow.dst
                && stall.retransmissions >= 2
                && stall.segment <= passed
                && stall.began <= until
                && stall.last >= from
        })
    }
}

impl Diagnoser {
    /// Takes back what was said of connections to an address, if what passes according to it stands still as well.
    pub(super) fn retract_contradicted(&mut self, now: Time, remote: IpAddr) {
        let silent = self.faults.iter().filter(|(key, _)| key.joint == Joint::SilentPath);
        let contradicted: Vec<Flow> = silent
            .filter_map(|(_, fault)| Some((fault.limit.between?.0, fault)))
            .flat_map(|(passed, fault)| fault.flows.iter().map(move |(flow, known)| (passed, flow, known)))
            .filter(|(passed, flow, known)| {
                flow.dst == remote && self.stalls.stands_at(flow, *passed, known.first, known.last)
            })
            .map(|(_, flow, _)| *flow)
            .collect();
        if !contradicted.is_empty() {
            self.exonerate_at(now, |joint| *joint == Joint::SilentPath, |flow| contradicted.contains(flow));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnose::fixtures::{diagnoser, node, play};
    use crate::diagnose::scenarios::{BACKOFF, MS, closed, retransmit};
    use crate::model::event::Event;
    use crate::model::finding::{Finding, Reason, State};
    use crate::model::{SECOND, Time};

    /// A connection stands still at large segments; a small one opens and closes at a time, which is acknowledged.
    fn silent(mut others: Vec<(Time, Event)>, small: Time) -> Vec<Finding> {
        let mut events: Vec<(Time, Event)> = Vec::new();
        for offset in BACKOFF {
            events.push((SECOND + offset, retransmit(SECOND + offset, 40_001, 1500)));
        }
        events.push((small, opened(small, 40_003)));
        events.push((small + 2 * MS, closed(small + 2 * MS, 40_003, small + MS)));
        events.append(&mut others);
        events.sort_by_key(|(time, _)| *time);
        play(diagnoser(node(1500)), events)
    }

    fn opened(time: Time, port: u16) -> Event {
        let mut event = closed(time, port, time);
        if let Event::TcpStateChange(change) = &mut event {
            change.established = true;
        }
        event
    }

    #[test]
    fn small_segments_between_repetitions_are_proof() {
        let findings = silent(Vec::new(), SECOND + 800 * MS);
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert_eq!((findings[0].reason, findings[0].state), (Some(Reason::PathSilent), State::Open));
    }

    #[test]
    fn what_passes_after_the_last_repetition_may_be_the_end_of_an_outage() {
        let findings = silent(Vec::new(), 5 * SECOND);
        assert!(findings.is_empty(), "{findings:#?}");
    }

    #[test]
    fn what_is_said_to_pass_and_stands_still_as_well_takes_it_back() {
        let small = BACKOFF[..3].iter().map(|offset| {
            let time = 2 * SECOND + offset;
            // Larger than a handshake, smaller than what is said to pass.
            (time, retransmit(time, 40_009, 100))
        });
        let findings = silent(small.collect(), SECOND + 800 * MS);
        assert!(findings.iter().all(|finding| finding.state == State::Retracted), "{findings:#?}");
    }
}
