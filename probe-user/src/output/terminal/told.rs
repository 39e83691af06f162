//! What the observation told so far.
use crate::output::{Message, Start};
use probe_core::diagnose::{Output, PacketTooBigReport};
use probe_core::model::Time;
use probe_core::model::change::Change;
use probe_core::model::coverage::Coverage;
use probe_core::model::finding::Finding;
use std::collections::{BTreeMap, VecDeque};

/// Changes that are kept, the last ones.
const MAX_CHANGES: usize = 50;
/// ICMP errors that are kept, the last ones.
const MAX_ERRORS: usize = 500;
/// Findings that are kept; those that are over go first.
const MAX_FINDINGS: usize = 2000;

/// One ICMP error, and how far it came: a report for each stage.
#[derive(Clone, Debug)]
pub(super) struct SeenError {
    pub reports: Vec<PacketTooBigReport>,
}

/// What was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub start: Option<Start>,
    pub attached: usize,
    pub pending: usize,
    pub changes: VecDeque<Change>,
    pub coverage: Vec<Coverage>,
    pub findings: BTreeMap<String, Finding>,
    /// The oldest first.
    pub errors: VecDeque<SeenError>,
    /// Errors that are no longer kept.
    pub errors_forgotten: u64,
    pub lost: BTreeMap<String, u64>,
    /// When evidence was lost last.
    pub last_loss: Option<Time>,
    /// Messages in all.
    pub messages: u64,
}

impl Told {
    pub fn hear(&mut self, message: &Message) {
        self.messages += 1;
        match message {
            Message::Start(start) => {
                self.attached = start.attached.len();
                self.pending = start.pending.len();
                self.start = Some(start.clone());
            }
            Message::Progress { attached, pending, .. } => {
                (self.attached, self.pending) = (*attached, *pending);
            }
            Message::Attached { count, .. } => (self.attached, self.pending) = (*count, 0),
            Message::Attach { .. } => self.attached += 1,
            Message::Detach { .. } => self.attached = self.attached.saturating_sub(1),
            Message::Diagnosis { output, .. } => self.hear_diagnosis(output),
            // The end is told elsewhere.
            Message::Summary(_) => {}
        }
    }

    fn hear_diagnosis(&mut self, output: &Output) {
        match output {
            Output::Finding(finding) => {
                if self.findings.len() >= MAX_FINDINGS {
                    self.forget_a_finding();
                }
                self.findings.insert(finding.id.clone(), finding.clone());
            }
            Output::PacketTooBig(report) => self.hear_error(report),
            // The finding that a drop belongs to counts it.
            Output::Drop(_) => {}
            Output::Coverage(coverage) => {
                self.coverage
                    .retain(|old| old.pod.key() != coverage.pod.key() || old.direction != coverage.direction);
                self.coverage.push(coverage.clone());
            }
            Output::Change(change) => {
                if self.changes.len() >= MAX_CHANGES {
                    self.changes.pop_front();
                }
                self.changes.push_back(change.clone());
            }
            Output::Lost(lost) => {
                *self.lost.entry(lost.what.clone()).or_default() += lost.count;
                self.last_loss = Some(lost.time);
            }
        }
    }

    fn hear_error(&mut self, report: &PacketTooBigReport) {
        let known = self
            .errors
            .iter_mut()
            .rev()
            .find(|error| error.reports.first().is_some_and(|first| first.error_id == report.error_id));
        if let Some(known) = known {
            match known.reports.iter_mut().find(|old| old.stage == report.stage) {
                Some(old) => old.clone_from(report),
                None => known.reports.push(report.clone()),
            }
            return;
        }
        if self.errors.len() >= MAX_ERRORS {
            self.errors.pop_front();
            self.errors_forgotten += 1;
        }
        self.errors.push_back(SeenError { reports: vec![report.clone()] });
    }

    /// Takes the present form of findings that were told of; others were not asked for.
    pub fn refresh(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            if let Some(known) = self.findings.get_mut(&finding.id) {
                *known = finding;
            }
        }
    }

    fn forget_a_finding(&mut self) {
        let oldest = self.findings.values().filter_map(|finding| Some((finding.ended?, &finding.id))).min();
        if let Some(id) = oldest.map(|(_, id)| id.clone()) {
            self.findings.remove(&id);
        }
    }
}
