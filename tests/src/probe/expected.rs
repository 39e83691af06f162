//! What a finding must say.
use super::Finding;
use std::fmt;

/// Fields that a finding must have; what is not named may be anything.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    texts: Vec<(&'static str, String)>,
    pod: Option<String>,
    node: bool,
    limit: Option<u64>,
    limit_texts: Vec<(&'static str, &'static str)>,
}

impl Expected {
    /// A finding of this kind.
    pub fn kind(kind: &str) -> Self {
        Self::default().text("kind", kind)
    }

    /// A black hole of this reason.
    pub fn black_hole(reason: &str) -> Self {
        Self::kind("pmtu_black_hole").text("reason", reason)
    }

    /// A text field of the finding.
    pub fn text(mut self, field: &'static str, value: &str) -> Self {
        self.texts.push((field, value.to_owned()));
        self
    }

    /// Severity.
    pub fn severity(self, severity: &str) -> Self {
        self.text("severity", severity)
    }

    /// Certainty `confirmed`.
    pub fn confirmed(self) -> Self {
        self.text("certainty", "confirmed")
    }

    /// Direction from the pod's point of view.
    pub fn direction(self, direction: &str) -> Self {
        self.text("direction", direction)
    }

    /// Family, by its name in JSON.
    pub fn family(self, family: &str) -> Self {
        self.text("family", family)
    }

    /// Outcome.
    pub fn outcome(self, outcome: &str) -> Self {
        self.text("outcome", outcome)
    }

    /// Full name of the pod.
    pub fn pod(mut self, name: impl Into<String>) -> Self {
        self.pod = Some(name.into());
        self
    }

    /// The node itself, or a joint that pods share.
    pub const fn node(mut self) -> Self {
        self.node = true;
        self
    }

    /// The limit in bytes at layer 3.
    pub fn limit(mut self, mtu: u32) -> Self {
        self.limit = Some(u64::from(mtu));
        self
    }

    /// Where the limit is, and how it was found.
    pub fn limit_is(mut self, at: &'static str, how: &'static str) -> Self {
        self.limit_texts.extend([("at", at), ("how", how)]);
        self
    }

    /// Whether a finding is so.
    pub fn accepts(&self, finding: &Finding) -> bool {
        self.texts.iter().all(|(field, value)| finding.text(field) == value)
            && self.pod.as_deref().is_none_or(|name| finding.pod() == Some(name))
            && (!self.node || finding.json()["pod"].is_null())
            && self.limit.is_none_or(|mtu| finding.limit() == Some(mtu))
            && self.limit_texts.iter().all(|(field, value)| finding.json()["limit"][field] == *value)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a finding with")?;
        for (field, value) in &self.texts {
            write!(formatter, " {field} {value}")?;
        }
        for (field, value) in &self.limit_texts {
            write!(formatter, " limit.{field} {value}")?;
        }
        if let Some(limit) = self.limit {
            write!(formatter, " limit {limit}")?;
        }
        match (&self.pod, self.node) {
            (Some(pod), _) => write!(formatter, " of {pod}"),
            (None, true) => formatter.write_str(" of the node"),
            (None, false) => Ok(()),
        }
    }
}
