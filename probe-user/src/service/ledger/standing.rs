//! What stands: findings by their labels, and causes.
use super::owner::Census;
use super::{Ledger, Owner};
use probe_core::model::finding::{Certainty, Finding, Kind, Outcome, Severity};
use probe_core::model::{SECOND, Time};
use std::collections::BTreeMap;

/// A cause loses packets now if its findings met some within this time.
const LOSING: Time = 120 * SECOND;

/// Labels of a finding: pod, kind, reason, severity, certainty.
pub(super) type FindingKey = (Owner, &'static str, &'static str, &'static str, &'static str);

/// A cause of findings that stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingCause {
    /// Opaque, stable.
    pub id: String,
    /// `pod`, `link`, `bridge`, `overlay`, `uplink`, `path` or `filter`.
    pub scope: &'static str,
    /// Of its worst finding.
    pub kind: Kind,
    /// Of its worst finding.
    pub severity: Severity,
    /// Of its worst finding.
    pub certainty: Certainty,
    /// It met packets just now, and they were lost.
    pub losing: bool,
}

/// The causes of findings, each once.
pub fn causes(now: Time, findings: &[Finding]) -> Vec<StandingCause> {
    let mut causes: BTreeMap<&str, StandingCause> = BTreeMap::new();
    for finding in findings {
        let (id, scope) = match &finding.cause {
            Some(cause) => (cause.id.as_str(), cause.scope),
            None => (finding.id.as_str(), "pod"),
        };
        let losing = finding.outcome == Outcome::Lost && finding.last_seen + LOSING >= now;
        let this = StandingCause {
            id: id.to_owned(),
            scope,
            kind: finding.kind,
            severity: finding.severity,
            certainty: finding.certainty,
            losing,
        };
        let worst = causes.entry(id).or_insert_with(|| this.clone());
        let losing = worst.losing || losing;
        if (finding.severity, finding.certainty) > (worst.severity, worst.certainty) {
            *worst = this;
        }
        worst.losing = losing;
    }
    causes.into_values().collect()
}

impl Ledger {
    /// Number of findings by their labels.
    pub(super) fn findings(&self, findings: &[Finding]) -> BTreeMap<FindingKey, u64> {
        count(&self.census, findings)
    }
}

fn count(census: &Census, findings: &[Finding]) -> BTreeMap<FindingKey, u64> {
    let mut counts = BTreeMap::new();
    for finding in findings {
        let key = (
            census.lookup(finding.pod.as_ref()),
            finding.kind.name(),
            finding.reason.map_or("", |reason| reason.name()),
            finding.severity.name(),
            finding.certainty.name(),
        );
        *counts.entry(key).or_default() += 1;
    }
    counts
}
