//! What `serve` was asked to do: flags and variables over the file over defaults.
use super::{PodPattern, Selection, ServeFile, WatchConfig};
use crate::attribution::sources::Places;
use crate::cli::{HookChoice, LogForm, LogLevel, ServeArguments, SeverityChoice};
use crate::http_client::HttpUrl;
use probe_core::model::finding::Severity;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Where it listens unless told otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 14600);

/// Pods with series of their own unless told otherwise.
const MAX_PODS: usize = 500;

/// Pods whose packet sizes are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistogramPods {
    /// All.
    All,
    /// None.
    None,
    /// Those that one of these means.
    These(Vec<PodPattern>),
}

impl HistogramPods {
    /// Whether the sizes of a pod with these labels are told.
    pub fn includes(&self, namespace: &str, pod: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::These(patterns) => patterns.iter().any(|pattern| pattern.matches_labels(namespace, pod)),
        }
    }
}

impl FromStr for HistogramPods {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            patterns => {
                let patterns = patterns.split(',').map(|pattern| pattern.trim().parse());
                patterns.collect::<Result<_, _>>().map(Self::These)
            }
        }
    }
}

/// What `serve` was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeConfig {
    /// Address for HTTP.
    pub listen: SocketAddr,
    /// File with the token that opens `/findings`.
    pub findings_token_file: Option<PathBuf>,
    /// Pods whose packet sizes are told.
    pub histogram_pods: HistogramPods,
    /// Pods with series of their own.
    pub max_pods: usize,
    /// Where causes are posted to, the certificates that it must show, and a file with a token for it.
    pub webhook: Option<(HttpUrl, Option<PathBuf>, Option<PathBuf>)>,
    /// Causes are posted as Kubernetes Events.
    pub kubernetes_events: bool,
    /// Causes below are not posted.
    pub post_severity: Severity,
    /// What to observe.
    pub selection: Selection,
    /// How to hang on an interface.
    pub hook: HookChoice,
    /// When to stop.
    pub duration: Option<Duration>,
    /// Form of the log.
    pub log_form: LogForm,
    /// What is written down.
    pub log_level: LogLevel,
    /// Where names come from.
    pub places: Places,
}

impl ServeConfig {
    /// From the command line, with what it does not say from the file.
    pub fn new(arguments: ServeArguments, file: ServeFile) -> Self {
        let ServeArguments {
            config: _,
            listen,
            findings_token_file,
            histogram_pods,
            max_pods,
            webhook_url,
            webhook_ca_file,
            webhook_token_file,
            kubernetes_events,
            post_severity,
            pod,
            interface,
            uplink,
            hook,
            duration,
            log_form,
            log_level,
            names,
        } = arguments;
        let places = Places::new(
            names.cri_socket.or(file.cri_socket),
            names.kubeconfig.or(file.kubeconfig),
            names.node_name.or(file.node_name),
        );
        let selection = Selection {
            pods: said(pod, file.pod),
            interfaces: said(interface, file.interface),
            uplinks: said(uplink, file.uplink),
        };
        let authority = webhook_ca_file.or(file.webhook_ca_file);
        let token = webhook_token_file.or(file.webhook_token_file);
        let severity = post_severity.or(file.post_severity).unwrap_or(SeverityChoice::Warning);
        Self {
            webhook: webhook_url.or(file.webhook_url).map(|url| (url, authority, token)),
            kubernetes_events: kubernetes_events.or(file.kubernetes_events).unwrap_or(false),
            post_severity: severity.into(),
            listen: listen.or(file.listen).unwrap_or(LISTEN),
            findings_token_file: findings_token_file.or(file.findings_token_file),
            histogram_pods: histogram_pods.or(file.histogram_pods).unwrap_or(HistogramPods::All),
            max_pods: max_pods.or(file.max_pods).map_or(MAX_PODS, NonZeroUsize::get),
            selection,
            hook: hook.or(file.hook).unwrap_or(HookChoice::Auto),
            duration: duration.or(file.duration),
            log_form: log_form.or(file.log_form).unwrap_or(LogForm::Auto),
            log_level: log_level.or(file.log_level).unwrap_or(LogLevel::Info),
            places,
        }
    }

    /// The observation that it is about.
    pub fn observe(&self) -> WatchConfig {
        WatchConfig {
            places: self.places.clone(),
            output: None,
            duration: self.duration,
            selection: self.selection.clone(),
            min_severity: Severity::Info,
            hook: self.hook,
            record: None,
            capture: None,
        }
    }

    /// Names of the options that another configuration changes and that only a start takes in.
    pub fn needs_restart(&self, other: &Self) -> Vec<&'static str> {
        let differs = [
            ("listen", self.listen != other.listen),
            ("webhook_url", self.webhook != other.webhook),
            ("kubernetes_events", self.kubernetes_events != other.kubernetes_events),
            ("pod", self.selection.pods != other.selection.pods),
            ("interface", self.selection.interfaces != other.selection.interfaces),
            ("uplink", self.selection.uplinks != other.selection.uplinks),
            ("hook", self.hook != other.hook),
            ("duration", self.duration != other.duration),
            ("log_form", self.log_form != other.log_form),
            ("cri_socket", self.places.cri != other.places.cri),
            ("kubeconfig", self.places.kubernetes != other.places.kubernetes),
            ("node_name", self.places.node != other.places.node),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}

/// A list on the command line replaces that of the file.
fn said<T>(arguments: Vec<T>, file: Option<Vec<T>>) -> Vec<T> {
    if arguments.is_empty() { file.unwrap_or_default() } else { arguments }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let arguments = ServeArguments {
            max_pods: NonZeroUsize::new(7),
            interface: vec!["eth1".to_owned()],
            ..ServeArguments::default()
        };
        let file = ServeFile {
            max_pods: NonZeroUsize::new(9),
            interface: Some(vec!["eth0".to_owned()]),
            uplink: Some(vec!["eth9".to_owned()]),
            log_level: Some(LogLevel::Debug),
            ..ServeFile::default()
        };
        let config = ServeConfig::new(arguments, file);
        assert_eq!(config.max_pods, 7);
        assert_eq!(config.selection.interfaces, ["eth1"]);
        assert_eq!(config.selection.uplinks, ["eth9"]);
        assert_eq!(config.log_level, LogLevel::Debug);
        assert_eq!(config.listen.to_string(), "127.0.0.1:14600");
        assert_eq!(config.histogram_pods, HistogramPods::All);
    }

    #[test]
    fn selectors_of_histograms() {
        let parse = |text: &str| text.parse::<HistogramPods>();
        assert_eq!(parse("none"), Ok(HistogramPods::None));
        let some = parse("shop/*, blue").expect("a list");
        assert!(some.includes("shop", "cart-1") && some.includes("", "blue"));
        assert!(!some.includes("shop2", "cart") && !some.includes("overflow", "overflow"));
        assert!(parse("a/b/c").is_err());
    }
}
