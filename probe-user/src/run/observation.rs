//! The state of an observation and what each input does to it.

mod view;

use super::Input;
use super::absence::no_pod;
use super::attachments::{self, Attachments};
use super::capture::Capture;
use super::evidence::Evidence;
use super::hook_history::HookHistory;
use super::namespaces::Namespaces;
use super::nat::NatReader;
use super::opening::{Opened, with_uplinks};
use super::pod_settings::SettingsReader;
use super::recorded::{RecordFile, RecordedDiagnoser};
use super::senses;
use super::verdict::Verdict;
use super::visits::{Found, Visits};
use super::voice::Voice;
use crate::attribution::names::PodNames;
use crate::attribution::sources::Answer;
use crate::config::{Urgency, WatchConfig};
use crate::datapath::attach::{Attacher, Report};
use crate::datapath::floor;
use crate::datapath::interfaces::Interfaces;
use crate::datapath::links::LinksUpdate;
use crate::datapath::load::{Datapath, Tracepoint};
use crate::output::complaint::complain;
use crate::output::{Message, Sense, Start, Summary};
use crate::system;
use anyhow::bail;
use probe_core::diagnose::{HookCounters, Output};
use probe_core::model::event::{Event, Lost};
use probe_core::model::nat::NatEntry;
use probe_core::model::topology::Topology;
use probe_core::model::{SECOND, Time};
use std::collections::BTreeSet;
use std::io;
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;

/// What is lost is looked at so often.
const COUNTERS_PERIOD: Time = SECOND;

/// A start that takes long tells how far it has come so often.
const PROGRESS_PERIOD: Time = SECOND;

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    GoOn,
    /// The reader of the results is gone.
    NobodyListens,
}

/// How far the start has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// `start` is still to be told.
    Beginning,
    /// `attached` is still to be told.
    Attaching,
    Running,
}

/// Files that are open before there is anything to write: what is wrong with them is told at once.
#[derive(Default)]
pub(super) struct Files {
    pub record: Option<RecordFile>,
    pub capture: Option<Capture>,
}

/// The state of an observation.
pub(super) struct Observation {
    config: WatchConfig,
    voice: Voice,
    datapath: Datapath,
    interfaces: Interfaces,
    attachments: Attachments,
    hooks: HookHistory,
    evidence: Evidence,
    namespaces: Namespaces,
    settings: SettingsReader,
    names: PodNames,
    nat: NatReader,
    visits: Visits,
    diagnoser: RecordedDiagnoser,
    capture: Option<Capture>,
    tracepoints: Vec<Tracepoint>,
    phase: Phase,
    /// Loading began.
    opened: Time,
    /// `start` was told.
    began: Time,
    /// Number of times that links were read.
    links_read: u64,
    /// When the last reading began.
    links_began: Time,
    next_counters: Time,
    next_progress: Time,
    failures: Vec<String>,
}

impl Observation {
    /// Begins with what was opened.
    pub fn new(
        config: WatchConfig,
        opened: Opened,
        names: PodNames,
        files: Files,
        voice: Voice,
        inputs: UnboundedSender<Input>,
    ) -> anyhow::Result<Self> {
        let senses = senses::relied_on(&opened.tracepoints);
        let mut observation = Self {
            diagnoser: RecordedDiagnoser::new(senses, files.record, voice.clock())?,
            capture: files.capture,
            voice,
            config,
            datapath: opened.datapath,
            interfaces: opened.interfaces,
            attachments: opened.attachments,
            hooks: HookHistory::default(),
            evidence: Evidence::default(),
            namespaces: Namespaces::default(),
            settings: opened.settings,
            names,
            nat: NatReader::new(inputs.clone()),
            visits: Visits::new(inputs),
            tracepoints: opened.tracepoints,
            phase: Phase::Beginning,
            opened: opened.time,
            began: opened.time,
            links_read: 0,
            links_began: opened.time,
            next_counters: opened.time,
            next_progress: opened.time,
            failures: Vec::new(),
        };
        observation.diagnoser.handle_topology(opened.time, opened.topology);
        observation.note_without_place(opened.time, &opened.without_place);
        Ok(observation)
    }

