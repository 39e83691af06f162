//! The command line. Every option has an environment variable; a flag wins over it.
mod bundle;
mod serve;

pub use bundle::BundleArguments;
pub use serve::ServeArguments;

use crate::attribution::sources::Places;
use crate::config::{
    CaptureConfig, CheckConfig, HistogramConfig, PathConfig, PodPattern, PodsConfig, RecordConfig,
    ReplayConfig, Selection, WatchConfig,
};
use clap::builder::{BoolishValueParser, NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use probe_core::diagnose::rules::RULES;
use probe_core::model::finding::{Kind, Severity};
use std::path::PathBuf;
use std::time::Duration;

/// Finds MTU and path MTU faults of a Kubernetes node by watching its packets in the kernel.
#[derive(Debug, Parser)]
#[command(name = "mtuprobe", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read once what MTUs depend on, without any traffic, and tell what fits and what does not.
    ///
    /// Needs no rights beyond those to read: root sees all; with fewer rights it says what it could not see. Exit status:
    /// 0 nothing at warning or above, 1 at least one such finding, 2 nothing useful could be read.
    Check(CheckArguments),
    /// Observe until Ctrl-C or --duration, and tell findings as they appear.
    ///
    /// Exit status: 0 nothing at warning or above, 1 at least one such finding, 2 nothing could be observed.
    Watch(WatchArguments),
    /// Observe for months: metrics for Prometheus, health and the findings that stand over HTTP, causes as Kubernetes
    /// Events and to a webhook.
    ///
    /// SIGHUP reads the configuration file again. Exit status: 0; 2 nothing could be observed.
    Serve(Box<ServeArguments>),
    /// Packet sizes per pod and direction: how many of which size, with the pod's own MTU marked.
    ///
    /// Segmentation-offload packets count as the segments that they become. Exit status: 0; 2 nothing could be observed.
    Histogram(HistogramArguments),
    /// Diagnose again what `watch --record` wrote: the same findings, on any machine and without privilege.
    ///
    /// Exit status: as that of the observation; 2 if the file cannot be read or is no recording.
    Replay(ReplayArguments),
    /// One archive for a ticket: what `check` tells, links, routes and learned path MTUs, and the evidence of some seconds.
    ///
    /// Exit status: as that of `check` and `watch`; 2 nothing useful could be read, or the file cannot be written.
    Bundle(BundleArguments),
    /// The largest packet that reaches a destination, searched with probes from inside a pod's network namespace.
    ///
    /// Exit status: 0 the path carries what the sender can send, or the sender is told of less; 1 larger packets vanish
    /// unsaid; 2 nothing could be measured; 130 Ctrl-C, after which it tells what is known. Needs CAP_SYS_ADMIN to enter a namespace and CAP_NET_RAW to probe.
    Path(PathArguments),
    /// The pods of this node: names, interfaces, both MTUs, addresses, and where each name comes from.
    ///
    /// Exit status: 0; 2 the interfaces could not be read.
    Pods(PodsArguments),
    /// What a finding kind means, how it is proved and what to do; without a kind, the list of them.
    Explain(ExplainArguments),
}

/// Options of `watch`.
#[derive(Debug, Args)]
pub struct WatchArguments {
    /// Form of the output; auto is a screen to look around in (tui) on a terminal, and text elsewhere.
    #[arg(long, env = "MTUPROBE_OUTPUT", value_enum, default_value_t = WatchForm::Auto)]
    output: WatchForm,

    #[command(flatten)]
    observe: ObserveArguments,

    /// How to hang on an interface: auto takes TCX wherever the kernel has it.
    #[arg(long, env = "MTUPROBE_HOOK", value_enum, default_value_t = HookChoice::Auto)]
    hook: HookChoice,

    /// Write the evidence to this file as well, for `mtuprobe replay`.
    #[arg(long, env = "MTUPROBE_RECORD", value_name = "FILE")]
    record: Option<PathBuf>,

    /// Put pseudonyms in the place of names and addresses in the recording, the same for the same everywhere.
    #[arg(long, env = "MTUPROBE_REDACT", requires = "record", value_parser = BoolishValueParser::new())]
    redact: bool,

    /// Write the packets that are too big and the ICMP errors about them to this file, as pcapng for Wireshark.
    #[arg(long, env = "MTUPROBE_PCAP", value_name = "FILE")]
    pcap: Option<PathBuf>,

