//! The diagnosis, with a recording of what goes into it.
use crate::config::RecordConfig;
use crate::output::Message;
use crate::output::complaint::complain;
use crate::output::evidence::{Recorder, Veil};
use crate::output::wall_clock::WallClock;
use crate::system;
use anyhow::Context as _;
use probe_core::diagnose::{Diagnoser, HookCounters, NetnsCounters, Output, Senses};
use probe_core::model::Time;
use probe_core::model::event::Event;
use probe_core::model::finding::Finding;
use probe_core::model::nat::NatEntry;
use probe_core::model::pmtu_exception::NetnsExceptions;
use probe_core::model::tcp_socket::NetnsSockets;
use probe_core::model::topology::Topology;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter};
use std::net::IpAddr;

/// A [`Diagnoser`] whose every input is recorded, if that was asked for.
pub(super) struct RecordedDiagnoser {
    diagnoser: Diagnoser,
    recording: Option<Recording>,
}

struct Recording {
    name: String,
    recorder: Recorder<BufWriter<File>>,
}

/// A file that is open before there is anything to record: what is wrong with it is told at once.
pub(super) struct RecordFile {
    name: String,
    stream: BufWriter<File>,
    veil: Veil,
}

impl RecordFile {
    pub fn create(config: &RecordConfig) -> anyhow::Result<Self> {
        let name = config.file.display().to_string();
        let file = File::create(&config.file).with_context(|| format!("record to {name}"))?;
        let veil = if config.redact { Veil::closed() } else { Veil::open() };
        Ok(Self { name, stream: BufWriter::new(file), veil })
    }
}

impl RecordFile {
    /// A file that is open already.
    pub fn of(name: String, file: File, veil: Veil) -> Self {
        Self { name, stream: BufWriter::new(file), veil }
    }
}

impl RecordedDiagnoser {
    pub fn new(senses: Senses, file: Option<RecordFile>, clock: WallClock) -> anyhow::Result<Self> {
        let begin = |RecordFile { name, stream, veil }| {
            let recorder = Recorder::new(stream, veil, clock, system::kernel_release(), &senses)
                .with_context(|| format!("record to {name}"))?;
            anyhow::Ok(Recording { name, recorder })
        };
        Ok(Self { diagnoser: Diagnoser::new(senses), recording: file.map(begin).transpose()? })
    }

    pub fn handle_event(&mut self, now: Time, event: Event) {
        self.record(|recorder| recorder.event(now, &event));
        self.diagnoser.handle_event(now, event);
    }

    pub fn handle_topology(&mut self, now: Time, topology: Topology) {
        self.record(|recorder| recorder.topology(now, &topology));
        self.diagnoser.handle_topology(now, topology);
    }

    pub fn handle_nat(&mut self, now: Time, entries: &[NatEntry]) {
        self.record(|recorder| recorder.nat(now, entries));
        self.diagnoser.handle_nat(now, entries);
    }

    pub fn handle_hook_counters(&mut self, now: Time, hooks: &[HookCounters]) {
        self.record(|recorder| recorder.hook_counters(now, hooks));
        self.diagnoser.handle_hook_counters(hooks);
    }

    pub fn handle_counters(&mut self, now: Time, counters: NetnsCounters) {
        self.record(|recorder| recorder.netns_counters(now, &counters));
        self.diagnoser.handle_counters(now, counters);
    }

    pub fn handle_exceptions(&mut self, now: Time, read: NetnsExceptions) {
        self.record(|recorder| recorder.exceptions(now, &read));
        self.diagnoser.handle_exceptions(now, read);
    }

    pub fn handle_sockets(&mut self, now: Time, read: NetnsSockets) {
        self.record(|recorder| recorder.sockets(now, &read));
        self.diagnoser.handle_sockets(now, read);
    }

    pub fn handle_timeout(&mut self, now: Time) {
        self.record(|recorder| recorder.timeout(now));
        self.diagnoser.handle_timeout(now);
    }

    /// What the observation says belongs to the recording as well; the summary ends it.
    pub fn record_message(&mut self, message: &Message) {
        self.record(|recorder| recorder.message(message));
    }

    pub fn topology(&self) -> &Topology {
        self.diagnoser.topology()
    }

    /// For whoever looks on.
    pub fn diagnoser(&self) -> &Diagnoser {
        &self.diagnoser
    }

    pub fn wants_nat(&self) -> bool {
        self.diagnoser.wants_nat()
    }

    pub fn wants_a_look(&self, now: Time) -> BTreeSet<u32> {
        self.diagnoser.wants_a_look(now)
    }

    pub fn wants_sockets(&self, now: Time) -> BTreeMap<u32, BTreeSet<IpAddr>> {
        self.diagnoser.wants_sockets(now)
    }

    pub fn poll_timeout(&self) -> Option<Time> {
        self.diagnoser.poll_timeout()
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.diagnoser.poll_output()
    }

    pub fn finish(&mut self, now: Time) -> Vec<Finding> {
        self.diagnoser.finish(now)
    }

    /// A full disk ends the recording, not the observation.
    fn record(&mut self, write: impl FnOnce(&mut Recorder<BufWriter<File>>) -> io::Result<()>) {
        let Some(recording) = &mut self.recording else { return };
        if let Err(error) = write(&mut recording.recorder) {
            complain(&format_args!("record to {}: {error}; the recording ends here", recording.name));
            self.recording = None;
        }
    }
}
