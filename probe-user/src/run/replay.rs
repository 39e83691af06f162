//! `replay`: recorded evidence through the diagnosis, as if it happened now.
use super::Verdict;
use super::voice::Voice;
use crate::config::{ReplayConfig, Selection};
use crate::output::evidence::{Entry, Reader};
use crate::output::{Message, Summary, Writer};
use anyhow::Context as _;
use probe_core::diagnose::Diagnoser;
use probe_core::model::Time;
use probe_core::model::event::{Event, Lost};
use probe_core::model::finding::Severity;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};

/// Tells what an observation told, from its recording.
///
/// # Errors
/// The file cannot be read, is no recording, or is one of a version that is not known.
pub fn replay(config: &ReplayConfig) -> anyhow::Result<Verdict> {
    let about = || format!("replay {}", config.file.display());
    let file = File::open(&config.file).with_context(about)?;
    let reader = Reader::new(BufReader::new(file)).with_context(about)?;
    let voice = Voice::new(Some(config.output), &config.selection, config.min_severity, reader.clock());
    let diagnoser = Diagnoser::new(reader.senses());
    Replay { voice, diagnoser, began: None, now: 0 }.run(reader, about)
}

/// Tells somebody else what a recording comes to.
pub(super) fn replay_from(
    reader: Reader<impl BufRead>,
    writer: Box<dyn Writer>,
    selection: &Selection,
    about: impl Fn() -> String + Copy,
) -> anyhow::Result<Verdict> {
    let voice = Voice::through(writer, selection, Severity::Info, reader.clock());
    let diagnoser = Diagnoser::new(reader.senses());
    Replay { voice, diagnoser, began: None, now: 0 }.run(reader, about)
}

struct Replay {
    voice: Voice,
    diagnoser: Diagnoser,
    /// When `start` was told: nothing is told before.
    began: Option<Time>,
    now: Time,
}

impl Replay {
    fn run(
        mut self,
        mut reader: Reader<impl BufRead>,
        about: impl Fn() -> String + Copy,
    ) -> anyhow::Result<Verdict> {
        while let Some((time, entry)) = reader.next_entry().with_context(about)? {
            if time != self.now {
                // What came in at one moment was taken in before anything was told.
                self.tell_diagnosis()?;
                self.now = time;
            }
            match entry {
                Entry::Event(event) => self.diagnoser.handle_event(time, event),
                Entry::Topology(topology) => self.diagnoser.handle_topology(time, topology),
                Entry::Nat(entries) => self.diagnoser.handle_nat(time, &entries),
                Entry::HookCounters(hooks) => self.diagnoser.handle_hook_counters(&hooks),
                Entry::NetnsCounters(counters) => self.diagnoser.handle_counters(time, counters),
                Entry::Exceptions(read) => self.diagnoser.handle_exceptions(time, read),
                Entry::Sockets(read) => self.diagnoser.handle_sockets(time, read),
                Entry::Timeout => self.diagnoser.handle_timeout(time),
                Entry::Message(message) => {
                    if matches!(message, Message::Start(_)) {
                        self.began = Some(time);
                    }
                    self.voice.tell(message)?;
                }
                Entry::End { packets_seen, lost } => {
                    self.note_unreadable(reader.unreadable());
                    return self.end(packets_seen, lost);
                }
            }
            if !self.voice.is_listened_to() {
                return Ok(self.voice.verdict());
            }
        }
        self.note_unreadable(reader.unreadable());
        let why = "the recording has no end: what wrote it was killed, or is still at it";
        self.note_lost("recording_cut", 1, why);
        // What was lost in all is unknown: its end is missing.
        self.end(0, BTreeMap::from([("recording_cut".to_owned(), 1)]))
    }

    fn end(mut self, packets_seen: u64, lost: BTreeMap<String, u64>) -> anyhow::Result<Verdict> {
        let now = self.now;
        let began = *self.began.get_or_insert(now);
        let findings = self.diagnoser.finish(now);
        self.tell_diagnosis()?;
        let duration = now.saturating_sub(began);
        self.voice.tell(Message::Summary(Summary {
            time: now,
            duration,
            findings,
            hidden: 0,
            packets_seen,
            lost,
        }))?;
        Ok(self.voice.verdict())
    }

    fn tell_diagnosis(&mut self) -> anyhow::Result<()> {
        if self.began.is_some() {
            while let Some(output) = self.diagnoser.poll_output() {
                self.voice.tell(Message::Diagnosis { time: self.now, output })?;
            }
        }
        Ok(())
    }

    fn note_unreadable(&mut self, lines: u64) {
        if lines > 0 {
            self.note_lost("recording_unreadable", lines, "lines of the recording were not understood");
        }
    }

    fn note_lost(&mut self, what: &str, count: u64, why: &str) {
        let (what, why) = (what.to_owned(), why.to_owned());
        let lost = Lost { time: self.now, what, count, interface: None, why };
        self.diagnoser.handle_event(self.now, Event::Lost(lost));
    }
}
