//! Options of `serve`. None has a default here: what is not said may stand in the file.
use super::{HookChoice, LogForm, LogLevel, NameArguments, SeverityChoice};
use crate::config::{HistogramPods, PodPattern};
use crate::http_client::HttpUrl;
use clap::Args;
use clap::builder::BoolishValueParser;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Options of `serve`.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeArguments {
    /// TOML file with the same options, written with _ instead of -; a flag or variable wins over it.
    #[arg(long, env = "MTUPROBE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Address and port for HTTP [default: 127.0.0.1:14600].
    #[arg(long, env = "MTUPROBE_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,

    /// File with the bearer token that opens /findings beyond loopback; without one it stays closed there.
    #[arg(long, env = "MTUPROBE_FINDINGS_TOKEN_FILE", value_name = "FILE")]
    pub findings_token_file: Option<PathBuf>,

    /// Pods whose packet sizes are told: all, none, or a list of NAMESPACE/NAME with * and ? [default: all].
    #[arg(long, env = "MTUPROBE_HISTOGRAM_PODS", value_name = "all|none|NAMESPACE/NAME,…")]
    pub histogram_pods: Option<HistogramPods>,

    /// Pods with series of their own; more share the series named overflow [default: 500].
    #[arg(long, env = "MTUPROBE_MAX_PODS", value_name = "NUMBER")]
    pub max_pods: Option<NonZeroUsize>,

    /// Post each cause of findings to this address as JSON.
    #[arg(long, env = "MTUPROBE_WEBHOOK_URL", value_name = "URL")]
    pub webhook_url: Option<HttpUrl>,

    /// Certificates (PEM) that the webhook's must be signed with; default: those that the system trusts.
    #[arg(long, env = "MTUPROBE_WEBHOOK_CA_FILE", value_name = "FILE")]
    pub webhook_ca_file: Option<PathBuf>,

    /// File with a bearer token for the webhook.
    #[arg(long, env = "MTUPROBE_WEBHOOK_TOKEN_FILE", value_name = "FILE")]
    pub webhook_token_file: Option<PathBuf>,

    /// Post each cause of findings as a Kubernetes Event: from a pod of the cluster, or by --kubeconfig [default: false].
    #[arg(
        long,
        env = "MTUPROBE_KUBERNETES_EVENTS",
        value_name = "true|false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    pub kubernetes_events: Option<bool>,

    /// Post causes from this severity on [default: warning].
    #[arg(long, env = "MTUPROBE_POST_SEVERITY", value_enum)]
    pub post_severity: Option<SeverityChoice>,

    /// Only these pods, as NAMESPACE/NAME with * and ?; a pod without Kubernetes has its NAME only (repeatable).
    #[arg(long, env = "MTUPROBE_POD", value_delimiter = ',', value_name = "NAMESPACE/NAME")]
    pub pod: Vec<PodPattern>,

    /// Only these interfaces (repeatable); default: every host-side veth, overlay device, bridge port and uplink.
    #[arg(long, env = "MTUPROBE_INTERFACE", value_delimiter = ',', value_name = "IFACE")]
    pub interface: Vec<String>,

    /// The uplinks (repeatable); default: the devices of the default routes.
    #[arg(long, env = "MTUPROBE_UPLINK", value_delimiter = ',', value_name = "IFACE")]
    pub uplink: Vec<String>,

    /// How to hang on an interface: auto takes TCX wherever the kernel has it [default: auto].
    #[arg(long, env = "MTUPROBE_HOOK", value_enum)]
    pub hook: Option<HookChoice>,

    /// Stop after this time, for example 5m.
    #[arg(long, env = "MTUPROBE_DURATION", value_parser = humantime::parse_duration)]
    pub duration: Option<Duration>,

    /// Form of the log on standard error [default: auto].
    #[arg(long, env = "MTUPROBE_LOG_FORM", value_enum)]
    pub log_form: Option<LogForm>,

    /// What is written down [default: info].
    #[arg(long, env = "MTUPROBE_LOG_LEVEL", value_enum)]
    pub log_level: Option<LogLevel>,

    /// Where pods' names come from.
    #[command(flatten)]
    pub names: NameArguments,
}
