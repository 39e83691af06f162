//! The table of connection tracking, read when evidence waits for it.
use super::Input;
use crate::datapath::conntrack::translated_connections;
use crate::output::complaint::complain;
use probe_core::model::Time;
use probe_core::model::nat::NatEntry;
use std::path::Path;
use tokio::sync::mpsc::UnboundedSender;

/// It is there in every network namespace that tracks connections.
const TRACKED: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
/// A reading may take this part of the time at most: a table of a million entries takes a second.
const SHARE: Time = 10;

/// Reads the table, one reading at a time, on a thread that may block.
#[derive(Debug)]
pub(super) struct NatReader {
    inputs: UnboundedSender<Input>,
    busy_since: Option<Time>,
    not_before: Time,
    complained: bool,
}

impl NatReader {
    pub fn new(inputs: UnboundedSender<Input>) -> Self {
        Self { inputs, busy_since: None, not_before: 0, complained: false }
    }

    /// Whether connections are tracked here at all.
    pub fn is_possible() -> bool {
        Path::new(TRACKED).exists()
    }

    /// Begins a reading, unless one is under way or was just made; an [`Input::Nat`] follows.
    pub fn ask(&mut self, now: Time) {
        if self.busy_since.is_some() || now < self.not_before {
            return;
        }
        self.busy_since = Some(now);
        let inputs = self.inputs.clone();
        tokio::task::spawn_blocking(move || inputs.send(Input::Nat(translated_connections())));
    }

    /// Takes the answer: no entries where the table cannot be read, so that nothing waits in vain.
    pub fn take(&mut self, now: Time, answer: std::io::Result<Vec<NatEntry>>) -> Vec<NatEntry> {
        let took = now.saturating_sub(self.busy_since.take().unwrap_or(now));
        self.not_before = now + took * SHARE;
        answer.unwrap_or_else(|error| {
            if !std::mem::replace(&mut self.complained, true) {
                complain(&format_args!("read translated connections: {error}"));
            }
            Vec::new()
        })
    }
}