    /// Reads the ring and the clock.
    pub fn handle_tick(&mut self, now: Time, attacher: &Attacher) -> anyhow::Result<Progress> {
        self.drain(now)?;
        if self.next_counters <= now {
            self.next_counters = now + COUNTERS_PERIOD;
            for lost in self.evidence.lost(now, &self.datapath)? {
                self.diagnoser.handle_event(now, Event::Lost(lost));
            }
            for hole in self.datapath.tcp_holes().read(now)? {
                self.diagnoser.handle_event(now, Event::TcpHole(hole));
            }
            self.read_hooks()?;
            for counters in self.namespaces.read(&self.diagnoser.topology().pods) {
                self.diagnoser.handle_counters(now, counters);
            }
        }
        if let Some(topology) = self.settings.look(now, self.diagnoser.topology()) {
            self.diagnoser.handle_topology(now, topology);
        }
        if self.diagnoser.wants_nat() {
            self.nat.ask(now);
        }
        self.names.ask(now, &self.diagnoser.topology().pods);
        let wanted = || (self.diagnoser.wants_a_look(now), self.diagnoser.wants_sockets(now));
        self.visits.ask(now, self.diagnoser.topology(), wanted);
        for request in self.attachments.due(now) {
            attacher.attach(request);
        }
        if self.diagnoser.poll_timeout().is_some_and(|due| due <= now) {
            self.diagnoser.handle_timeout(now);
        }
        self.advance(now, attacher)
    }

    /// Follows links, routes and pods.
    pub fn handle_links(
        &mut self,
        now: Time,
        links: LinksUpdate,
        attacher: &Attacher,
    ) -> anyhow::Result<Progress> {
        self.links_read += 1;
        self.links_began = now.saturating_sub(elapsed(links.began));
        // What was seen of links that are going belongs to the topology that still has them.
        self.drain(now)?;
        let mut topology = with_uplinks(links.topology, &self.config.selection);
        self.settings.fill(now, &mut topology);
        self.names.fill(now, &mut topology, &links.removed);
        self.take_topology(now, topology, &links.removed, attacher)?;
        self.advance(now, attacher)
    }

    /// Takes in what sources of names said.
    pub fn handle_names(
        &mut self,
        now: Time,
        answers: Vec<Answer>,
        attacher: &Attacher,
    ) -> anyhow::Result<Progress> {
        if let Some(topology) = self.names.take(now, answers, self.diagnoser.topology()) {
            self.take_topology(now, topology, &BTreeSet::new(), attacher)?;
        }
        for finding in self.names.named_late(now, self.diagnoser.topology()) {
            self.tell(Message::Diagnosis { time: now, output: Output::Finding(finding) })?;
        }
        self.advance(now, attacher)
    }

    /// Follows a topology, in what is attached and in the diagnosis.
    fn take_topology(
        &mut self,
        now: Time,
        topology: Topology,
        removed: &BTreeSet<u32>,
        attacher: &Attacher,
    ) -> anyhow::Result<()> {
        let difference = self.attachments.update(now, &topology, removed);
        for ifindex in difference.gone {
            attacher.detach(ifindex);
        }
        // Told to the kernel side before a program can meet a packet there.
        let without_place =
            self.interfaces.update(&mut self.datapath, &topology, &self.attachments.wanted())?;
        self.note_without_place(now, &without_place);
        for request in
            difference.requests.into_iter().filter(|request| !without_place.contains(&request.ifindex))
        {
            attacher.attach(request);
        }
        self.diagnoser.handle_topology(now, topology);
        let hooks = self.read_hooks()?;
        self.diagnoser.handle_hook_counters(now, &self.hooks.comparable(self.links_began, &hooks));
        for attachments::Event { interface, pod } in difference.went {
            self.tell(Message::Detach { time: now, interface, pod })?;
        }
        Ok(())
    }

