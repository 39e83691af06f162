//! `pods`: what is known of each pod, and where the names come from.
use crate::attribution::names::name_once;
use crate::cli::OutputForm;
use crate::config::PodsConfig;
use crate::datapath::attach::hooked;
use crate::datapath::links::Discovery;
use crate::output::pods::{self, ListedPods};
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
