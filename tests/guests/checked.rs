//! What `mtuprobe check` says of a node in a guest.
use anyhow::{Context, Result, ensure};
use mtuprobe_tests::probe::{Expected, Report, Run};
use mtuprobe_tests::topology::Namespace;
use serde_json::Value;

/// Runs it there.
pub fn check(node: &Namespace) -> Result<Report> {
    Run::command(node, &["check", "--output", "json"]).to_end()
}

/// The largest packet of a pod to a kind of destination is this, by every way, and limited there.
pub fn expect_reach(
    report: &Report,
    pod: &str,
    to: &str,
    family: &str,
    mtu: u32,
    limited_by: Option<&str>,
) -> Result<()> {
    let line = report
        .lines_of("reach")
        .filter(|line| line["pod"]["name"] == pod && line["to"] == to && line["family"] == family)
        .min_by_key(|line| line["mtu"].as_u64())
        .with_context(|| format!("nothing of {pod} to {to}\n{}", report.evidence()))?;
    let limit = limited_by.map_or(Value::Null, Value::from);
    ensure!(line["mtu"] == mtu && line["limited_by"] == limit, "{mtu} by {limit}: {line}");
    Ok(())
}

/// Nothing at `warning` or above.
pub fn expect_quiet(report: &Report) -> Result<()> {
    ensure!(report.exit_status() == Some(0) && report.loud().is_empty(), "{}", report.evidence());
    Ok(())
}

/// These at `warning`, and nothing else there or above.
pub fn expect_warnings(report: &Report, expected: Vec<Expected>) -> Result<()> {
    let loud = report.loud();
    for wanted in expected.iter().map(|wanted| wanted.clone().severity("warning").outcome("latent")) {
        let count = loud.iter().filter(|finding| wanted.accepts(finding)).count();
        ensure!(count == 1, "{count} times: {wanted}\n{}", report.evidence());
    }
    ensure!(report.exit_status() == Some(1) && loud.len() == expected.len(), "{}", report.evidence());
    Ok(())
}
