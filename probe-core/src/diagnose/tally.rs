//! What faults have come to so far, for those who look on for months: a service that counts, a terminal that shows.
use super::{Diagnoser, short_id};
use crate::model::Time;
use crate::model::finding::{Direction, Finding, LimitAt, State};
use crate::model::flow::Protocol;
use crate::model::pod::Pod;
use std::collections::BTreeMap;

/// What one fault has come to. All counts only grow, until the fault is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The id of its finding.
    pub finding: String,
    /// Whose packets.
    pub pod: Option<Pod>,
    /// Which way.
    pub direction: Direction,
    /// Where the limit is.
    pub at: LimitAt,
    /// Packets that met the limit, by protocol and whether they had DF; without a protocol those of flows beyond what is
    /// kept of one fault.
    pub packets: BTreeMap<(Option<Protocol>, bool), u64>,
    /// Packets of them that were dropped.
    pub dropped: u64,
}

impl Diagnoser {
    /// The findings that stand, as of now.
    pub fn open_findings(&self, now: Time) -> Vec<Finding> {
        let open = self.faults.iter().filter(|(_, fault)| fault.closed.is_none());
        let traffic = open.filter_map(|(key, _)| self.finding(now, key));
        let standing = self.untold_mismatches().filter(|finding| finding.state == State::Open).cloned();
        traffic.chain(standing).collect()
    }

    /// What each fault that was told of has come to, closed ones too until they are forgotten.
    pub fn tallies(&self) -> Vec<Tally> {
        let told = self.faults.values().filter(|fault| self.published.contains_key(&fault.key));
        told.map(|fault| {
            let mut packets = BTreeMap::new();
            if fault.packets_beyond > 0 {
                packets.insert((None, true), fault.packets_beyond);
            }
            let mut dropped = 0;
            for flow in fault.flows.values() {
                *packets.entry((Some(flow.flow.protocol), flow.df)).or_default() += flow.packets;
                dropped += flow.drops;
            }
            Tally {
                finding: short_id(&format!("{:?}", fault.key)),
                pod: fault.pod.clone(),
                direction: fault.key.direction,
                at: fault.limit.at,
                packets,
                dropped,
            }
        })
        .collect()
    }
}