    fn read_hooks(&mut self) -> anyhow::Result<Vec<HookCounters>> {
        let is_attached = |ifindex| self.attachments.is_attached(ifindex);
        let hooks = self.interfaces.hook_counters(&self.datapath, is_attached)?;
        self.hooks.keep(&hooks);
        Ok(hooks)
    }

    /// Takes translated connections in.
    pub fn handle_nat(
        &mut self,
        now: Time,
        answer: io::Result<Vec<NatEntry>>,
        attacher: &Attacher,
    ) -> anyhow::Result<Progress> {
        let entries = self.nat.take(now, answer);
        self.diagnoser.handle_nat(now, &entries);
        self.advance(now, attacher)
    }

    /// Takes in what was found in namespaces.
    pub fn handle_visits(
        &mut self,
        now: Time,
        found: Found,
        attacher: &Attacher,
    ) -> anyhow::Result<Progress> {
        let (exceptions, sockets) = self.visits.take(now, found);
        for read in exceptions {
            self.diagnoser.handle_exceptions(now, read);
        }
        for read in sockets {
            self.diagnoser.handle_sockets(now, read);
        }
        self.advance(now, attacher)
    }

    /// Follows what became of interfaces.
    pub fn handle_report(
        &mut self,
        now: Time,
        report: Report,
        attacher: &Attacher,
    ) -> anyhow::Result<Progress> {
        match report {
            Report::Attached { ifindex, mechanism, notice } => {
                if let Some(notice) = notice {
                    let name = self.attachments.name(ifindex).unwrap_or("an interface");
                    complain(&format_args!("observe {name}: {notice}"));
                }
                self.attachments.note_attached(ifindex, mechanism);
            }
            Report::Vanished { ifindex } => self.attachments.note_vanished(ifindex),
            Report::Postponed { ifindex } => self.attachments.note_postponed(ifindex),
            Report::Failed { ifindex, why } => {
                complain(&why);
                self.attachments.note_refused(ifindex);
                self.failures.push(why);
            }
            Report::NoHooks { name, cause } => return Err(floor::of_hooks(name, cause).into()),
            Report::Notice(notice) => complain(&notice),
        }
        self.advance(now, attacher)
    }

    /// Tells the summary.
    pub fn end(&mut self, now: Time) -> anyhow::Result<Verdict> {
        self.drain(now)?;
        self.evidence.count_held_back(&self.datapath)?;
        for lost in self.evidence.lost(now, &self.datapath)? {
            self.diagnoser.handle_event(now, Event::Lost(lost));
        }
        if self.phase == Phase::Beginning {
            let start = self.start(now);
            self.tell(Message::Start(start))?;
        }
        let mut findings = self.diagnoser.finish(now);
        for finding in &mut findings {
            self.names.name_ends(now, finding, self.diagnoser.topology());
        }
        self.tell_diagnosis(now)?;
        let summary = Summary {
            hidden: 0,
            time: now,
            duration: now.saturating_sub(self.began),
            findings,
            packets_seen: self.interfaces.packets_of_pods(&self.datapath)?,
            lost: self.lost_in_all(),
        };
        self.tell(Message::Summary(summary))?;
        if let Some(capture) = &mut self.capture {
            capture.finish();
        }
        Ok(self.voice.verdict())
    }

    /// Takes in what the ring has.
    fn drain(&mut self, now: Time) -> anyhow::Result<()> {
        for (event, captured) in self.evidence.drain(&mut self.datapath)? {
            if let (Some(capture), Some(captured)) = (&mut self.capture, captured) {
                capture.take(captured, &event, self.diagnoser.topology());
            }
            self.diagnoser.handle_event(now, event);
        }
        if let Some(capture) = &mut self.capture {
            capture.advance(now);
        }
        Ok(())
    }

