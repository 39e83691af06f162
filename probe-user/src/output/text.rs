//! Text for people: one line per event while observing, in columns that grep and awk can take apart, and at the end
//! the causes by harm.

pub(in crate::output) mod event;
mod repetition;
pub(in crate::output) mod summary;

use super::wall_clock::WallClock;
use super::{Message, Start, Writer};
use probe_core::diagnose::Output;
use probe_core::model::change::{Change, ChangeKind};
use probe_core::model::coverage::{Coverage, CoverageState};
use repetition::{Repetition, Repetitions};
use std::io::{self, Write};

/// Changes that the summary shows at most, the last ones.
const CHANGES_SHOWN: usize = 10;

/// Writes lines for people. It keeps what the summary tells again: who observed what, and what changed.
#[derive(Debug)]
pub struct Text<W> {
    stream: W,
    clock: WallClock,
    context: Context,
    repetitions: Repetitions,
    /// Events are told as they come; else the summary alone.
    tells_events: bool,
}

/// What was said before the summary and belongs to it.
#[derive(Debug, Default)]
struct Context {
    start: Option<Start>,
    attached: usize,
    changes: Vec<Change>,
    coverage: Vec<Coverage>,
}

impl<W: Write> Text<W> {
    /// Lines to `stream`.
    pub fn new(stream: W, clock: WallClock) -> Self {
        let (context, repetitions) = (Context::default(), Repetitions::default());
        Self { stream, clock, context, repetitions, tells_events: true }
    }

    /// What the lines go to.
    pub fn stream_mut(&mut self) -> &mut W {
        &mut self.stream
    }

    /// The summary alone, at the end: somebody else showed what came before.
    pub fn of_the_end(stream: W, clock: WallClock) -> Self {
        Self { tells_events: false, ..Self::new(stream, clock) }
    }
}

fn is_coming_or_going(change: &Change) -> bool {
    matches!(change.what, ChangeKind::LinkAdded | ChangeKind::LinkRemoved)
}

impl<W: Write> Writer for Text<W> {
    fn write(&mut self, message: &Message) -> io::Result<()> {
        let is_news = self.context.is_news(message);
        self.context.remember(message);
        let is_wanted = self.tells_events || matches!(message, Message::Summary(_));
        if !is_news || !is_wanted {
            return Ok(());
        }
        let repeated = match self.repetitions.take(message) {
            Repetition::Silent => return Ok(()),
            Repetition::Tell(repeated) => repeated,
        };
        let mut text = match message {
            Message::Summary(last) => summary::text(last, &self.context, self.clock),
            Message::Start(_)
            | Message::Progress { .. }
            | Message::Attached { .. }
            | Message::Attach { .. }
            | Message::Detach { .. }
            | Message::Diagnosis { .. } => event::text(message, self.clock),
        };
        if repeated > 0 {
            text.truncate(text.trim_end().len());
            text.push_str(&format!("  (and {repeated} like it before)\n"));
        }
        self.stream.write_all(text.as_bytes())?;
        self.stream.flush()
    }
}

impl Context {
    /// Whether a line is worth a person's while: that a pod is fully seen is, after it was not.
    fn is_news(&self, message: &Message) -> bool {
        let coverage = match message {
            Message::Diagnosis { output: Output::Coverage(coverage), .. } => coverage,
            // `attach` and `detach` tell it of whatever is observed.
            Message::Diagnosis { output: Output::Change(change), .. } => return !is_coming_or_going(change),
            Message::Diagnosis { .. }
            | Message::Start(_)
            | Message::Progress { .. }
            | Message::Attached { .. }
            | Message::Attach { .. }
            | Message::Detach { .. }
            | Message::Summary(_) => return true,
        };
        match coverage.state {
            CoverageState::Partial | CoverageState::Blind => true,
            CoverageState::Idle => false,
            CoverageState::Full => self.coverage.iter().any(|old| {
                old.pod.key() == coverage.pod.key()
                    && old.direction == coverage.direction
                    && matches!(old.state, CoverageState::Partial | CoverageState::Blind)
            }),
        }
    }

    fn remember(&mut self, message: &Message) {
        match message {
            Message::Start(start) => {
                self.attached = start.attached.len();
                self.start = Some(start.clone());
            }
            Message::Attached { count, .. } => self.attached = *count,
            Message::Attach { .. } => self.attached += 1,
            Message::Detach { .. } => self.attached = self.attached.saturating_sub(1),
            Message::Diagnosis { output: Output::Change(change), .. } if is_coming_or_going(change) => {}
            Message::Diagnosis { output: Output::Change(change), .. } => {
                self.changes.push(change.clone());
                if self.changes.len() > CHANGES_SHOWN {
                    self.changes.remove(0);
                }
            }
            Message::Diagnosis { output: Output::Coverage(coverage), .. } => {
                self.coverage
                    .retain(|old| old.pod.key() != coverage.pod.key() || old.direction != coverage.direction);
                self.coverage.push(coverage.clone());
            }
            Message::Diagnosis {
                output: Output::Finding(_) | Output::PacketTooBig(_) | Output::Drop(_) | Output::Lost(_),
                ..
            }
            | Message::Progress { .. }
            | Message::Summary(_) => {}
        }
    }
}

#[cfg(test)]
#[path = "text/tests.rs"]
mod tests;
