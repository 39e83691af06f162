//! What is shown of what is known.
use crate::cli::OutputForm;
use crate::config::{Selection, WatchConfig};
use crate::output::json_lines::JsonLines;
use crate::output::text::Text;
use crate::output::wall_clock::WallClock;
use crate::output::{Message, Writer};
use probe_core::diagnose::Output;
use probe_core::model::finding::{Finding, Severity};
use probe_core::model::pod::Pod;
use std::io;

/// Writes what the selection and the severity let through.
pub(super) struct Voice {
    writer: Box<dyn Writer>,
    selection: Selection,
    min_severity: Severity,
}

/// Nobody reads the results any more: a clean end (`mtuprobe watch | head`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NobodyListens;

impl Voice {
    pub fn new(config: &WatchConfig) -> Self {
        let clock = WallClock::now();
        let writer: Box<dyn Writer> = match config.output {
            OutputForm::Json => Box::new(JsonLines::new(io::stdout(), clock)),
            OutputForm::Auto | OutputForm::Text => Box::new(Text::new(io::stdout(), clock)),
        };
        Self { writer, selection: config.selection.clone(), min_severity: config.min_severity }
    }

    /// Tells a message, if it is wanted.
    pub fn tell(&mut self, mut message: Message) -> anyhow::Result<Result<(), NobodyListens>> {
        match &mut message {
            Message::Diagnosis { output, .. } if !self.wants(output) => return Ok(Ok(())),
            Message::Summary(summary) => summary.findings.retain(|finding| self.wants_finding(finding)),
            Message::Start(_)
            | Message::Progress { .. }
            | Message::Attached { .. }
            | Message::Attach { .. }
            | Message::Detach { .. }
            | Message::Diagnosis { .. } => {}
        }
        match self.writer.write(&message) {
            Ok(()) => Ok(Ok(())),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Err(NobodyListens)),
            Err(error) => Err(anyhow::Error::new(error).context("write the results")),
        }
    }

    fn wants(&self, output: &Output) -> bool {
        match output {
            Output::Finding(finding) => self.wants_finding(finding),
            Output::PacketTooBig(report) => self.wants_pod(report.pod.as_ref()),
            Output::Drop(report) => self.wants_pod(report.pod.as_ref()),
            Output::Coverage(coverage) => self.selection.wants_pod(&coverage.pod),
            Output::Change(_) | Output::Lost(_) => true,
        }
    }

    fn wants_finding(&self, finding: &Finding) -> bool {
        finding.severity >= self.min_severity && self.is_selected(finding)
    }

    /// Whether a finding is about what was asked for.
    pub fn is_selected(&self, finding: &Finding) -> bool {
        self.wants_pod(finding.pod.as_ref()) || finding.pods.iter().any(|pod| self.selection.wants_pod(pod))
    }

    /// What is nobody's is shown unless somebody was asked for.
    fn wants_pod(&self, pod: Option<&Pod>) -> bool {
        pod.map_or(self.selection.pods.is_empty(), |pod| self.selection.wants_pod(pod))
    }
}
