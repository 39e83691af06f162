//! `explain`: the table of rules, told.
use super::Verdict;
use crate::cli::{ExplainArguments, OutputForm};
use crate::output::explanation;
use anyhow::Context as _;
use probe_core::diagnose::rules::{self, RULES, Rule};
use std::io::{self, Write};

/// Tells what a finding kind means, or lists the kinds.
///
/// # Errors
/// The stream cannot be written to.
pub fn explain(arguments: &ExplainArguments) -> anyhow::Result<Verdict> {
    let rule = arguments.kind.and_then(rules::rule);
    let mut stream = io::stdout().lock();
    let written = match (arguments.output, rule) {
        (OutputForm::Json, rule) => explanation::json_lines(&chosen(rule), &mut stream),
        (OutputForm::Auto | OutputForm::Text, Some(rule)) => explanation::text(rule, &mut stream),
        (OutputForm::Auto | OutputForm::Text, None) => explanation::list(&RULES, &mut stream),
    };
    match written.and_then(|()| stream.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("write the results"),
        Ok(()) | Err(_) => Ok(Verdict::Quiet),
    }
}

fn chosen(rule: Option<&'static Rule>) -> Vec<&'static Rule> {
    rule.map_or_else(|| RULES.to_vec(), |rule| vec![rule])
}