    /// Bytes of each packet in that file, from its IP header on, at most 192; default: its headers.
    #[arg(long, env = "MTUPROBE_SNAPLEN", value_name = "BYTES", requires = "pcap")]
    snaplen: Option<u32>,
}

/// Options of `pods`.
#[derive(Debug, Args)]
pub struct PodsArguments {
    #[command(flatten)]
    names: NameArguments,

    /// Form of the output; auto is text.
    #[arg(long, env = "MTUPROBE_OUTPUT", value_enum, default_value_t = OutputForm::Auto)]
    output: OutputForm,

    /// Only these pods, as NAMESPACE/NAME with * and ?; a pod without Kubernetes has its NAME only (repeatable).
    #[arg(long, env = "MTUPROBE_POD", value_delimiter = ',', value_name = "NAMESPACE/NAME")]
    pod: Vec<PodPattern>,
}

/// Where pods' names come from.
#[derive(Clone, Debug, Default, Args)]
pub struct NameArguments {
    /// The CRI socket of the container runtime; default: that of containerd or CRI-O at its usual place.
    #[arg(long, env = "MTUPROBE_CRI_SOCKET", value_name = "PATH")]
    pub cri_socket: Option<PathBuf>,

    /// Ask the API server of this file's current context; default: in a pod, that of its cluster.
    #[arg(long, env = "MTUPROBE_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// What Kubernetes calls this node; default: its host name.
    #[arg(long, env = "MTUPROBE_NODE_NAME", value_name = "NAME")]
    pub node_name: Option<String>,
}

impl From<NameArguments> for Places {
    fn from(arguments: NameArguments) -> Self {
        let NameArguments { cri_socket, kubeconfig, node_name } = arguments;
        Self::new(cri_socket, kubeconfig, node_name)
    }
}

/// Options of `histogram`.
#[derive(Debug, Args)]
pub struct HistogramArguments {
    #[command(flatten)]
    names: NameArguments,

    #[command(flatten)]
    scope: ScopeArguments,

    /// Form of the output; auto is text.
    #[arg(long, env = "MTUPROBE_OUTPUT", value_enum, default_value_t = OutputForm::Auto)]
    output: OutputForm,

    /// Only these pods, as NAMESPACE/NAME with * and ?; a pod without Kubernetes has its NAME only (repeatable).
    #[arg(long, env = "MTUPROBE_POD", value_delimiter = ',', value_name = "NAMESPACE/NAME")]
    pod: Vec<PodPattern>,

    /// Show the counts so far again and again, for example every 2s; default: once, at the end.
    #[arg(long, env = "MTUPROBE_INTERVAL", value_parser = interval)]
    interval: Option<Duration>,

    /// Two pods side by side (text only).
    #[arg(long, env = "MTUPROBE_COMPARE", value_parser = BoolishValueParser::new())]
    compare: bool,

    /// How to hang on an interface: auto takes TCX wherever the kernel has it.
    #[arg(long, env = "MTUPROBE_HOOK", value_enum, default_value_t = HookChoice::Auto)]
    hook: HookChoice,
}

/// An interval of 100 ms or more.
fn interval(text: &str) -> Result<Duration, String> {
    let interval = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if interval < Duration::from_millis(100) { Err("at least 100ms".to_owned()) } else { Ok(interval) }
}

/// Options of `check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Form of the output; auto is text.
    #[arg(long, env = "MTUPROBE_OUTPUT", value_enum, default_value_t = OutputForm::Auto)]
    output: OutputForm,

    #[command(flatten)]
    show: ShowArguments,

    #[command(flatten)]
    names: NameArguments,

    /// The uplinks (repeatable); default: the devices of the default routes.
    #[arg(long, env = "MTUPROBE_UPLINK", value_delimiter = ',', value_name = "IFACE")]
    uplink: Vec<String>,
}

/// Options of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArguments {
    /// The recording.
    file: PathBuf,

    /// Form of the output; auto is text.
    #[arg(long, env = "MTUPROBE_OUTPUT", value_enum, default_value_t = OutputForm::Auto)]
    output: OutputForm,

    #[command(flatten)]
    show: ShowArguments,
}

