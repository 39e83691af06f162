//! Options of `bundle`.
use super::{NameArguments, ScopeArguments};
use crate::config::{BundleConfig, PodPattern};
use clap::Args;
use clap::builder::BoolishValueParser;
use std::path::PathBuf;

/// Options of `bundle`.
#[derive(Debug, Args)]
pub struct BundleArguments {
    /// The archive; default: mtuprobe-NODE-TIME.tar.gz in this directory. One that is there already stays.
    #[arg(long, env = "MTUPROBE_FILE", value_name = "FILE")]
    file: Option<PathBuf>,

    /// Put pseudonyms in the place of names and addresses, the same for the same everywhere in the archive.
    #[arg(long, env = "MTUPROBE_REDACT", value_parser = BoolishValueParser::new())]
    redact: bool,

    /// Only these pods, as NAMESPACE/NAME with * and ?; a pod without Kubernetes has its NAME only (repeatable).
    #[arg(long, env = "MTUPROBE_POD", value_delimiter = ',', value_name = "NAMESPACE/NAME")]
    pod: Vec<PodPattern>,

    #[command(flatten)]
    scope: ScopeArguments,

    #[command(flatten)]
    names: NameArguments,
}

impl From<BundleArguments> for BundleConfig {
    fn from(arguments: BundleArguments) -> Self {
        let BundleArguments { file, redact, pod, scope, names } = arguments;
        Self { file, redact, duration: scope.duration, selection: scope.selection(pod), places: names.into() }
    }
}
