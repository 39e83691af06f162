//! The configuration file of `serve`: TOML with the names of the options. An error names file, line and key.
use super::{HistogramPods, PodPattern};
use crate::cli::{HookChoice, LogForm, LogLevel, SeverityChoice};
use crate::http_client::HttpUrl;
use anyhow::{Context as _, anyhow};
use clap::ValueEnum;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, de};
use std::fmt::Display;
use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServeFile {
    /// Address for HTTP.
    #[serde(deserialize_with = "parsed")]
    pub listen: Option<SocketAddr>,
    /// File with the token that opens `/findings`.
    pub findings_token_file: Option<PathBuf>,
    /// Pods whose packet sizes are told.
    #[serde(deserialize_with = "parsed")]
    pub histogram_pods: Option<HistogramPods>,
    /// Pods with series of their own.
    pub max_pods: Option<NonZeroUsize>,
    /// Where causes are posted to.
    #[serde(deserialize_with = "parsed")]
    pub webhook_url: Option<HttpUrl>,
    /// Certificates that the webhook's must be signed with.
    pub webhook_ca_file: Option<PathBuf>,
    /// File with a bearer token for the webhook.
    pub webhook_token_file: Option<PathBuf>,
    /// Causes are posted as Kubernetes Events.
    pub kubernetes_events: Option<bool>,
    /// Causes below are not posted.
    #[serde(deserialize_with = "chosen")]
    pub post_severity: Option<SeverityChoice>,
    /// Only these pods.
    #[serde(deserialize_with = "patterns")]
    pub pod: Option<Vec<PodPattern>>,
    /// Only these interfaces.
    pub interface: Option<Vec<String>>,
    /// The uplinks.
    pub uplink: Option<Vec<String>>,
    /// How to hang on an interface.
    #[serde(deserialize_with = "chosen")]
    pub hook: Option<HookChoice>,
    /// When to stop.
    #[serde(deserialize_with = "duration")]
    pub duration: Option<Duration>,
    /// Form of the log.
    #[serde(deserialize_with = "chosen")]
    pub log_form: Option<LogForm>,
    /// What is written down.
    #[serde(deserialize_with = "chosen")]
    pub log_level: Option<LogLevel>,
    /// The CRI socket of the container runtime.
    pub cri_socket: Option<PathBuf>,
    /// The way to the API server.
    pub kubeconfig: Option<PathBuf>,
    /// What Kubernetes calls this node.
    pub node_name: Option<String>,
}

/// Reads the file.
///
/// # Errors
/// `FILE:LINE: KEY: what is wrong with it`.
pub fn read_file(file: &Path) -> anyhow::Result<ServeFile> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    parse(&text).map_err(|(line, what)| anyhow!("{}:{line}: {what}", file.display()))
}

/// What is wrong, with its line.
fn parse(text: &str) -> Result<ServeFile, (usize, String)> {
    let line = |error: &toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start).min(text.len());
        1 + text.get(..start).unwrap_or_default().matches('\n').count()
    };
    let document =
        toml::Deserializer::parse(text).map_err(|error| (line(&error), error.message().to_owned()))?;
    serde_path_to_error::deserialize(document).map_err(|error| {
        let (key, inner) = (error.path().to_string(), error.inner());
        // Without a key it is about the file as a whole, and an unknown key stands in the message.
        let key = if key == "." { String::new() } else { format!("{key}: ") };
        (line(inner), format!("{key}{}", inner.message()))
    })
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(|error| D::Error::custom(format!("{text:?}: {error}")))
}

fn patterns<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<PodPattern>>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let patterns = texts
        .iter()
        .map(|text| text.parse().map_err(|error: String| D::Error::custom(format!("{text:?}: {error}"))));
    patterns.collect::<Result<_, _>>().map(Some)
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    humantime::parse_duration(&text).map(Some).map_err(|error| D::Error::custom(format!("{text:?}: {error}")))
}

/// One of a few words.
fn chosen<'de, D: Deserializer<'de>, T: ValueEnum>(from: D) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(from)?;
    T::from_str(&text, false).map(Some).map_err(|_| {
        let words: Vec<String> = T::value_variants()
            .iter()
            .filter_map(|value| value.to_possible_value())
            .map(|value| value.get_name().to_owned())
            .collect();
        de::Error::custom(format!("{text:?} is none of {}", words.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_options() {
        let file = parse(
            "listen = \"[::]:9000\"\npod = [\"shop/*\"]\nlog_level = \"debug\"\nhistogram_pods = \"none\"\nmax_pods = 10\n",
        )
        .expect("valid");
        assert_eq!(file.listen, "[::]:9000".parse().ok());
        assert_eq!(file.log_level, Some(LogLevel::Debug));
        assert_eq!(file.histogram_pods, Some(HistogramPods::None));
        assert_eq!(file.max_pods.map(NonZeroUsize::get), Some(10));
        assert_eq!(parse("").expect("nothing is valid"), ServeFile::default());
    }

    #[test]
    fn says_where_it_is_wrong() {
        for (text, line, part) in [
            ("# me\n\nlog_level = \"loud\"\n", 3, "log_level: \"loud\" is none of error, warn, info, debug"),
            ("max_pods = 0", 1, "max_pods: "),
            ("max_pods = \"many\"", 1, "max_pods: "),
            ("hook = \"tcx\"\nlisten = \"here\"", 2, "listen: \"here\": "),
            ("\npod = [\"a\", \"a/b/c\"]", 2, "pod: \"a/b/c\": expected NAMESPACE/NAME"),
            ("listne = \"127.0.0.1:1\"", 1, "unknown field `listne`, expected one of `listen`"),
            ("hook = \"tcx\"\nlisten == 1", 2, ""),
        ] {
            let (found, what) = parse(text).expect_err(text);
            assert_eq!(found, line, "{text}: {what}");
            assert!(what.contains(part), "{text}: {what}");
        }
    }
}
