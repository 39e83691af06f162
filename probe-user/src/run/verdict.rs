//! The exit status.
use probe_core::model::finding::{Finding, Severity, State};
use std::collections::BTreeSet;

/// What an observation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing at `warning` or above.
    Quiet,
    /// At least one finding at `warning` or above, open or closed, that was not retracted.
    Loud,
    /// A signal ended a search before it was done.
    Interrupted,
}

impl Verdict {
    /// The exit status.
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Quiet => 0,
            Self::Loud => 1,
            // As shells tell of a process that SIGINT ended.
            Self::Interrupted => 130,
        }
    }
}

/// Keeps which findings count for the exit status, whatever is shown.
#[derive(Debug, Default)]
pub(super) struct LoudFindings {
    ids: BTreeSet<String>,
}

impl LoudFindings {
    /// Takes the latest form of a finding.
    pub fn note(&mut self, finding: &Finding) {
        if finding.severity >= Severity::Warning && finding.state != State::Retracted {
            self.ids.insert(finding.id.clone());
        } else {
            self.ids.remove(&finding.id);
        }
    }

    /// What they come to.
    pub fn verdict(&self) -> Verdict {
        if self.ids.is_empty() { Verdict::Quiet } else { Verdict::Loud }
    }
}
