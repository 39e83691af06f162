//! JSON Lines: one compact object a line, `type` first.

pub(in crate::output) mod wire;

pub(in crate::output) use wire::PodWire;

use super::wall_clock::WallClock;
use super::{Message, Writer};
use probe_core::model::finding::Finding;
use serde::Serialize;
use std::io::{self, Write};
use wire::finding::FindingWire;

/// Writes each message as a line and flushes it: a reader behind a pipe must not wait.
#[derive(Debug)]
pub struct JsonLines<W> {
    stream: W,
    clock: WallClock,
}

impl<W: Write> JsonLines<W> {
    /// Lines to `stream`.
    pub fn new(stream: W, clock: WallClock) -> Self {
        Self { stream, clock }
    }
}

impl<W: Write> Writer for JsonLines<W> {
    fn write(&mut self, message: &Message) -> io::Result<()> {
        let mut line = serde_json::to_vec(&wire::Line::new(message, self.clock))?;
        line.push(b'\n');
        self.stream.write_all(&line)?;
        self.stream.flush()
    }
}

/// A finding as its line has it, with its type.
#[derive(Serialize)]
struct TypedFinding<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    finding: FindingWire<'a>,
}

/// Findings as an array of the same objects as the lines.
///
/// # Errors
/// They cannot be written as JSON.
pub fn finding_array(findings: &[Finding], clock: WallClock) -> serde_json::Result<Vec<u8>> {
    let typed = |finding| TypedFinding { r#type: "finding", finding: FindingWire::new(finding, clock) };
    serde_json::to_vec(&findings.iter().map(typed).collect::<Vec<_>>())
}

#[cfg(test)]
#[path = "json_lines/tests.rs"]
mod tests;
