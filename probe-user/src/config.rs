//! What a command was asked to do.

mod file;
mod selection;
mod service;

pub use file::{ServeFile, read_file};
pub use selection::{PodPattern, Selection, Urgency};
pub use service::{HistogramPods, ServeConfig};

use crate::attribution::sources::Places;
use crate::cli::{FamilyChoice, HookChoice, OutputForm, ProtocolChoice};
use probe_core::model::finding::Severity;
use std::path::PathBuf;
use std::time::Duration;

/// What `watch --record` was asked to do.
#[derive(Clone, Debug)]
pub struct RecordConfig {
    /// Where the evidence is written to.
    pub file: PathBuf,
    /// Names and addresses get pseudonyms.
    pub redact: bool,
}

/// What `pods` was asked to do.
#[derive(Clone, Debug)]
pub struct PodsConfig {
    /// Form of the output.
    pub output: OutputForm,
    /// Which pods to show.
    pub selection: Selection,
    /// Where names come from.
    pub places: Places,
}

/// What `watch --pcap` was asked to do.
#[derive(Clone, Debug)]
pub struct CaptureConfig {
    /// Where packets are written to.
    pub file: PathBuf,
    /// Bytes of each from its network header on; `None` is its headers.
    pub snaplen: Option<u32>,
}

/// What `bundle` was asked to do.
#[derive(Clone, Debug)]
pub struct BundleConfig {
    /// The archive; `None` is a name of node and time.
    pub file: Option<PathBuf>,
    /// Names and addresses get pseudonyms.
    pub redact: bool,
    /// How long is observed.
    pub duration: Option<Duration>,
    /// Which pods and interfaces.
    pub selection: Selection,
    /// Where names come from.
    pub places: Places,
}

/// What `check` was asked to do.
#[derive(Clone, Debug)]
pub struct CheckConfig {
    /// Where names come from.
    pub places: Places,
    /// Form of the output.
    pub output: OutputForm,
    /// Which pods to show, and the uplinks.
    pub selection: Selection,
    /// Findings below are not shown.
    pub min_severity: Severity,
}

/// What `replay` was asked to do.
#[derive(Clone, Debug)]
pub struct ReplayConfig {
    /// The recording.
    pub file: PathBuf,
    /// Form of the output.
    pub output: OutputForm,
    /// What to show.
    pub selection: Selection,
    /// Findings below are not shown.
    pub min_severity: Severity,
}

/// What `path` was asked to do.
#[derive(Clone, Debug)]
pub struct PathConfig {
    /// Where names come from.
    pub places: Places,
    /// `DEST[:PORT]`.
    pub destination: String,
    /// From inside this pod.
    pub pod: Option<PodPattern>,
    /// From inside this network namespace; with neither, from where we are.
    pub netns: Option<String>,
    /// What is sent.
    pub protocol: ProtocolChoice,
    /// Address family.
    pub family: FamilyChoice,
    /// When to give up.
    pub timeout: Duration,
    /// Form of the output.
    pub output: OutputForm,
}

/// What `histogram` was asked to do.
#[derive(Clone, Debug)]
pub struct HistogramConfig {
    /// What to observe; nothing is told of findings.
    pub observe: WatchConfig,
    /// Form of the picture.
    pub form: OutputForm,
    /// Shown again so often; `None` shows the end only.
    pub interval: Option<Duration>,
    /// Two pods side by side.
    pub compare: bool,
}

/// What `watch` was asked to do.
#[derive(Clone, Debug)]
pub struct WatchConfig {
    /// Where names come from.
    pub places: Places,
    /// Form in which findings and events are told; `None` tells nothing of them.
    pub output: Option<OutputForm>,
    /// When to stop.
    pub duration: Option<Duration>,
    /// What to observe.
    pub selection: Selection,
    /// Findings below are not shown.
    pub min_severity: Severity,
    /// How to hang on an interface.
    pub hook: HookChoice,
    /// Where the evidence is written to as well.
    pub record: Option<RecordConfig>,
    /// Where packets are written to as well.
    pub capture: Option<CaptureConfig>,
}