/// Options that observing commands share.
#[derive(Debug, Args)]
pub struct ObserveArguments {
    #[command(flatten)]
    show: ShowArguments,

    #[command(flatten)]
    scope: ScopeArguments,

    #[command(flatten)]
    names: NameArguments,
}

/// What is observed, and how long.
#[derive(Debug, Args)]
pub struct ScopeArguments {
    /// Stop after this time, for example 30s or 5m.
    #[arg(long, env = "MTUPROBE_DURATION", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,

    /// Only these interfaces (repeatable); default: every host-side veth, overlay device, bridge port and uplink.
    #[arg(long, env = "MTUPROBE_INTERFACE", value_delimiter = ',', value_name = "IFACE")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    interface: Vec<String>,

    /// The uplinks (repeatable); default: the devices of the default routes.
    #[arg(long, env = "MTUPROBE_UPLINK", value_delimiter = ',', value_name = "IFACE")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    uplink: Vec<String>,
}

/// What is shown, and how.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// Only these pods, as NAMESPACE/NAME with * and ?; a pod without Kubernetes has its NAME only (repeatable).
    #[arg(long, env = "MTUPROBE_POD", value_delimiter = ',', value_name = "NAMESPACE/NAME")]
    pod: Vec<PodPattern>,

    /// Show findings from this severity on; the exit status does not depend on it.
    #[arg(long, env = "MTUPROBE_MIN_SEVERITY", value_enum, default_value_t = SeverityChoice::Info)]
    min_severity: SeverityChoice,
}

/// Options of `path`.
#[derive(Debug, Args)]
pub struct PathArguments {
    /// Address or name, with a port where a TCP service answers; names are resolved here, not in the pod.
    #[arg(value_name = "DEST[:PORT]")]
    destination: String,

    #[command(flatten)]
    names: NameArguments,

    /// From inside this pod, as NAMESPACE/NAME; a pod without Kubernetes has its NAME only. Default: from here.
    #[arg(long, env = "MTUPROBE_POD", value_name = "NAMESPACE/NAME")]
    pod: Option<PodPattern>,

    /// From inside this network namespace: a name of `ip netns`, a path, or the number of a process in it.
    #[arg(long, env = "MTUPROBE_NETNS", value_name = "NAME|PATH|PID", conflicts_with = "pod")]
    netns: Option<String>,

    /// What is sent; auto takes TCP if there is a port, else ICMP echo or UDP, whatever is answered.
    #[arg(long, env = "MTUPROBE_PROTOCOL", value_enum, default_value_t = ProtocolChoice::Auto)]
    protocol: ProtocolChoice,

    /// Address family, for names with addresses of both.
    #[arg(long, env = "MTUPROBE_FAMILY", value_enum, default_value_t = FamilyChoice::Auto)]
    family: FamilyChoice,

    /// Give up after this time.
    #[arg(long, env = "MTUPROBE_TIMEOUT", value_parser = humantime::parse_duration, default_value = "60s")]
    timeout: Duration,

    /// Form of the output; auto is text.
    #[arg(long, env = "MTUPROBE_OUTPUT", value_enum, default_value_t = OutputForm::Auto)]
    output: OutputForm,
}

/// What is sent to search a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProtocolChoice {
    /// Whatever is answered.
    Auto,
    /// Echo requests.
    Icmp,
    /// Datagrams.
    Udp,
    /// Segments of a connection to an open port.
    Tcp,
}

/// Address family of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FamilyChoice {
    /// Whatever the destination has.
    Auto,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

impl From<PathArguments> for PathConfig {
    fn from(arguments: PathArguments) -> Self {
        let PathArguments { destination, names, pod, netns, protocol, family, timeout, output } = arguments;
        Self { places: names.into(), destination, pod, netns, protocol, family, timeout, output }
    }
}

/// Options of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// The kind, as findings name it.
    #[arg(value_parser = kind_parser())]
    pub kind: Option<Kind>,

    /// Form of the output; auto is text.
    #[arg(long, env = "MTUPROBE_OUTPUT", value_enum, default_value_t = OutputForm::Auto)]
    pub output: OutputForm,
}

/// Takes the kinds that are diagnosed; what it refuses is answered with their list.
fn kind_parser() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(RULES.map(|rule| rule.kind.name())).try_map(|name| {
        let rule = RULES.iter().find(|rule| rule.kind.name() == name);
        rule.map(|rule| rule.kind).ok_or("not a finding kind")
    })
}

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputForm {
    /// Text.
    Auto,
    /// Lines for people.
    Text,
    /// JSON Lines.
    Json,
}

