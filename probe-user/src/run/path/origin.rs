//! The network namespace that probes leave from.
use crate::attribution::names::name_once;
use crate::attribution::pod_namespace;
use crate::attribution::sources::Places;
use crate::config::{PathConfig, PodPattern};
use crate::datapath::links::Discovery;
use crate::run::absence::{names, no_pod};
use anyhow::{Context as _, bail};
use probe_core::model::pod::Pod;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Where `ip netns` keeps its names.
const NAMES: &str = "/run/netns";

/// Where probes leave from.
#[derive(Debug)]
pub(super) struct Origin {
    /// For people: `pod shop/cart`, `network namespace blue`, `here`.
    pub name: String,
    /// The pod.
    pub pod: Option<Pod>,
    /// `None` stays where we are.
    pub namespace: Option<File>,
}

impl Origin {
    pub fn find(config: &PathConfig) -> anyhow::Result<Self> {
        match (&config.pod, &config.netns) {
            (Some(pattern), _) => of_pod(pattern, &config.places),
            (None, Some(netns)) => of_namespace(netns),
            (None, None) => Ok(Self { name: "here".to_owned(), pod: None, namespace: None }),
        }
    }
}

fn of_pod(pattern: &PodPattern, places: &Places) -> anyhow::Result<Origin> {
    let mut topology =
        Discovery::new().and_then(|mut discovery| discovery.snapshot()).context("read links")?;
    name_once(&mut topology, places);
    let pods = topology.pods;
    let matching: Vec<&Pod> = pods.iter().filter(|pod| pattern.matches(pod)).collect();
    // A pod with several interfaces is there once for each.
    let is_one = matching.windows(2).all(|pair| pair[0].key() == pair[1].key());
    match matching.first() {
        None => bail!("{}", no_pod(pattern, &pods)),
        Some(_) if !is_one => bail!("several pods are called {pattern}: {}", names(matching)),
        Some(&pod) => {
            let name = format!("pod {}", pod.display_name());
            let file = pod_namespace(pod).with_context(|| {
                format!("open the network namespace of {name}: no file or process of it can be seen (needs CAP_SYS_PTRACE, and the host's process ids)")
            })?;
            Ok(Origin { name, pod: Some(pod.clone()), namespace: Some(file) })
        }
    }
}

fn of_namespace(text: &str) -> anyhow::Result<Origin> {
    let path: PathBuf = if text.contains('/') {
        text.into()
    } else if text.parse::<u32>().is_ok() && !Path::new(NAMES).join(text).exists() {
        format!("/proc/{text}/ns/net").into()
    } else {
        Path::new(NAMES).join(text)
    };
    let name = format!("network namespace {text}");
    let file = File::open(&path).with_context(|| format!("open {name}: {}", path.display()))?;
    Ok(Origin { name, pod: None, namespace: Some(file) })
}
