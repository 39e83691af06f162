//! `serve`: the observation for months, with what others ask of it.
use super::companion::Companion;
use super::observation::{Observation, Progress};
use crate::cli::ServeArguments;
use crate::config::{ServeConfig, ServeFile, read_file};
use crate::output::wall_clock::WallClock;
use crate::output::{Message, Writer};
use crate::service::board::{Board, Page};
use crate::service::http::{self, Token};
use crate::service::ledger::{Ledger, PageSettings};
use crate::service::manager::Manager;
use crate::service::network::Network;
use crate::service::post::{self, Book, Counts, Courier, Mail, Receiver};
use crate::service::{confinement, diary, log};
use crate::system;
use anyhow::{Context as _, anyhow};
use probe_core::model::finding::{Finding, Severity};
use probe_core::model::{SECOND, Time};
use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Counters are read so often, also when nobody asks: what an interface counted is attributed while it is known.
const HOOKS_PERIOD: Time = SECOND;
/// What faults have come to, and what of it is to be posted, is read so often.
const TALLIES_PERIOD: Time = 2 * SECOND;

/// Serves until a signal or the end of the duration.
///
/// # Errors
/// The configuration is wrong, the address is taken, or nothing can be observed.
pub fn serve(arguments: ServeArguments) -> anyhow::Result<()> {
    let config = configuration(&arguments)?;
    let token = Arc::new(Token::default());
    token.read(config.findings_token_file.as_deref())?;
    let listener = http::bind(config.listen).with_context(|| format!("listen at {}", config.listen))?;
    log::begin(config.log_form, config.log_level).map_err(|error| anyhow!("begin the log: {error}"))?;
    let receivers = receivers(&config)?;
    let readable = receivers.iter().filter_map(Receiver::token_file).map(Path::to_owned).collect();
    let (courier, mail, posts) = Courier::new(receivers, WallClock::now());
    confinement::confine_process().context("give up rights")?;
    let board = Arc::new(Board::default());
    let hang_up = Arc::new(AtomicBool::new(false));
    tracing::info!(listen = %listener.local_addr().unwrap_or(config.listen), "listening");
    Network {
        listener,
        board: Arc::clone(&board),
        token: Arc::clone(&token),
        courier,
        readable,
        hang_up: Arc::clone(&hang_up),
    }
    .start()?;
    let observe = config.observe();
    let service = Service {
        ledger: Rc::new(RefCell::new(Ledger::new(config.max_pods))),
        manager: Manager::from_environment(),
        kernel: system::kernel_release(),
        book: Book::new(config.post_severity),
        mail,
        posts,
        arguments,
        config,
        board,
        token,
        hang_up,
        links_read: 0,
        next_hooks: 0,
        next_tallies: 0,
    };
    super::observe_with(observe, service).map(|_| ())
}

fn configuration(arguments: &ServeArguments) -> anyhow::Result<ServeConfig> {
    let file = arguments.config.as_deref().map_or_else(|| Ok(ServeFile::default()), read_file)?;
    Ok(ServeConfig::new(arguments.clone(), file))
}

/// Who is told of causes.
fn receivers(config: &ServeConfig) -> anyhow::Result<Vec<Receiver>> {
    let node = config.places.node.clone().unwrap_or_else(system::node_name);
    let mut receivers = Vec::new();
    if config.kubernetes_events {
        receivers.push(post::kubernetes(&config.places.kubernetes, node.clone())?);
    }
    if let Some((url, authority, token)) = &config.webhook {
        receivers.push(post::webhook(url.clone(), authority.as_deref(), token.clone(), node)?);
    }
    Ok(receivers)
}

struct Service {
    arguments: ServeArguments,
    config: ServeConfig,
    ledger: Rc<RefCell<Ledger>>,
    board: Arc<Board>,
    token: Arc<Token>,
    manager: Manager,
    hang_up: Arc<AtomicBool>,
    kernel: String,
    book: Book,
    mail: Mail,
    posts: Counts,
    /// The reading of links that coverage was taken from.
    links_read: u64,
    next_hooks: Time,
    next_tallies: Time,
}

/// Hears what the observation tells: counts it and writes it down.
struct Clerk {
    ledger: Rc<RefCell<Ledger>>,
}

impl Writer for Clerk {
    fn write(&mut self, message: &Message) -> io::Result<()> {
        if let Message::Diagnosis { time, output } = message {
            self.ledger.borrow_mut().hear(*time, output);
        }
        diary::note(message);
        Ok(())
    }
}

impl Companion for Service {
    fn writer(&self) -> Option<Box<dyn Writer>> {
        Some(Box::new(Clerk { ledger: Rc::clone(&self.ledger) }))
    }

