//! Findings that stand without packets: mismatches, and path MTUs that nothing explains.
use super::exceptions::suspicion::Circumstances;
use super::{Diagnoser, FORGET, Output, latent, publish};
use crate::model::Time;
use crate::model::finding::{Finding, State};
use std::collections::BTreeMap;

impl Diagnoser {
    /// Opens and closes the findings of mismatches.
    pub(super) fn compare_mismatches(&mut self, now: Time) {
        let configured = latent::mismatches(&self.topology);
        let announced = self.announcements.mismatches(&self.topology);
        let circumstances =
            Circumstances { topology: &self.topology, coverages: &self.coverages, tc: self.senses.tc };
        let suspicions = self.exceptions.suspicions(now, &circumstances);
        let suspicious =
            suspicions.iter().filter_map(|suspicion| publish::exception(&self.topology, suspicion, now));
        let found: BTreeMap<String, Finding> = configured
            .iter()
            .chain(&announced)
            .filter_map(|mismatch| publish::latent(&self.topology, mismatch, now))
            .chain(suspicious)
            .map(|finding| (finding.id.clone(), finding))
            .collect();
        for (id, known) in &mut self.latent {
            if !found.contains_key(id) && known.state == State::Open {
                known.state = State::Closed;
                known.ended = Some(now);
                self.output.push_back(Output::Finding(known.clone()));
            }
        }
        for (id, finding) in found {
            let known = self.latent.get(&id);
            if known.is_none_or(|known| known.state != State::Open || known.severity != finding.severity) {
                self.output.push_back(Output::Finding(finding.clone()));
                self.latent.insert(id, finding);
            }
        }
        self.latent.retain(|_, finding| finding.ended.is_none_or(|ended| ended + FORGET >= now));
    }
}
