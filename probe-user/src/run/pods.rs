//! `pods`: what is known of each pod, and where the names come from.
use super::absence::{blindness, no_pod};
use crate::attribution::cluster::Access;
use crate::attribution::names::name_once;
use crate::cli::OutputForm;
use crate::config::PodsConfig;
use crate::datapath::attach::hooked;
use crate::datapath::links::Discovery;
use crate::output::complaint::complain;
use crate::output::pods::{self, ListedPods};
use crate::output::{Sense, SenseState};
use anyhow::Context as _;
use std::io::{self, Write as _};

/// Reads and tells.
///
/// # Errors
/// Links cannot be read, or the stream cannot be written to.
pub fn pods(config: &PodsConfig) -> anyhow::Result<()> {
    let mut topology =
        Discovery::new().and_then(|mut discovery| discovery.snapshot()).context("read links")?;
    let senses = name_once(&mut topology, &config.places);
    complain_of(config, &senses);
    if let Some(why) = blindness(&topology.pods).filter(|_| config.selection.pods.is_empty()) {
        complain(&why);
    }
    for pattern in config.selection.without_pod(&topology.pods) {
        complain(&no_pod(pattern, &topology.pods));
    }
    topology.pods.retain(|pod| config.selection.wants_pod(pod));
    let listed = ListedPods { hooks: hooked(&topology), topology, senses };
    let mut stream = io::BufWriter::new(io::stdout().lock());
    let written = match config.output {
        OutputForm::Json => pods::json_lines(&listed, &mut stream),
        OutputForm::Auto | OutputForm::Text => pods::text(&listed, &mut stream),
    };
    match written.and_then(|()| stream.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("write the results"),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A source that somebody asked for and that does not answer is worth more than a line among others.
fn complain_of(config: &PodsConfig, senses: &[Sense]) {
    let is_given = |sense: &&Sense| match &*sense.name {
        "cri" => config.places.cri.is_some(),
        "kubernetes" => matches!(config.places.kubernetes, Access::Kubeconfig(_)),
        _ => false,
    };
    for sense in senses.iter().filter(is_given).filter(|sense| sense.state != SenseState::Works) {
        let why = sense.why.as_deref().unwrap_or("it does not say why");
        complain(&format_args!("no names from {}: {why}", sense.name));
    }
}
