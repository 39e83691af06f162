//! One finding as it was reported.
use serde_json::Value;
use std::fmt;

/// A finding line, or an entry of the summary.
#[derive(Clone, Debug)]
pub struct Finding {
    json: Value,
}

impl Finding {
    /// From its JSON form.
    pub const fn new(json: Value) -> Self {
        Self { json }
    }

    /// The whole, for what has no accessor.
    pub const fn json(&self) -> &Value {
        &self.json
    }

    /// A text field; empty when it is null or missing.
    pub fn text(&self, field: &str) -> &str {
        self.json[field].as_str().unwrap_or_default()
    }

    /// Name of the pod; none for the node itself.
    pub fn pod(&self) -> Option<&str> {
        self.json["pod"]["name"].as_str()
    }

    /// The largest packet that passes, in bytes at layer 3.
    pub fn limit(&self) -> Option<u64> {
        self.json["limit"]["mtu"].as_u64()
    }

    /// One of the counts, 0 when it is missing.
    pub fn count(&self, name: &str) -> u64 {
        self.json["counts"][name].as_u64().unwrap_or(0)
    }

    /// At `warning` or above, and not taken back.
    pub fn is_loud(&self) -> bool {
        self.text("severity") != "info" && self.text("state") != "retracted"
    }

    /// What no finding may lack, whatever its kind.
    pub fn flaws(&self) -> Vec<String> {
        let mut flaws = Vec::new();
        for field in ["id", "state", "kind", "severity", "certainty", "outcome", "title", "explanation"] {
            if self.text(field).is_empty() {
                flaws.push(format!("{field} is empty"));
            }
        }
        for field in ["pod", "direction", "family", "limit", "flows", "counts", "first_seen", "last_seen"] {
            if self.json.get(field).is_none() {
                flaws.push(format!("{field} is missing"));
            }
        }
        if self.text("title").contains('\n') {
            flaws.push("the title has more than one line".to_owned());
        }
        if self.json["fix"].as_array().is_none_or(Vec::is_empty) {
            flaws.push("no fix".to_owned());
        }
        flaws
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", self.text("severity"), self.text("certainty"), self.text("kind"))?;
        if !self.text("reason").is_empty() {
            write!(formatter, " ({})", self.text("reason"))?;
        }
        write!(
            formatter,
            " of {} {} {}, limit {}, {}, {}: {}",
            self.pod().unwrap_or("the node"),
            self.text("direction"),
            self.text("family"),
            self.json["limit"],
            self.text("outcome"),
            self.text("state"),
            self.text("title")
        )
    }
}
