//! Puts the TC programs on interfaces and takes them off again.
//!
//! One thread owns every link and filter. An attachment by TCX waits 9 to 16 ms for an RCU grace period under RTNL,
//! which whoever sets up pods needs too: what is not urgent is paced, so that RTNL is free at least half of the time.

mod clsact;
mod owner;
mod presence;
mod tcx;
mod worker;

pub use presence::hooked;

use super::classifiers::Classifiers;
use std::io;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use tokio::sync::mpsc::UnboundedSender;
use worker::Worker;

/// How the programs hang on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// A TCX link.
    Tcx,
    /// A filter at a clsact qdisc.
    Clsact,
}

/// Which mechanism is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// TCX wherever the kernel has it.
    Auto,
    /// TCX only.
    Tcx,
    /// clsact only.
    Clsact,
}

/// When an interface is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At once.
    Urgent,
    /// When RTNL has been free for as long as we had it.
    Paced,
}

/// An interface to attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its index.
    pub ifindex: u32,
    /// Its frames have an Ethernet header.
    pub ethernet: bool,
    /// When.
    pub pace: Pace,
    /// A clsact qdisc may be made: not while a CNI is still at work, whose bandwidth plugin would fail on it.
    pub may_make_qdisc: bool,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The programs are on the interface.
    Attached {
        /// The interface.
        ifindex: u32,
        /// How.
        mechanism: Mechanism,
        /// What limits the view.
        notice: Option<String>,
    },
    /// The interface is gone; nobody's fault.
    Vanished {
        /// The interface.
        ifindex: u32,
    },
    /// It needs a qdisc, which may not be made yet: ask again.
    Postponed {
        /// The interface.
        ifindex: u32,
    },
    /// The kernel refused.
    Failed {
        /// The interface.
        ifindex: u32,
        /// Operation, object and cause.
        why: String,
    },
    /// The kernel has neither TCX nor clsact.
    NoHooks {
        /// The interface that it was tried on.
        name: String,
        /// What the kernel said.
        cause: String,
    },
    /// Something that is no interface's.
    Notice(String),
}

#[derive(Debug)]
enum Command {
    Attach(Request),
    Detach(u32),
}

/// The handle to the thread; [`Self::finish`] or dropping it takes all programs off.
#[derive(Debug)]
pub struct Attacher {
    commands: Sender<Command>,
    thread: JoinHandle<()>,
}

impl Attacher {
    /// Starts the thread in the network namespace of the calling one.
    ///
    /// # Errors
    /// No thread can be made.
    pub fn start(
        programs: Classifiers,
        policy: Policy,
        reports: UnboundedSender<Report>,
    ) -> io::Result<Self> {
        let (commands, inbox) = mpsc::channel();
        let thread = thread::Builder::new().name("attacher".to_owned()).spawn(move || {
            Worker::new(programs, policy, reports).run(&inbox);
        })?;
        Ok(Self { commands, thread })
    }

    /// Asks for an interface to be attached; a [`Report`] follows.
    pub fn attach(&self, request: Request) {
        // The thread ends only with this handle.
        let _ = self.commands.send(Command::Attach(request));
    }

    /// Takes the programs off an interface, or forgets a request.
    pub fn detach(&self, ifindex: u32) {
        let _ = self.commands.send(Command::Detach(ifindex));
    }

    /// Takes all programs off and waits for it.
    pub fn finish(self) {
        drop(self.commands);
        let _ = self.thread.join();
    }
}
