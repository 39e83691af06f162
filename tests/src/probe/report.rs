//! What a run of the binary left: exit status, lines, and whether they are as they should be.
use super::{Expected, Finding};
use anyhow::{Result, bail, ensure};
use serde_json::Value;
use std::fmt::Write;
use std::process::ExitStatus;

/// Lines of evidence that a failure shows.
const SHOWN_LINES: usize = 60;

/// A run that has ended.
#[derive(Debug)]
pub struct Report {
    status: ExitStatus,
    raw: Vec<String>,
    lines: Vec<Value>,
    stderr: String,
}

impl Report {
    pub(super) fn new(status: ExitStatus, raw: Vec<String>, stderr: String) -> Self {
        let lines = raw.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Self { status, raw, lines, stderr }
    }

    /// Exit status; none if a signal ended it.
    pub fn exit_status(&self) -> Option<i32> {
        self.status.code()
    }

    /// Standard output, line by line.
    pub fn stdout(&self) -> &[String] {
        &self.raw
    }

    /// Standard error.
    pub fn stderr(&self) -> &str {
        &self.stderr
    }

    /// All lines of one type.
    pub fn lines_of(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.lines.iter().filter(move |line| line["type"] == kind)
    }

    /// The final form of all findings, out of the summary.
    pub fn findings(&self) -> Vec<Finding> {
        let summary = self.lines_of("summary").last();
        let findings = summary.and_then(|summary| summary["findings"].as_array());
        findings.into_iter().flatten().cloned().map(Finding::new).collect()
    }

    /// The findings at `warning` or above that were not taken back.
    pub fn loud(&self) -> Vec<Finding> {
        self.findings().into_iter().filter(Finding::is_loud).collect()
    }

    /// Each of these once, nothing else at `warning` or above, exit status to match, and every line well formed.
    pub fn expect(&self, expected: &[Expected]) -> Result<()> {
        let flaws = self.flaws(expected);
        if flaws.is_empty() {
            return Ok(());
        }
        bail!("{}\n{}", flaws.join("\n"), self.evidence())
    }

    /// Nothing at `warning` or above, and exit status 0.
    pub fn expect_silent(&self) -> Result<()> {
        self.expect(&[])
    }

    /// A finding that there must be, once, at any severity.
    pub fn one(&self, expected: &Expected) -> Result<Finding> {
        let mut found: Vec<Finding> =
            self.findings().into_iter().filter(|finding| expected.accepts(finding)).collect();
        match (found.pop(), found.is_empty()) {
            (Some(finding), true) => Ok(finding),
            (Some(_), false) => bail!("more than once: {expected}\n{}", self.evidence()),
            (None, _) => bail!("missing: {expected}\n{}", self.evidence()),
        }
    }

    /// It refused with status 2, said why on standard error in one line, and said nothing else.
    pub fn expect_refusal(&self, because: &str) -> Result<()> {
        ensure!(self.exit_status() == Some(2), "exit status {:?}\n{}", self.status, self.evidence());
        ensure!(
            self.stderr.starts_with("mtuprobe: ") && self.stderr.contains(because),
            "standard error says nothing about `{because}`\n{}",
            self.evidence()
        );
        ensure!(self.lines_of("finding").next().is_none(), "findings\n{}", self.evidence());
        Ok(())
    }

    /// How it ended and what it found.
    pub fn outcome(&self) -> String {
        let mut text =
            format!("exit status: {:?}\nstandard error: {}\n", self.status, self.stderr.trim_end());
        text += "final findings:\n";
        for finding in self.findings() {
            // Writing to a String cannot fail.
            let _infallible = writeln!(text, "  {finding}");
        }
        text
    }

    /// Everything that helps to see what went wrong.
    pub fn evidence(&self) -> String {
        self.outcome() + &shown(&self.lines)
    }

    fn flaws(&self, expected: &[Expected]) -> Vec<String> {
        let mut flaws = self.form();
        let loud = self.loud();
        for wanted in expected {
            match loud.iter().filter(|finding| wanted.accepts(finding)).count() {
                1 => {}
                0 => flaws.push(format!("missing: {wanted}")),
                several => flaws.push(format!("{several} times: {wanted}")),
            }
        }
        for finding in &loud {
            if !expected.iter().any(|wanted| wanted.accepts(finding)) {
                flaws.push(format!("unexpected: {finding}"));
            }
        }
        let right = i32::from(!expected.is_empty());
        if self.exit_status() != Some(right) {
            flaws.push(format!("exit status {:?} instead of {right}", self.status));
        }
        flaws
    }

    /// The form that every run in JSON Lines has, whatever it found.
    fn form(&self) -> Vec<String> {
        let mut flaws = Vec::new();
        for line in &self.raw {
            if !line.starts_with("{\"type\":\"") || serde_json::from_str::<Value>(line).is_err() {
                flaws.push(format!("no JSON line with its type first: {line}"));
            }
        }
        if self.lines.first().is_none_or(|line| line["type"] != "start") {
            flaws.push("the first line is no start".to_owned());
        }
        if self.lines.last().is_none_or(|line| line["type"] != "summary") {
            flaws.push("the last line is no summary".to_owned());
        }
        for finding in self.findings() {
            flaws.extend(finding.flaws().into_iter().map(|flaw| format!("{flaw} in: {finding}")));
        }
        flaws
    }
}

/// The lines that say most, the last ones if there are many.
pub(super) fn shown(lines: &[Value]) -> String {
    let mut text = "lines:\n".to_owned();
    let telling: Vec<&Value> = lines.iter().filter(|line| line["type"] != "summary").collect();
    let skipped = telling.len().saturating_sub(SHOWN_LINES);
    if skipped > 0 {
        let _infallible = writeln!(text, "  ({skipped} earlier lines)");
    }
    for line in &telling[skipped..] {
        let _infallible = writeln!(text, "  {line}");
    }
    text
}
