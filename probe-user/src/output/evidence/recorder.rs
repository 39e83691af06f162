//! Writes a recording.
use super::counters::{HookCounters, NatEntry, counter_name};
use super::device_counters::{self, KnownCounters};
use super::event::Event;
use super::header::{FORMAT, Header, VERSION};
use super::line::Line;
use super::mirror::{Mirror, Time};
use super::pmtu_exception::NetnsExceptions;
use super::pod::Pod;
use super::session::{AttachedInterface, Senses, Start};
use super::tcp_socket::NetnsSockets;
use super::topology::Topology;
use super::veil::Veil;
use crate::output::Message;
use crate::output::wall_clock::WallClock;
use probe_core::model::{self, SECOND};
use probe_core::{diagnose, model::event};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

/// A program that is killed loses at most what came in so much time.
const FLUSH_PERIOD: model::Time = SECOND;

/// Writes what goes into a diagnosis, in order.
#[derive(Debug)]
pub struct Recorder<W> {
    stream: W,
    veil: Veil,
    topology: Option<model::topology::Topology>,
    counters: KnownCounters,
    netns_counters: HashMap<Option<u32>, BTreeMap<String, u64>>,
    flushed: model::Time,
}

impl<W: Write> Recorder<W> {
    /// Begins a recording.
    ///
    /// # Errors
    /// The stream cannot be written to; so with all that follows.
    pub fn new(
        stream: W,
        mut veil: Veil,
        clock: WallClock,
        kernel: String,
        senses: &diagnose::Senses,
    ) -> io::Result<Self> {
        let header = Header {
            r#type: "recording".to_owned(),
            format: FORMAT.to_owned(),
            version: VERSION,
            mtuprobe: env!("CARGO_PKG_VERSION").to_owned(),
            kernel,
            redacted: veil.is_closed(),
            boot: clock.boot_unix_nanos(),
            senses: Senses::of(senses, &mut veil),
        };
        let mut recorder = Self {
            stream,
            veil,
            topology: None,
            counters: KnownCounters::default(),
            netns_counters: HashMap::new(),
            flushed: 0,
        };
        recorder.put(&header)?;
        recorder.stream.flush()?;
        Ok(recorder)
    }

    /// The stream with everything that was recorded, and the veil with all names that it has met.
    pub fn into_parts(self) -> (W, Veil) {
        (self.stream, self.veil)
    }

    /// The stream, with everything that was recorded.
    #[cfg(test)]
    pub fn into_stream(self) -> W {
        self.stream
    }

    /// An event.
    pub fn event(&mut self, time: model::Time, event: &event::Event) -> io::Result<()> {
        let event = Event::of(event, &mut self.veil);
        self.write(time, &Line::Event { time: Time::new(time), event })
    }

    /// Links, routes and pods.
    pub fn topology(&mut self, time: model::Time, topology: &model::topology::Topology) -> io::Result<()> {
        let still = device_counters::without(topology);
        let is_news = self.topology.as_ref() != Some(&still);
        let line = Line::Topology {
            time: Time::new(time),
            topology: is_news.then(|| Topology::of(&still, &mut self.veil)),
            counters: self.counters.changes(topology),
        };
        self.topology = Some(still);
        self.write(time, &line)
    }

    /// Translated connections.
    pub fn nat(&mut self, time: model::Time, entries: &[model::nat::NatEntry]) -> io::Result<()> {
        let entries = entries.iter().map(|entry| NatEntry::of(entry, &mut self.veil)).collect();
        self.write(time, &Line::Nat { time: Time::new(time), entries })
    }

    /// What hooks saw.
    pub fn hook_counters(&mut self, time: model::Time, hooks: &[diagnose::HookCounters]) -> io::Result<()> {
        let hooks = hooks.iter().map(|hook| HookCounters::of(hook, &mut self.veil)).collect();
        self.write(time, &Line::HookCounters { time: Time::new(time), hooks })
    }

    /// Counters of a network namespace.
    pub fn netns_counters(
        &mut self,
        time: model::Time,
        counters: &diagnose::NetnsCounters,
    ) -> io::Result<()> {
        let known = self.netns_counters.entry(counters.pod_host_ifindex).or_default();
        let mut values = BTreeMap::new();
        for (name, value) in &counters.values {
            if known.insert(name.clone(), *value) != Some(*value) {
                values.insert(counter_name(name, &mut self.veil), *value);
            }
        }
        let pod_host_ifindex = counters.pod_host_ifindex;
        self.write(time, &Line::NetnsCounters { time: Time::new(time), pod_host_ifindex, values })
    }

    /// What a network namespace has learned.
    pub fn exceptions(
        &mut self,
        time: model::Time,
        read: &model::pmtu_exception::NetnsExceptions,
    ) -> io::Result<()> {
        let read = NetnsExceptions::of(read, &mut self.veil);
        self.write(time, &Line::Exceptions { time: Time::new(time), read })
    }

    /// Sockets of a network namespace that were asked for.
    pub fn sockets(&mut self, time: model::Time, read: &model::tcp_socket::NetnsSockets) -> io::Result<()> {
        let read = NetnsSockets::of(read, &mut self.veil);
        self.write(time, &Line::Sockets { time: Time::new(time), read })
    }

    /// Time passed for the diagnosis.
    pub fn timeout(&mut self, time: model::Time) -> io::Result<()> {
        self.write(time, &Line::Timeout { time: Time::new(time) })
    }

    /// What the observation says; what the diagnosis says follows from the rest and is not recorded.
    pub fn message(&mut self, message: &Message) -> io::Result<()> {
        let veil = &mut self.veil;
        let (time, line) = match message {
            Message::Diagnosis { .. } => return Ok(()),
            Message::Start(start) => (start.time, Line::Start(Start::of(start, veil))),
            Message::Progress { time, attached, pending } => {
                let line = Line::Progress { time: Time::new(*time), attached: *attached, pending: *pending };
                (*time, line)
            }
            Message::Attached { time, count, took } => {
                let (time, took) = (*time, Time::new(*took));
                (time, Line::Attached { time: Time::new(time), count: *count, took })
            }
            Message::Attach { time, interface, pod } => {
                let interface = AttachedInterface::of(interface, veil);
                let pod = Option::<Pod>::of(pod, veil);
                (*time, Line::Attach { time: Time::new(*time), interface, pod })
            }
            Message::Detach { time, interface, pod } => {
                let interface = AttachedInterface::of(interface, veil);
                let pod = Option::<Pod>::of(pod, veil);
                (*time, Line::Detach { time: Time::new(*time), interface, pod })
            }
            Message::Summary(summary) => {
                let line = Line::End {
                    time: Time::new(summary.time),
                    packets_seen: summary.packets_seen,
                    lost: summary.lost.clone(),
                };
                self.write(summary.time, &line)?;
                return self.stream.flush();
            }
        };
        self.write(time, &line)
    }

    fn write(&mut self, time: model::Time, line: &Line) -> io::Result<()> {
        self.put(line)?;
        if self.flushed + FLUSH_PERIOD <= time {
            self.flushed = time;
            self.stream.flush()?;
        }
        Ok(())
    }

    fn put(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.stream, value)?;
        self.stream.write_all(b"\n")
    }
}
