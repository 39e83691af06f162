//! The seccomp profile allows what the binary calls, and what it must never call is not in it.
use super::read;
use anyhow::{Context as _, Result};
use mtuprobe_tests::probe::Run;
use mtuprobe_tests::service::{Scratch, Service};
use mtuprobe_tests::topology::{Family, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df};
use serde_json::Value;
use std::collections::BTreeSet;

fn allowed() -> Result<BTreeSet<String>> {
    let profile: Value = serde_json::from_str(&read("deploy/helm/mtuprobe/files/seccomp.json")?)?;
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let rules = profile["syscalls"].as_array().context("rules")?;
    let names = rules.iter().filter(|rule| rule["action"] == "SCMP_ACT_ALLOW");
    let names = names.filter_map(|rule| rule["names"].as_array()).flatten();
    Ok(names.filter_map(|name| name.as_str().map(str::to_owned)).collect())
}

/// Ends the process that another one started.
fn terminate_child(parent: u32) -> Result<()> {
    let is_child = |stat: &str| {
        let (_, fields) = stat.rsplit_once(')')?;
        (fields.split_whitespace().nth(1)? == parent.to_string()).then_some(())
    };
    let children = std::fs::read_dir("/proc")?.filter_map(|entry| {
        let entry = entry.ok()?;
        let pid: libc::pid_t = entry.file_name().to_str()?.parse().ok()?;
        is_child(&std::fs::read_to_string(entry.path().join("stat")).ok()?).map(|()| pid)
    });
    let child = children.last().context("strace has no child")?;
    // SAFETY: kill takes two integers. The process is traced by ours, so that its number is still its.
    unsafe { libc::kill(child, libc::SIGTERM) };
    Ok(())
}

#[test]
fn what_serve_calls_is_allowed() -> Result<()> {
    let network = {
        let mut network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
        network.serve(&["server"])?;
        network
    };
    let scratch = Scratch::new("seccomp")?;
    let trace = scratch.path().join("trace").display().to_string();
    // At the latest it ends by itself: strace takes no signal for its child, and leaves it behind if killed.
    let run = Run::command(network.node(), &["serve", "--webhook-url", "http://127.0.0.1:9/"])
        .with(&["--duration", "300s"])
        .under(&["strace", "-f", "-qq", "-o", &trace]);
    let service = Service::start_run(network.node(), &run)?;
    let server = network.address("server", Family::V4)?;
    let sent = Datagrams::of(1500, Df::Do).count(3).run(network.namespace("pod")?, server)?;
    assert!(!sent.all());
    service.wait_for("a finding", |page| page.sum("mtuprobe_findings", &[]) >= Some(1.0))?;
    service.findings()?;
    terminate_child(service.pid())?;
    let report = service.stop()?;
    assert_eq!(report.exit_status(), Some(0), "{}", report.evidence());
    let text = std::fs::read_to_string(&trace)?;
    let called: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1)?.split('(').next())
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
        .collect();
    assert!(called.contains("bpf") && called.contains("accept4"), "{called:?}");
    let allowed = allowed()?;
    let missing: Vec<&&str> = called.iter().filter(|name| !allowed.contains(**name)).collect();
    assert!(missing.is_empty(), "the profile lacks {missing:?}");
    Ok(())
}

#[test]
fn what_it_has_no_need_for_is_not() -> Result<()> {
    let allowed = allowed()?;
    for name in
        ["ptrace", "mount", "init_module", "kexec_load", "reboot", "keyctl", "process_vm_readv", "pivot_root"]
    {
        assert!(!allowed.contains(name), "{name}");
    }
    Ok(())
}
