//! The thread that owns every link and filter.
use super::clsact::{Clsact, Outcome};
use super::tcx::{Tcx, TcxError};
use super::{Command, Mechanism, Pace, Policy, Report, Request};
use crate::datapath::classifiers::Classifiers;
use crate::datapath::links::NetlinkError;
use probe_common::record::direction::{EGRESS, INGRESS};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::CStr;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// Time within which the final detachment makes pauses.
const DETACH_PAUSES: Duration = Duration::from_secs(3);

/// Why an interface could not be attached.
enum Refusal {
    /// TCX is not in this kernel.
    NoTcx,
    /// Neither the qdisc clsact nor a BPF filter for it is in this kernel, and its word.
    NoClsact(String),
    /// The kernel said so.
    System(io::Error),
    /// Something else.
    Other(String),
}

/// Its state.
pub(super) struct Worker {
    programs: Classifiers,
    policy: Policy,
    reports: UnboundedSender<Report>,
    tcx: Tcx,
    clsact: Option<Clsact>,
    attached: BTreeMap<u32, Mechanism>,
    urgent: VecDeque<Request>,
    paced: VecDeque<Request>,
    /// Until then RTNL is left to others.
    pause_until: Instant,
    /// The kernel did not know TCX.
    without_tcx: bool,
}

impl Worker {
    pub fn new(programs: Classifiers, policy: Policy, reports: UnboundedSender<Report>) -> Self {
        Self {
            programs,
            policy,
            reports,
            tcx: Tcx::default(),
            clsact: None,
            attached: BTreeMap::new(),
            urgent: VecDeque::new(),
            paced: VecDeque::new(),
            pause_until: Instant::now(),
            without_tcx: false,
        }
    }

    pub fn run(mut self, inbox: &Receiver<Command>) {
        if let Err(error) = self.clsact().and_then(|clsact| clsact.sweep().map_err(Refusal::from)) {
            let why = format!("look for filters of dead instances: {}", error.text());
            let _ = self.reports.send(Report::Notice(why));
        }
        while self.take_commands(inbox) {
            let request = self.urgent.pop_front().or_else(|| self.paced.pop_front());
            if let Some(request) = request {
                let began = Instant::now();
                let report = self.attach(request);
                let now = Instant::now();
                self.pause_until = now + (now - began);
                // Nobody listens any more at the very end.
                let _ = self.reports.send(report);
            }
        }
        self.detach_all();
    }

