//! Reads a recording.
use super::device_counters::KnownCounters;
use super::header::{FORMAT, Header, Identity, VERSION};
use super::line::Line;
use super::mirror::Mirror as _;
use crate::output::Message;
use crate::output::wall_clock::WallClock;
use probe_core::diagnose::{HookCounters, NetnsCounters, Senses};
use probe_core::model::Time;
use probe_core::model::event::Event;
use probe_core::model::nat::NatEntry;
use probe_core::model::pmtu_exception::NetnsExceptions;
use probe_core::model::tcp_socket::NetnsSockets;
use probe_core::model::topology::Topology;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, Read as _};

/// A first line is shorter: whatever else somebody passes is not read to its end.
const LONGEST_HEADER: u64 = 64 << 10;

/// Why something is not replayed.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It is something else.
    #[error("this is no recording of mtuprobe: its first line is not a header ({0})")]
    NoRecording(serde_json::Error),
    /// It is some other JSON.
    #[error("this is no recording of mtuprobe, but of the format {0:?}")]
    OtherFormat(String),
    /// A later program wrote it.
    #[error("its format is version {0}, and this mtuprobe knows version {VERSION} only: use a newer one")]
    UnknownVersion(u32),
}

/// One entry of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "taken apart at once, never stored")]
pub enum Entry {
    /// An event.
    Event(Event),
    /// Links, routes and pods.
    Topology(Topology),
    /// Translated connections.
    Nat(Vec<NatEntry>),
    /// What hooks saw.
    HookCounters(Vec<HookCounters>),
    /// Counters of a network namespace.
    NetnsCounters(NetnsCounters),
    /// Learned path MTUs of a network namespace.
    Exceptions(NetnsExceptions),
    /// Sockets of a network namespace that were asked for.
    Sockets(NetnsSockets),
    /// Time passed for the diagnosis.
    Timeout,
    /// What the observation said of itself.
    Message(Message),
    /// The end, in good order.
    End {
        /// Packets (segments) at interfaces of pods.
        packets_seen: u64,
        /// What was lost → how many.
        lost: BTreeMap<String, u64>,
    },
}

/// Reads a recording line by line.
#[derive(Debug)]
pub struct Reader<R> {
    stream: R,
    header: Header,
    line: Vec<u8>,
    time: Time,
    topology: Option<Topology>,
    counters: KnownCounters,
    netns_counters: HashMap<Option<u32>, BTreeMap<String, u64>>,
    unreadable: u64,
}

impl<R: BufRead> Reader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// It is no recording, or of a version that is not known.
    pub fn new(mut stream: R) -> Result<Self, RecordingError> {
        let mut line = Vec::new();
        stream.by_ref().take(LONGEST_HEADER).read_until(b'\n', &mut line)?;
        let identity: Identity = serde_json::from_slice(&line).map_err(RecordingError::NoRecording)?;
        if identity.format != FORMAT {
            return Err(RecordingError::OtherFormat(identity.format));
        }
        if identity.version != VERSION {
            return Err(RecordingError::UnknownVersion(identity.version));
        }
        let header = serde_json::from_slice(&line).map_err(RecordingError::NoRecording)?;
        Ok(Self {
            stream,
            header,
            line,
            time: 0,
            topology: None,
            counters: KnownCounters::default(),
            netns_counters: HashMap::new(),
            unreadable: 0,
        })
    }

    /// The clock of the machine that it was made on.
    pub fn clock(&self) -> WallClock {
        WallClock::of_boot(self.header.boot)
    }

    /// What the diagnosis could rely on there.
    pub fn senses(&self) -> Senses {
        self.header.senses.into_model()
    }

    /// Lines so far that were not understood, though they end like lines.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// The next entry with its time, never before that of the entry before. `None` behind the last whole line.
    ///
    /// # Errors
    /// The stream cannot be read.
    pub fn next_entry(&mut self) -> io::Result<Option<(Time, Entry)>> {
        loop {
            self.line.clear();
            self.stream.read_until(b'\n', &mut self.line)?;
            if self.line.last() != Some(&b'\n') {
                return Ok(None);
            }
            let Ok(line) = serde_json::from_slice::<Line>(&self.line) else {
                self.unreadable += 1;
                continue;
            };
            self.time = self.time.max(line.time().unwrap_or(0));
            if let Some(entry) = self.entry(line) {
                return Ok(Some((self.time, entry)));
            }
        }
    }

    fn entry(&mut self, line: Line) -> Option<Entry> {
        let message = match line {
            Line::Topology { topology, counters, .. } => {
                let mut topology = topology.into_model().or(self.topology.take())?;
                self.counters.restore(&mut topology, counters);
                self.topology = Some(topology.clone());
                return Some(Entry::Topology(topology));
            }
            Line::Event { event, .. } => return Some(Entry::Event(event.into_model())),
            Line::Nat { entries, .. } => return Some(Entry::Nat(entries.into_model())),
            Line::HookCounters { hooks, .. } => return Some(Entry::HookCounters(hooks.into_model())),
            Line::NetnsCounters { pod_host_ifindex, values, .. } => {
                let known = self.netns_counters.entry(pod_host_ifindex).or_default();
                known.extend(values);
                let values = known.clone();
                return Some(Entry::NetnsCounters(NetnsCounters { pod_host_ifindex, values }));
            }
            Line::Exceptions { read, .. } => return Some(Entry::Exceptions(read.into_model())),
            Line::Sockets { read, .. } => return Some(Entry::Sockets(read.into_model())),
            Line::Timeout { .. } => return Some(Entry::Timeout),
            Line::End { packets_seen, lost, .. } => return Some(Entry::End { packets_seen, lost }),
            Line::Unknown => return None,
            Line::Start(start) => Message::Start(start.into_model()),
            Line::Progress { time, attached, pending } => {
                Message::Progress { time: time.into_model(), attached, pending }
            }
            Line::Attached { time, count, took } => {
                Message::Attached { time: time.into_model(), count, took: took.into_model() }
            }
            Line::Attach { time, interface, pod } => Message::Attach {
                time: time.into_model(),
                interface: interface.into_model(),
                pod: pod.into_model(),
            },
            Line::Detach { time, interface, pod } => Message::Detach {
                time: time.into_model(),
                interface: interface.into_model(),
                pod: pod.into_model(),
            },
        };
        Some(Entry::Message(message))
    }
}
