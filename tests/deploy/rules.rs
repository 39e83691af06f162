//! The alert rules.
use super::{check, is_told, metrics_in, project, read};
use anyhow::Result;
use std::collections::BTreeSet;

const RULES: &str = "deploy/helm/mtuprobe/files/alerts.yaml";

fn alerts() -> Result<BTreeSet<String>> {
    let text = read(RULES)?;
    Ok(text.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).map(str::to_owned).collect())
}

#[test]
fn promtool_takes_them_and_their_tests_pass() -> Result<()> {
    let said = check("promtool", &["check", "rules", RULES])?;
    assert!(said.contains("5 rules found"), "{said}");
    check("promtool", &["test", "rules", "deploy/prometheus/alerts_test.yaml"])?;
    // Every alert is tested, to fire and not to fire.
    let tests = read("deploy/prometheus/alerts_test.yaml")?;
    for alert in alerts()? {
        assert!(tests.contains(&format!("alertname: {alert}")), "{alert} is not tested");
    }
    Ok(())
}

#[test]
fn each_has_a_runbook_and_each_runbook_an_alert() -> Result<()> {
    let text = read(RULES)?;
    for alert in alerts()? {
        assert!(text.contains(&format!("/docs/runbooks/{alert}.md")), "{alert} names no runbook");
        assert!(read(&format!("docs/runbooks/{alert}.md"))?.starts_with(&format!("# {alert}\n")), "{alert}");
    }
    let pages = std::fs::read_dir(project("docs/runbooks"))?;
    let pages: BTreeSet<String> = pages
        .filter_map(|page| page.ok()?.file_name().to_str()?.strip_suffix(".md").map(str::to_owned))
        .collect();
    assert_eq!(pages, alerts()?);
    Ok(())
}

#[test]
fn they_ask_for_metrics_that_are_told_and_documented() -> Result<()> {
    for name in metrics_in(&read(RULES)?) {
        assert!(is_told(&name), "{name} is told by nobody");
    }
    let documented = read("docs/metrics.md")?;
    for metric in probe_user::service::metrics::catalogue::ALL {
        let is_there =
            documented.contains(&format!("`{}`", metric.name)) || metric.name.starts_with("process_");
        assert!(is_there, "docs/metrics.md lacks {}", metric.name);
    }
    Ok(())
}