    /// Waits until there is something to do; false at the end.
    fn take_commands(&mut self, inbox: &Receiver<Command>) -> bool {
        loop {
            let wait = match (self.urgent.is_empty(), self.paced.is_empty()) {
                (false, _) => Duration::ZERO,
                (true, false) => self.pause_until.saturating_duration_since(Instant::now()),
                (true, true) => Duration::MAX,
            };
            let command = if wait == Duration::MAX {
                inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                inbox.recv_timeout(wait)
            };
            match command {
                Ok(Command::Attach(request)) => match request.pace {
                    Pace::Urgent => self.urgent.push_back(request),
                    Pace::Paced => self.paced.push_back(request),
                },
                Ok(Command::Detach(ifindex)) => {
                    self.urgent.retain(|request| request.ifindex != ifindex);
                    self.paced.retain(|request| request.ifindex != ifindex);
                    self.detach(ifindex);
                }
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    fn clsact(&mut self) -> Result<&mut Clsact, Refusal> {
        if self.clsact.is_none() {
            self.clsact = Some(Clsact::open()?);
        }
        self.clsact.as_mut().ok_or(Refusal::NoTcx)
    }

    fn attach(&mut self, request: Request) -> Report {
        let ifindex = request.ifindex;
        // The name of this moment: interfaces are renamed, and programs are attached by name.
        let Some(name) = interface_name(ifindex) else { return Report::Vanished { ifindex } };
        let result = match self.policy {
            Policy::Clsact => self.attach_by_clsact(request),
            Policy::Tcx => self.attach_by_tcx(request, &name),
            Policy::Auto => match self.attach_by_tcx(request, &name) {
                Err(Refusal::NoTcx) => {
                    self.policy = Policy::Clsact;
                    self.without_tcx = true;
                    self.attach_by_clsact(request)
                }
                result => result,
            },
        };
        match result {
            Ok(report) => report,
            // Whatever was said: the reason is that it is gone, or became another.
            Err(_) if interface_name(ifindex).is_none() => Report::Vanished { ifindex },
            Err(Refusal::NoClsact(cause)) if self.without_tcx => Report::NoHooks { name, cause },
            Err(refusal) => Report::Failed { ifindex, why: format!("attach {name}: {}", refusal.text()) },
        }
    }

    fn attach_by_tcx(&mut self, request: Request, name: &str) -> Result<Report, Refusal> {
        let ifindex = request.ifindex;
        match self.tcx.attach(&mut self.programs, ifindex, name, request.ethernet) {
            Ok(()) => {
                self.attached.insert(ifindex, Mechanism::Tcx);
                Ok(Report::Attached { ifindex, mechanism: Mechanism::Tcx, notice: None })
            }
            // `bpf_link_create` of a kernel that does not know the attach type.
            Err(TcxError::System(error)) if error.raw_os_error() == Some(libc::EINVAL) && !self.has_tcx() => {
                Err(Refusal::NoTcx)
            }
            Err(TcxError::System(error)) => Err(Refusal::System(error)),
            Err(TcxError::Other(why)) => Err(Refusal::Other(why)),
        }
    }

    /// Whether TCX has worked before, so that a refusal has another reason.
    fn has_tcx(&self) -> bool {
        self.attached.values().any(|mechanism| *mechanism == Mechanism::Tcx)
    }

    fn attach_by_clsact(&mut self, request: Request) -> Result<Report, Refusal> {
        let ifindex = request.ifindex;
        self.clsact()?;
        let mut programs = Vec::new();
        for direction in [INGRESS, EGRESS] {
            let program = self
                .programs
                .classifier(direction, request.ethernet)
                .map_err(|error| Refusal::Other(error.to_string()))?;
            let program = program.fd().and_then(|program| program.try_clone().map_err(Into::into));
            programs.push(program.map_err(|error| Refusal::Other(error.to_string()))?);
        }
        let [ingress, egress] = programs.as_slice() else { return Err(Refusal::NoTcx) };
        let clsact = self.clsact()?;
        let outcome = clsact
            .attach(ifindex, [ingress.as_fd(), egress.as_fd()], request.may_make_qdisc)
            .map_err(Refusal::of_clsact)?;
        match outcome {
            Outcome::Attached { notice } => {
                self.attached.insert(ifindex, Mechanism::Clsact);
                Ok(Report::Attached { ifindex, mechanism: Mechanism::Clsact, notice })
            }
            Outcome::Postponed => Ok(Report::Postponed { ifindex }),
        }
    }

    fn detach(&mut self, ifindex: u32) {
        match self.attached.remove(&ifindex) {
            Some(Mechanism::Tcx) => self.tcx.detach(ifindex),
            Some(Mechanism::Clsact) => {
                let result = self.clsact.as_mut().map_or(Ok(()), |clsact| clsact.detach(ifindex));
                if let Err(error) = result {
                    let _ = self.reports.send(Report::Notice(error.to_string()));
                }
            }
            None => {}
        }
    }

    /// Takes everything off, with pauses while there is time for them.
    fn detach_all(&mut self) {
        let end = Instant::now() + DETACH_PAUSES;
        let interfaces: Vec<u32> = self.attached.keys().copied().collect();
        for ifindex in interfaces {
            let began = Instant::now();
            self.detach(ifindex);
            let now = Instant::now();
            if now < end {
                thread::sleep((now - began).min(end - now));
            }
        }
    }
}

impl Refusal {
    /// A kind of qdisc or of classifier that the kernel does not know (`qdisc_create`, `tcf_proto_lookup_ops`).
    fn of_clsact(error: NetlinkError) -> Self {
        if error.errno() == Some(libc::ENOENT) { Self::NoClsact(error.to_string()) } else { error.into() }
    }

    fn text(&self) -> String {
        match self {
            Self::NoTcx => "this kernel has no TCX (Linux 6.6 and later); try --hook clsact".to_owned(),
            Self::NoClsact(cause) => {
                format!("{cause}: this kernel has no clsact (CONFIG_NET_CLS_ACT, CONFIG_NET_CLS_BPF)")
            }
            Self::System(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES)) => {
                "operation not permitted (needs CAP_BPF and CAP_NET_ADMIN)".to_owned()
            }
            Self::System(error) => error.to_string(),
            Self::Other(why) => why.clone(),
        }
    }
}

impl From<NetlinkError> for Refusal {
    fn from(error: NetlinkError) -> Self {
        match error.errno() {
            Some(number) if error.is_permission() => Self::System(io::Error::from_raw_os_error(number)),
            Some(_) | None => Self::Other(error.to_string()),
        }
    }
}

/// Name of an interface in the calling thread's network namespace.
fn interface_name(ifindex: u32) -> Option<String> {
    let mut name = [0_u8; libc::IF_NAMESIZE];
    // SAFETY: `name` has the IF_NAMESIZE bytes that the function may write.
    let found = unsafe { libc::if_indextoname(ifindex, name.as_mut_ptr().cast()) };
    if found.is_null() {
        return None;
    }
    CStr::from_bytes_until_nul(&name).ok()?.to_str().ok().map(str::to_owned)
}
