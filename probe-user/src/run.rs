//! The observation: every input in one loop, results to the output.

mod absence;
mod attachments;
mod bundle;
mod capture;
mod check;
mod companion;
mod evidence;
mod explain;
mod histogram;
mod hook_history;
mod live;
mod namespaces;
mod nat;
mod observation;
mod opening;
mod path;
mod pod_settings;
mod pods;
mod recorded;
mod replay;
mod senses;
mod serve;
mod signals;
mod topology_feed;
mod verdict;
mod visits;
mod voice;

pub use bundle::bundle;
pub use check::check;
pub use explain::explain;
pub use histogram::histogram;
pub use path::path;
pub use pods::pods;
pub use replay::replay;
pub use serve::serve;
pub use verdict::Verdict;

use crate::attribution::names::{FIRST_PATIENCE, PodNames};
use crate::attribution::sources::Answer;
use crate::cli::WatchForm;
use crate::config::WatchConfig;
use crate::datapath::attach::{Attacher, Report};
use crate::datapath::links::LinksUpdate;
use crate::output::terminal::device;
use crate::output::wall_clock::{WallClock, monotonic_now};
use anyhow::{Context as _, bail};
use capture::Capture;
use companion::{Alone, Companion};
use live::Live;
use observation::{Files, Observation, Progress};
use probe_core::model::nat::NatEntry;
use recorded::RecordFile;
use signals::Signals;
use std::collections::BTreeSet;
use std::io;
use std::process;
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{self, Instant, Interval, MissedTickBehavior};
use topology_feed::TopologyFeed;
use voice::Voice;

/// The ring is looked into so often: nothing in the kernel ever wakes us.
const TICK: Duration = Duration::from_millis(50);

/// Everything that comes in.
#[derive(Debug)]
enum Input {
    /// Time to look into the ring, and at the clock.
    Tick,
    /// Links, routes or pods were read anew.
    Links(Box<LinksUpdate>),
    /// What became of an interface.
    Report(Report),
    /// Translated connections were read.
    Nat(io::Result<Vec<NatEntry>>),
    /// Sources of names were asked.
    Names(Vec<Answer>),
    /// Namespaces were visited.
    Visited(visits::Found),
    /// Somebody wants an end, or the time is over.
    End,
}

/// Observes until a signal or the end of `config.duration`.
///
/// # Errors
/// It could not do its job: missing privilege, unknown interface, nothing could be attached and no tracepoint works.
pub fn watch(form: WatchForm, config: WatchConfig) -> anyhow::Result<Verdict> {
    let on_screen = match form {
        WatchForm::Auto => device::is_possible(),
        WatchForm::Tui if device::is_terminal() => true,
        WatchForm::Tui => {
            bail!("show a screen: standard input and output must be a terminal (--output text needs none)")
        }
        WatchForm::Text | WatchForm::Json => false,
    };
    if on_screen { observe_with(config, Live::new()) } else { observe_with(config, Alone) }
}

/// Observes, and lets somebody look on.
fn observe_with(config: WatchConfig, companion: impl Companion) -> anyhow::Result<Verdict> {
    let record = config.record.as_ref().map(RecordFile::create).transpose()?;
    observe_recorded(config, companion, record)
}

/// The same, with a file for the evidence that is open already.
fn observe_recorded(
    config: WatchConfig,
    companion: impl Companion,
    record: Option<RecordFile>,
) -> anyhow::Result<Verdict> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the asynchronous runtime")?;
    runtime.block_on(observe(config, companion, record))
}

async fn observe(
    config: WatchConfig,
    mut companion: impl Companion,
    record: Option<RecordFile>,
) -> anyhow::Result<Verdict> {
    let clock = WallClock::now();
    let capture = config.capture.as_ref().map(|config| Capture::create(config, clock)).transpose()?;
    let files = Files { record, capture };
    let (report_sender, reports) = mpsc::unbounded_channel();
    let (other_sender, mut others) = mpsc::unbounded_channel();
    let mut feed = TopologyFeed::start()?;
    let mut topology = feed.first().await?.topology;
    let sender = other_sender.clone();
    let mut names =
        PodNames::start(&config.places, move |answers| sender.send(Input::Names(answers)).is_ok())
            .context("start the thread that asks for names")?;
    names.fill(monotonic_now(), &mut topology, &BTreeSet::new());
    names.ask(monotonic_now(), &topology.pods);
    // Nobody else sends yet. What comes later is taken in while observing.
    if let Ok(Some(Input::Names(answers))) = time::timeout(FIRST_PATIENCE, others.recv()).await {
        topology = names.take(monotonic_now(), answers, &topology).unwrap_or(topology);
    }
    let duration = config.duration;
    let (opened, attacher) = opening::open(&config, topology, report_sender)?;
    // Loading does not look for signals: until here one ends the process at once, and nothing stays behind.
    let signals = Signals::listen(companion.takes_hang_up()).context("listen to signals")?;
    let selection = &config.selection;
    let voice = match companion.writer() {
        Some(writer) => Voice::through(writer, selection, config.min_severity, clock),
        None => Voice::new(config.output, selection, config.min_severity, clock),
    };
    let mut observation = Observation::new(config, opened, names, files, voice, other_sender)?;
    let mut inputs = Inputs { signals, reports, others, feed, ticks: ticks(), end: None };

    let mut began = false;
    loop {
        let input = inputs.next().await;
        let now = monotonic_now();
        let progress = match input {
            Input::Tick => observation.handle_tick(now, &attacher)?,
            Input::Links(links) => observation.handle_links(now, *links, &attacher)?,
            Input::Nat(answer) => observation.handle_nat(now, answer, &attacher)?,
            Input::Names(answers) => observation.handle_names(now, answers, &attacher)?,
            Input::Visited(found) => observation.handle_visits(now, found, &attacher)?,
            Input::Report(report) => observation.handle_report(now, report, &attacher)?,
            Input::End => break,
        };
        let looked = companion.look(now, &mut observation)?;
        match (progress, looked) {
            (Progress::GoOn, Progress::GoOn) => {}
            (Progress::NobodyListens, _) | (_, Progress::NobodyListens) => break,
        }
        if !began && observation.has_begun() {
            began = true;
            inputs.end = duration.map(|duration| Instant::now() + duration);
        }
    }
    let now = monotonic_now();
    companion.look_last(now, &mut observation)?;
    let verdict = observation.end(now)?;
    detach(attacher, inputs.signals, verdict).await;
    Ok(verdict)
}

fn ticks() -> Interval {
    let mut ticks = time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The sources of inputs.
struct Inputs {
    signals: Signals,
    reports: UnboundedReceiver<Report>,
    others: UnboundedReceiver<Input>,
    feed: TopologyFeed,
    ticks: Interval,
    end: Option<Instant>,
}

impl Inputs {
    async fn next(&mut self) -> Input {
        let end = self.end;
        let over = async {
            match end {
                Some(end) => time::sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // Reports and topology before the clock: a tick must not see an older state than the evidence.
            biased;
            () = self.signals.next() => Input::End,
            () = over => Input::End,
            Some(report) = self.reports.recv() => Input::Report(report),
            Some(input) = self.others.recv() => input,
            Some(links) = self.feed.next() => Input::Links(links),
            _ = self.ticks.tick() => Input::Tick,
        }
    }
}

/// Takes all programs off; another signal ends the process at once.
async fn detach(attacher: Attacher, mut signals: Signals, verdict: Verdict) {
    let finished = tokio::task::spawn_blocking(move || attacher.finish());
    tokio::select! {
        _ = finished => {}
        () = signals.next() => process::exit(verdict.exit_status().into()),
    }
}
