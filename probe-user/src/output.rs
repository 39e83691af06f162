//! What is told, and the forms it is told in.

pub mod archive;
pub mod check;
pub mod complaint;
pub mod evidence;
pub mod explanation;
pub mod histogram;
pub mod json_lines;
pub mod notice;
pub mod path;
pub mod pcapng;
pub mod pods;
#[cfg(test)]
pub(crate) mod sample;
pub mod terminal;
pub mod text;
pub mod wall_clock;

use probe_core::diagnose;
use probe_core::model::Time;
use probe_core::model::finding::Finding;
use probe_core::model::interface::Role;
use probe_core::model::pod::Pod;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

/// How the programs hang on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    /// A TCX link; it ends with the process.
    Tcx,
    /// A `cls_bpf` filter at a clsact qdisc.
    Clsact,
}

impl Hook {
    /// Name in JSON, labels and text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}

/// An interface with its part and, once it is attached, its hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedInterface {
    /// Name.
    pub interface: String,
    /// Its part on this node.
    pub role: Role,
    /// How the programs hang on it.
    pub hook: Hook,
}

/// Whether something can be observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenseState {
    /// It can.
    Works,
    /// In part.
    Degraded,
    /// It cannot.
    Missing,
}

impl SenseState {
    /// Name in JSON and text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Degraded => "degraded",
            Self::Missing => "missing",
        }
    }
}

/// A source of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sense {
    /// `tc`, `kfree_skb`, `icmp_send`, `tcp_retransmit`, `netlink` ….
    pub name: Cow<'static, str>,
    /// Whether it works.
    pub state: SenseState,
    /// Why it does not.
    pub why: Option<String>,
}

/// The observation has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// When.
    pub time: Time,
    /// Version of this program.
    pub version: Cow<'static, str>,
    /// Release of the kernel.
    pub kernel: String,
    /// Name of the node.
    pub node: String,
    /// Interfaces that are attached.
    pub attached: Vec<AttachedInterface>,
    /// Interfaces still to come.
    pub pending: Vec<String>,
    /// What can be observed.
    pub senses: Vec<Sense>,
}

/// The last word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// When.
    pub time: Time,
    /// How long was observed, in nanoseconds.
    pub duration: Time,
    /// All findings in their final form.
    pub findings: Vec<Finding>,
    /// Findings that were not asked for: by severity, pod or interface.
    pub hidden: usize,
    /// Packets (segments) at interfaces of pods, both directions.
    pub packets_seen: u64,
    /// What was lost → how many.
    pub lost: BTreeMap<String, u64>,
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "told at once, never stored")]
pub enum Message {
    /// The observation has begun.
    Start(Start),
    /// Attaching what was found at the start goes on.
    Progress {
        /// When.
        time: Time,
        /// Interfaces that are attached.
        attached: usize,
        /// Interfaces still to come.
        pending: usize,
    },
    /// Everything found at the start is attached.
    Attached {
        /// When.
        time: Time,
        /// Number of interfaces.
        count: usize,
        /// Nanoseconds since the observation began.
        took: Time,
    },
    /// An interface came and is observed.
    Attach {
        /// When.
        time: Time,
        /// The interface.
        interface: AttachedInterface,
        /// The pod behind it.
        pod: Option<Pod>,
    },
    /// An observed interface went.
    Detach {
        /// When.
        time: Time,
        /// The interface.
        interface: AttachedInterface,
        /// The pod that was behind it.
        pod: Option<Pod>,
    },
    /// What the diagnosis says.
    Diagnosis {
        /// When.
        time: Time,
        /// What.
        output: diagnose::Output,
    },
    /// The last word.
    Summary(Summary),
}

/// Tells nothing.
#[derive(Debug)]
pub struct Silence;

impl Writer for Silence {
    fn write(&mut self, _message: &Message) -> io::Result<()> {
        Ok(())
    }
}

/// A form that results are told in.
pub trait Writer {
    /// Tells something.
    ///
    /// # Errors
    /// The stream cannot be written to.
    fn write(&mut self, message: &Message) -> io::Result<()>;
}
