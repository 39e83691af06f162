//! What was told of each cause, and what is worth telling now.
use probe_core::model::finding::{Certainty, Finding, Kind, Reason, Severity};
use probe_core::model::pod::{Pod, PodKey};
use probe_core::model::{SECOND, Time};
use std::collections::BTreeMap;

/// A cause is told when it has stood for so long: its first findings are young, and others follow.
const SETTLES: Time = 3 * SECOND;
/// A change that is no worsening is told so often at most.
const GAP: Time = 300 * SECOND;
/// A cause is over when none of its findings stood for so long.
const OVER: Time = 30 * SECOND;
/// Findings that a notice brings along, the worst ones.
const FINDINGS: usize = 10;

/// What is told of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is new.
    Open,
    /// It got worse, surer, or concerns many more pods.
    Changed,
    /// It is over.
    Closed,
}

impl Turn {
    /// Name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Changed => "changed",
            Self::Closed => "closed",
        }
    }
}

/// A cause with what its findings say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedCause {
    /// Opaque, stable.
    pub id: String,
    /// One line.
    pub title: String,
    /// `pod`, `link`, `bridge`, `overlay`, `uplink`, `path` or `filter`.
    pub scope: &'static str,
    /// Of the worst finding.
    pub kind: Kind,
    /// Of the worst finding.
    pub reason: Option<Reason>,
    /// Of the worst finding.
    pub severity: Severity,
    /// Of the worst finding.
    pub certainty: Certainty,
    /// Pods that suffer.
    pub pods: BTreeMap<PodKey, Pod>,
    /// Pods on this node.
    pub pods_total: u32,
    /// A change shortly before.
    pub changed: Option<String>,
    /// What to do now.
    pub fix: Option<String>,
    /// When its first packet was met.
    pub first_seen: Time,
    /// When its last packet was met.
    pub last_seen: Time,
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// When.
    pub time: Time,
    /// What about it.
    pub turn: Turn,
    /// The cause.
    pub cause: NotedCause,
    /// Its worst findings.
    pub findings: Vec<Finding>,
}

#[derive(Debug)]
struct Entry {
    cause: NotedCause,
    findings: Vec<Finding>,
    first: Time,
    last: Time,
    /// What was told of it, and when.
    told: Option<(Time, Severity, Certainty, usize)>,
}

/// What was told of each cause.
#[derive(Debug)]
pub struct Book {
    min_severity: Severity,
    entries: BTreeMap<String, Entry>,
}

impl Book {
    /// Causes below a severity are not told.
    pub fn new(min_severity: Severity) -> Self {
        Self { min_severity, entries: BTreeMap::new() }
    }

    /// Another severity from now on.
    pub fn set_min_severity(&mut self, min_severity: Severity) {
        self.min_severity = min_severity;
    }

    /// Looks at the findings that stand, and says what is worth telling.
    pub fn look(&mut self, now: Time, findings: &[Finding]) -> Vec<Notice> {
        for (cause, findings) in causes(findings) {
            match self.entries.get_mut(&cause.id) {
                Some(entry) => (entry.cause, entry.findings, entry.last) = (cause, findings, now),
                None => {
                    let id = cause.id.clone();
                    self.entries.insert(id, Entry { cause, findings, first: now, last: now, told: None });
                }
            }
        }
        let mut notices = Vec::new();
        self.entries.retain(|_, entry| {
            let over = entry.last + OVER < now;
            let turn =
                if over { entry.told.map(|_| Turn::Closed) } else { entry.turn(now, self.min_severity) };
            if let Some(turn) = turn {
                let pods = entry.cause.pods.len();
                entry.told = Some((now, entry.cause.severity, entry.cause.certainty, pods));
                notices.push(Notice {
                    time: now,
                    turn,
                    cause: entry.cause.clone(),
                    findings: if over { Vec::new() } else { entry.findings.clone() },
                });
            }
            !over
        });
        notices
    }
}

impl Entry {
    fn turn(&self, now: Time, min_severity: Severity) -> Option<Turn> {
        let cause = &self.cause;
        if cause.severity < min_severity || now < self.first + SETTLES {
            return None;
        }
        let Some((told, severity, certainty, pods)) = self.told else { return Some(Turn::Open) };
        let is_worse = (cause.severity, cause.certainty) > (severity, certainty);
        let is_more = cause.pods.len() >= 2 * pods.max(1) && told + GAP <= now;
        (is_worse || is_more).then_some(Turn::Changed)
    }
}

/// Findings by their causes, the worst first.
fn causes(findings: &[Finding]) -> Vec<(NotedCause, Vec<Finding>)> {
    let mut groups: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        let id = finding.cause.as_ref().map_or(finding.id.as_str(), |cause| cause.id.as_str());
        groups.entry(id).or_default().push(finding);
    }
    let noted = groups.into_iter().filter_map(|(id, mut findings)| {
        findings.sort_by_key(|finding| std::cmp::Reverse((finding.severity, finding.certainty)));
        let worst = *findings.first()?;
        let cause = worst.cause.as_ref();
        let pods = findings.iter().flat_map(|finding| finding.pod.iter().chain(&finding.pods));
        let fix = worst.fixes.iter().find_map(|fix| fix.command.clone());
        let noted = NotedCause {
            id: id.to_owned(),
            title: cause.map_or_else(|| worst.title.clone(), |cause| cause.title.clone()),
            scope: cause.map_or("pod", |cause| cause.scope),
            kind: worst.kind,
            reason: worst.reason,
            severity: worst.severity,
            certainty: worst.certainty,
            pods: pods.map(|pod| (pod.key(), pod.clone())).collect(),
            pods_total: cause.map_or(0, |cause| cause.pods_total),
            changed: findings.iter().find_map(|finding| finding.cause.as_ref()?.changed.clone()),
            fix,
            first_seen: findings.iter().map(|finding| finding.first_seen).min().unwrap_or_default(),
            last_seen: findings.iter().map(|finding| finding.last_seen).max().unwrap_or_default(),
        };
        Some((noted, findings.into_iter().take(FINDINGS).cloned().collect()))
    });
    noted.collect()
}

#[cfg(test)]
#[path = "book/tests.rs"]
mod tests;
