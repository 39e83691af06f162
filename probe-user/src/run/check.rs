//! `check`: everything that an MTU depends on is read once, and told.
mod survey;

use super::absence::no_pod;
use super::opening::with_uplinks;
use super::verdict::{LoudFindings, Verdict};
use crate::cli::OutputForm;
use crate::config::CheckConfig;
use crate::output::check::{self, Checked};
use crate::output::complaint::complain;
use crate::output::wall_clock::{WallClock, monotonic_now};
use crate::system;
use anyhow::{Context as _, bail};
use probe_core::reach::{self, consequence};
use std::io::{self, Write};

/// Reads, computes and tells.
///
/// # Errors
/// Nothing useful could be read, or the stream cannot be written to.
pub fn check(config: &CheckConfig) -> anyhow::Result<Verdict> {
    let clock = WallClock::now();
    let (checked, verdict) = checked(config)?;
    let selection = &config.selection;
    let mut stream = io::BufWriter::new(io::stdout().lock());
    let written = match config.output {
        OutputForm::Json => check::json_lines(&checked, selection, clock, &mut stream),
        OutputForm::Auto | OutputForm::Text => check::text(&checked, selection, clock, &mut stream),
    };
    match written.and_then(|()| stream.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("write the results"),
        Ok(()) | Err(_) => Ok(verdict),
    }
}

/// Reads and computes.
pub(super) fn checked(config: &CheckConfig) -> anyhow::Result<(Checked, Verdict)> {
    let begin = monotonic_now();
    let mut survey = survey::read(&config.selection, &config.places)?;
    survey.node = with_uplinks(survey.node, &config.selection);
    if survey.node.interfaces.is_empty() {
        bail!("read links: there is no interface in this network namespace");
    }
    let absent: Vec<String> =
        config.selection.without_pod(&survey.node.pods).map(|pod| no_pod(pod, &survey.node.pods)).collect();
    if !absent.is_empty() && absent.len() == config.selection.pods.len() {
        bail!("{}", absent.join("; "));
    }
    absent.iter().for_each(|absent| complain(absent));
    let mut reaches = reach::reaches(&survey);
    let now = monotonic_now();
    let mut findings = consequence::findings(&survey, &reaches, now);

    let selection = &config.selection;
    let wants_all = selection.pods.is_empty();
    reaches.retain(|reach| selection.wants_pod(&reach.pod));
    findings.retain(|finding| match &finding.pod {
        Some(pod) => selection.wants_pod(pod),
        None => wants_all || finding.pods.iter().any(|pod| selection.wants_pod(pod)),
    });
    let mut loud = LoudFindings::default();
    findings.iter().for_each(|finding| loud.note(finding));
    let found = findings.len();
    findings.retain(|finding| finding.severity >= config.min_severity);
    let hidden = found - findings.len();

    let checked = Checked {
        time: now,
        took: now.saturating_sub(begin),
        version: env!("CARGO_PKG_VERSION").into(),
        kernel: system::kernel_release(),
        node: system::node_name(),
        survey,
        reaches,
        findings,
        hidden,
    };
    Ok((checked, loud.verdict()))
}
