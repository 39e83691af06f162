//! `mtuprobe check`: what it finds without any traffic, and where it must stay quiet.
mod faults;
mod many_pods;
mod quiet;
mod rights;

use anyhow::{Context, Result};
use mtuprobe_tests::probe::{Report, Run};
use mtuprobe_tests::topology::Network;
use serde_json::Value;

/// Runs it on the node, in JSON Lines.
fn check(network: &Network) -> Result<Report> {
    Run::command(network.node(), &["check", "--output", "json"]).to_end()
}

/// Nothing at `warning` or above, and exit status 0.
fn expect_quiet(report: &Report) -> Result<()> {
    anyhow::ensure!(report.loud().is_empty(), "loud findings\n{}", report.evidence());
    anyhow::ensure!(report.exit_status() == Some(0), "exit status\n{}", report.evidence());
    Ok(())
}

/// The one `reach` line of a pod to a kind of destination, the smallest if there are several.
fn reach(network: &Network, report: &Report, pod: &str, to: &str, family: &str) -> Result<Value> {
    let name = network.lab().full_name(pod);
    let lines = report
        .lines_of("reach")
        .filter(|line| line["pod"]["name"] == name.as_str() && line["to"] == to && line["family"] == family);
    let smallest = lines.min_by_key(|line| line["mtu"].as_u64());
    smallest.cloned().with_context(|| format!("no reach line of {pod} to {to}\n{}", report.evidence()))
}

/// Chains at these hooks that let nothing pass but what these rules accept.
fn default_deny(hooks: &[&str], rules: &str) -> String {
    let chain = |hook: &&str| {
        format!("chain {hook} {{ type filter hook {hook} priority 0; policy drop;\n{rules}\n}}\n")
    };
    format!("table inet deny {{\n{}}}", hooks.iter().map(chain).collect::<String>())
}

/// `eth0 1500, veth 1500, …` of a chain, with overheads.
fn chain(reach: &Value) -> String {
    let joints = reach["chain"].as_array().into_iter().flatten().map(|joint| {
        let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        match joint["overhead"].as_u64() {
            Some(0) => format!("{} {}", text(&joint["interface"]), joint["mtu"]),
            overhead => format!("{} {} -{}", text(&joint["interface"]), joint["mtu"], overhead.unwrap_or(0)),
        }
    });
    joints.collect::<Vec<_>>().join(" > ")
}

/// What `unseen` of the summary names.
fn unseen(report: &Report) -> Vec<String> {
    let summary = report.lines_of("summary").last();
    let unseen = summary.and_then(|summary| summary["unseen"].as_array());
    unseen.into_iter().flatten().filter_map(|one| one["what"].as_str()).map(str::to_owned).collect()
}
