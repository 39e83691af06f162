//! The dashboard: its queries as Prometheus reads them, and what Grafana wants to be unique.
use super::{check, is_told, metrics_in, read};
use anyhow::{Context as _, Result};
use mtuprobe_tests::service::Scratch;
use serde_json::Value;
use std::collections::BTreeSet;

fn dashboard() -> Result<Value> {
    serde_json::from_str(&read("deploy/helm/mtuprobe/files/dashboard.json")?).context("read the dashboard")
}

/// All queries, with variables as Grafana fills them in.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(query)) = fields.get("expr") {
                found.push(query.replace("$__rate_interval", "1m"));
            }
            fields.values().for_each(|value| queries(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn prometheus_understands_its_queries() -> Result<()> {
    let mut found = Vec::new();
    queries(&dashboard()?, &mut found);
    assert!(found.len() >= 20, "{found:?}");
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    for (number, query) in found.iter().enumerate() {
        let quoted = serde_json::to_string(query)?;
        rules.push_str(&format!("  - record: query:number_{number}\n    expr: {quoted}\n"));
        for name in metrics_in(query) {
            assert!(is_told(&name), "{name} is told by nobody: {query}");
        }
    }
    let scratch = Scratch::new("dashboard")?;
    let file = scratch.write("rules.yaml", &rules)?;
    check("promtool", &["check", "rules", &file])?;
    Ok(())
}

#[test]
fn panels_are_unique_and_use_the_chosen_source() -> Result<()> {
    let dashboard = dashboard()?;
    let panels = dashboard["panels"].as_array().context("panels")?;
    let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "two panels have the same id, or one has none");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        assert!(panel["title"].as_str().is_some_and(|title| !title.is_empty()), "{panel}");
        assert!(panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()), "{}", panel["title"]);
        let grid = &panel["gridPos"];
        assert!(grid["x"].as_u64() < Some(24) && grid["w"].as_u64() > Some(0), "{}", panel["title"]);
    }
    let variables = dashboard["templating"]["list"].as_array().context("variables")?;
    let named: BTreeSet<&str> = variables.iter().filter_map(|variable| variable["name"].as_str()).collect();
    let text = serde_json::to_string(&dashboard)?;
    for (_, rest) in text.match_indices('$').map(|(at, _)| text.split_at(at + 1)) {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        assert!(named.contains(name.as_str()) || name.starts_with("__"), "no variable ${name}");
    }
    Ok(())
}