/// Form of what `watch` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WatchForm {
    /// A screen on a terminal, text elsewhere.
    Auto,
    /// A screen to look around in; needs a terminal.
    Tui,
    /// Lines for people.
    Text,
    /// JSON Lines.
    Json,
}

/// Form of a service's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// For the journal where standard error is the journal, else text.
    Auto,
    /// Lines with time and level.
    Text,
    /// JSON Lines.
    Json,
}

/// What a service writes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// It cannot go on, or something was given up.
    Error,
    /// Findings at warning and above, lost evidence.
    Warn,
    /// Other findings, changes, starts and ends.
    Info,
    /// Each drop, ICMP error and interface.
    Debug,
}

/// How to hang on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HookChoice {
    /// TCX wherever the kernel has it, else clsact.
    Auto,
    /// TCX links only (Linux 6.6 and later).
    Tcx,
    /// Filters at a clsact qdisc.
    Clsact,
}

/// A severity on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SeverityChoice {
    /// Worth knowing.
    Info,
    /// Loss that recovers, fragmentation, or loss although the sender was told.
    Warning,
    /// Traffic is lost and the sender cannot learn why.
    Critical,
}

impl WatchArguments {
    /// Form of what is shown.
    pub fn form(&self) -> WatchForm {
        self.output
    }
}

impl From<WatchArguments> for WatchConfig {
    fn from(arguments: WatchArguments) -> Self {
        let WatchArguments { output, observe, hook, record, redact, pcap, snaplen } = arguments;
        let output = match output {
            WatchForm::Auto | WatchForm::Text => Some(OutputForm::Text),
            WatchForm::Json => Some(OutputForm::Json),
            // The screen hears of everything itself.
            WatchForm::Tui => None,
        };
        Self {
            places: observe.names.into(),
            output,
            duration: observe.scope.duration,
            selection: observe.scope.selection(observe.show.pod),
            min_severity: observe.show.min_severity.into(),
            hook,
            record: record.map(|file| RecordConfig { file, redact }),
            capture: pcap.map(|file| CaptureConfig { file, snaplen }),
        }
    }
}

impl ScopeArguments {
    fn selection(&self, pods: Vec<PodPattern>) -> Selection {
        Selection { pods, interfaces: self.interface.clone(), uplinks: self.uplink.clone() }
    }
}

impl From<HistogramArguments> for HistogramConfig {
    fn from(arguments: HistogramArguments) -> Self {
        let HistogramArguments { names, scope, output, pod, interval, compare, hook } = arguments;
        let observe = WatchConfig {
            places: names.into(),
            output: None,
            duration: scope.duration,
            selection: scope.selection(pod),
            min_severity: Severity::Info,
            hook,
            record: None,
            capture: None,
        };
        Self { observe, form: output, interval, compare }
    }
}

impl From<CheckArguments> for CheckConfig {
    fn from(arguments: CheckArguments) -> Self {
        let CheckArguments { output, show, names, uplink } = arguments;
        let selection = Selection { pods: show.pod, uplinks: uplink, ..Selection::default() };
        let min_severity = show.min_severity.into();
        Self { places: names.into(), output, selection, min_severity }
    }
}

impl From<PodsArguments> for PodsConfig {
    fn from(arguments: PodsArguments) -> Self {
        let PodsArguments { names, output, pod } = arguments;
        let selection = Selection { pods: pod, ..Selection::default() };
        Self { output, selection, places: names.into() }
    }
}

impl From<ReplayArguments> for ReplayConfig {
    fn from(arguments: ReplayArguments) -> Self {
        let ReplayArguments { file, output, show } = arguments;
        let selection = Selection { pods: show.pod, ..Selection::default() };
        Self { file, output, selection, min_severity: show.min_severity.into() }
    }
}

impl From<SeverityChoice> for Severity {
    fn from(choice: SeverityChoice) -> Self {
        match choice {
            SeverityChoice::Info => Self::Info,
            SeverityChoice::Warning => Self::Warning,
            SeverityChoice::Critical => Self::Critical,
        }
    }
}

#[cfg(test)]
mod tests;