    fn takes_hang_up(&self) -> bool {
        true
    }

    fn look(&mut self, now: Time, observation: &mut Observation) -> anyhow::Result<Progress> {
        self.manager.live(now);
        if self.hang_up.swap(false, Ordering::AcqRel) {
            self.reload();
        }
        self.board.look(now, waits_for(observation));
        if observation.is_running() {
            self.manager.ready();
        }
        let wanted = self.board.is_wanted();
        if self.links_read != observation.links_read() {
            self.links_read = observation.links_read();
            self.read_coverage(observation)?;
        }
        if wanted || self.next_hooks <= now {
            self.next_hooks = now + HOOKS_PERIOD;
            self.read_hooks(now, observation)?;
        }
        if wanted || self.next_tallies <= now {
            self.next_tallies = now + TALLIES_PERIOD;
            let mut findings = observation.diagnoser().open_findings(now);
            findings.retain(|finding| self.config.selection.is_about(finding));
            for notice in self.book.look(now, &findings) {
                self.mail.send(notice);
            }
            self.ledger.borrow_mut().read_tallies(now, observation.diagnoser().tallies());
            self.manager.status(status(observation, &findings));
            if wanted {
                self.show(now, observation, findings);
            }
        }
        Ok(Progress::GoOn)
    }

    fn look_last(&mut self, _now: Time, _observation: &mut Observation) -> anyhow::Result<()> {
        self.manager.stopping();
        Ok(())
    }
}

impl Service {
    fn read_coverage(&mut self, observation: &Observation) -> anyhow::Result<()> {
        let counted = observation.counted()?;
        let is_attached = |ifindex| observation.is_attached(ifindex);
        self.ledger.borrow_mut().read_coverage(observation.topology(), &counted, is_attached);
        Ok(())
    }

    fn read_hooks(&mut self, now: Time, observation: &mut Observation) -> anyhow::Result<()> {
        let departed = observation.take_departed();
        let counted = observation.counted()?;
        self.ledger.borrow_mut().read_hooks(now, observation.topology(), departed, counted);
        Ok(())
    }

    fn show(&self, now: Time, observation: &Observation, findings: Vec<Finding>) {
        let settings = PageSettings {
            now,
            ready: observation.is_running(),
            topology: observation.topology(),
            findings: &findings,
            lost: &observation.lost_in_all(),
            attached: &observation.attached_interfaces(),
            pending: observation.pending_interfaces().len(),
            senses: &observation.current_senses(),
            histogram_pods: &self.config.histogram_pods,
            kernel: &self.kernel,
        };
        let mut families = self.ledger.borrow().families(&settings);
        families.push(self.posts.family());
        self.board.show(Page { families, findings, clock: observation.clock() });
    }

    /// Reads the file again. What is wrong with it is told, and everything stays as it was.
    fn reload(&mut self) {
        self.manager.reloading();
        match self.read_again() {
            Ok(()) => tracing::info!("the configuration was read again"),
            Err(error) => tracing::error!("the configuration stays as it was: {error:#}"),
        }
        self.manager.reloaded();
    }

    fn read_again(&mut self) -> anyhow::Result<()> {
        let config = configuration(&self.arguments)?;
        self.token.read(config.findings_token_file.as_deref())?;
        let later = self.config.needs_restart(&config);
        if !later.is_empty() {
            tracing::warn!(options = later.join(","), "changed in the file, but taken in by a restart only");
        }
        log::set_level(config.log_level);
        self.book.set_min_severity(config.post_severity);
        self.ledger.borrow_mut().set_max_pods(config.max_pods);
        // What is observed stays; the next reload compares with what is in effect.
        self.config.histogram_pods = config.histogram_pods;
        self.config.findings_token_file = config.findings_token_file;
        self.config.max_pods = config.max_pods;
        self.config.log_level = config.log_level;
        self.config.post_severity = config.post_severity;
        Ok(())
    }
}

/// What it is not ready for; `None` if it is.
fn waits_for(observation: &Observation) -> Option<String> {
    if observation.is_running() {
        return None;
    }
    let pending = observation.pending_interfaces().len();
    Some(format!("attaching: {} done, {pending} to come", observation.attached_interfaces().len()))
}

/// The line of `systemctl status`.
fn status(observation: &Observation, findings: &[Finding]) -> String {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    format!(
        "{} interfaces observed; {} critical, {} warning, {} info",
        observation.attached_interfaces().len(),
        count(Severity::Critical),
        count(Severity::Warning),
        count(Severity::Info)
    )
}
