//! What is shown of what is known.
use super::verdict::{LoudFindings, Verdict};
use crate::cli::OutputForm;
use crate::config::Selection;
use crate::output::json_lines::JsonLines;
use crate::output::text::Text;
use crate::output::wall_clock::WallClock;
use crate::output::{Message, Silence, Writer};
use anyhow::Context as _;
use probe_core::diagnose::Output;
use probe_core::model::finding::{Finding, Severity};
use probe_core::model::pod::Pod;
use std::io;

/// Writes what the selection and the severity let through, and keeps what counts for the exit status.
pub(super) struct Voice {
    writer: Box<dyn Writer>,
    selection: Selection,
    min_severity: Severity,
    loud: LoudFindings,
    listened_to: bool,
    clock: WallClock,
}

impl Voice {
    /// On standard output; `None` as the form tells nothing: somebody else shows what is seen.
    pub fn new(
        form: Option<OutputForm>,
        selection: &Selection,
        min_severity: Severity,
        clock: WallClock,
    ) -> Self {
        let writer: Box<dyn Writer> = match form {
            Some(OutputForm::Json) => Box::new(JsonLines::new(io::stdout(), clock)),
            Some(OutputForm::Auto | OutputForm::Text) => Box::new(Text::new(io::stdout(), clock)),
            None => Box::new(Silence),
        };
        Self::through(writer, selection, min_severity, clock)
    }

    /// To somebody else.
    pub fn through(
        writer: Box<dyn Writer>,
        selection: &Selection,
        min_severity: Severity,
        clock: WallClock,
    ) -> Self {
        let selection = selection.clone();
        Self { writer, selection, min_severity, loud: LoudFindings::default(), listened_to: true, clock }
    }

    /// The clock that times are told by.
    pub fn clock(&self) -> WallClock {
        self.clock
    }

    /// Tells a message, if it is wanted.
    pub fn tell(&mut self, mut message: Message) -> anyhow::Result<()> {
        self.note(&message);
        match &mut message {
            Message::Diagnosis { output, .. } if !self.wants(output) => return Ok(()),
            Message::Summary(summary) => {
                let all = summary.findings.len();
                summary.findings.retain(|finding| self.wants_finding(finding));
                summary.hidden = all - summary.findings.len();
            }
            Message::Start(_)
            | Message::Progress { .. }
            | Message::Attached { .. }
            | Message::Attach { .. }
            | Message::Detach { .. }
            | Message::Diagnosis { .. } => {}
        }
        if !self.listened_to {
            return Ok(());
        }
        match self.writer.write(&message) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.listened_to = false;
                Ok(())
            }
            written => written.context("write the results"),
        }
    }

    /// Whether somebody reads the results; if not, that is a clean end (`mtuprobe watch | head`).
    pub fn is_listened_to(&self) -> bool {
        self.listened_to
    }

    /// What the findings so far come to, whatever was shown of them.
    pub fn verdict(&self) -> Verdict {
        self.loud.verdict()
    }

    fn note(&mut self, message: &Message) {
        let findings = match message {
            Message::Diagnosis { output: Output::Finding(finding), .. } => std::slice::from_ref(finding),
            Message::Summary(summary) => &summary.findings,
            Message::Start(_)
            | Message::Progress { .. }
            | Message::Attached { .. }
            | Message::Attach { .. }
            | Message::Detach { .. }
            | Message::Diagnosis { .. } => &[],
        };
        for finding in findings {
            if self.selection.is_about(finding) {
                self.loud.note(finding);
            }
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
        finding.severity >= self.min_severity && self.selection.is_about(finding)
    }

    /// What is nobody's is shown unless somebody was asked for.
    fn wants_pod(&self, pod: Option<&Pod>) -> bool {
        pod.map_or(self.selection.pods.is_empty(), |pod| self.selection.wants_pod(pod))
    }
}