    /// Tells what there is to tell, and moves the start on.
    fn advance(&mut self, now: Time, attacher: &Attacher) -> anyhow::Result<Progress> {
        if self.phase == Phase::Beginning && !self.attachments.awaits(Some(Urgency::First)) {
            self.phase = Phase::Attaching;
            self.began = now;
            self.next_progress = now + PROGRESS_PERIOD;
            let start = self.start(now);
            self.tell(Message::Start(start))?;
            for request in self.attachments.paced(now) {
                attacher.attach(request);
            }
        }
        if self.phase == Phase::Attaching && self.next_progress <= now {
            self.next_progress = now + PROGRESS_PERIOD;
            let (attached, pending) = (self.attachments.attached().len(), self.attachments.pending().len());
            if pending > 0 {
                self.tell(Message::Progress { time: now, attached, pending })?;
            }
        }
        if self.phase == Phase::Attaching && !self.attachments.awaits(None) {
            self.phase = Phase::Running;
            let count = self.attachments.attached().len();
            if count == 0 && self.tracepoints.iter().all(|tracepoint| tracepoint.why_not.is_some()) {
                let why = self.failures.first().map_or("no interface to observe", String::as_str);
                bail!("nothing can be observed: {why}, and no tracepoint works");
            }
            self.tell(Message::Attached { time: now, count, took: now.saturating_sub(self.opened) })?;
            let pods = &self.diagnoser.topology().pods;
            for pattern in self.config.selection.without_pod(pods) {
                complain(&format_args!("{}; it is observed as soon as it comes", no_pod(pattern, pods)));
            }
        }
        if self.phase != Phase::Beginning {
            for attachments::Event { interface, pod } in self.attachments.came(now) {
                self.tell(Message::Attach { time: now, interface, pod })?;
            }
            self.tell_diagnosis(now)?;
        }
        Ok(if self.voice.is_listened_to() { Progress::GoOn } else { Progress::NobodyListens })
    }

    fn start(&self, now: Time) -> Start {
        let attached = self.attachments.attached();
        Start {
            time: now,
            version: env!("CARGO_PKG_VERSION").into(),
            kernel: system::kernel_release(),
            node: system::node_name(),
            senses: self.senses(attached.len()),
            attached,
            pending: self.attachments.pending(),
        }
    }

    fn senses(&self, attached: usize) -> Vec<Sense> {
        let topology = self.diagnoser.topology();
        let mut senses = senses::told(&self.failures, attached, &self.tracepoints);
        senses.push(Visits::netlink_sense(topology));
        senses.push(Visits::sockets_sense(topology));
        senses.push(self.settings.sense(topology));
        senses.extend(self.names.senses());
        senses::complete(senses)
    }

    fn tell_diagnosis(&mut self, now: Time) -> anyhow::Result<()> {
        while let Some(mut output) = self.diagnoser.poll_output() {
            if let Output::Finding(finding) = &mut output {
                self.names.name_ends(now, finding, self.diagnoser.topology());
            }
            self.tell(Message::Diagnosis { time: now, output })?;
        }
        Ok(())
    }

    fn tell(&mut self, message: Message) -> anyhow::Result<()> {
        self.diagnoser.record_message(&message);
        if let Some(capture) = &mut self.capture {
            capture.hear(&message);
        }
        self.voice.tell(message)
    }

    /// More interfaces than the kernel side has places for.
    fn note_without_place(&mut self, now: Time, ifindexes: &[u32]) {
        for &ifindex in ifindexes {
            let interface = self.attachments.name(ifindex).map(str::to_owned);
            self.attachments.note_refused(ifindex);
            let why = "there are more interfaces than places for them".to_owned();
            let lost = Lost { time: now, what: "interface_places".to_owned(), count: 1, interface, why };
            self.diagnoser.handle_event(now, Event::Lost(lost));
        }
    }
}

/// Nanoseconds since then.
fn elapsed(then: Instant) -> Time {
    Time::try_from(then.elapsed().as_nanos()).unwrap_or(Time::MAX)
}
