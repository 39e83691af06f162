//! Kernels below the floor, and above it with less in them than this one: found by trying, and told with what to do.
use anyhow::{Result, ensure};
use mtuprobe_tests::lesser_kernel::{Lack, run};
use mtuprobe_tests::probe::Run;
use mtuprobe_tests::topology::{Network, Plan, Pod};
use serde_json::Value;
use std::process::Output;

/// `BPF_MAP_TYPE_RINGBUF`.
const RING_BUFFER: u32 = 27;
/// What each refusal ends with.
const WAY_OUT: &str = "Observing needs Linux 6.1 or later, built with CONFIG_BPF_SYSCALL";

fn observe(network: &Network, lack: Lack) -> Result<Output> {
    let watch = Run::watch(network.node()).with(&["--duration", "1s"]);
    run(watch.prepare()?, lack)
}

/// Exit status 2, nothing on standard output, and one line on standard error with these parts.
fn expect_below(output: &Output, parts: &[&str]) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(2), "{:?}: {said}", output.status);
    ensure!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    ensure!(said.lines().count() == 1 && said.starts_with("mtuprobe: "), "{said}");
    for part in parts.iter().chain([&WAY_OUT]) {
        ensure!(said.contains(part), "nothing of `{part}` in: {said}");
    }
    Ok(())
}

/// The line `start` of an observation that ended well.
fn start(output: &Output) -> Result<Value> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(0), "{:?}: {said}", output.status);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let start = lines.into_iter().find(|line| line["type"] == "start");
    start.ok_or_else(|| anyhow::anyhow!("no line `start`: {text}"))
}

fn sense<'a>(start: &'a Value, name: &str) -> Option<&'a Value> {
    start["senses"].as_array()?.iter().find(|sense| sense["name"] == name)
}

#[test]
fn what_a_kernel_lacks_is_named_with_the_object_and_the_way_out() -> Result<()> {
    let network = Plan::new().pod(Pod::routed("pod")).build()?;
    let below = |lack, parts: &[&str]| expect_below(&observe(&network, lack)?, parts);
    below(Lack::Bpf, &["use bpf(2): Function not implemented", "this kernel has no BPF"])?;
    below(
        Lack::MapType(RING_BUFFER),
        &["make map RING: Invalid argument", "this kernel has no maps of type ring buffer"],
    )?;
    below(
        Lack::Helper { program: "tc_ingress" },
        &["load program tc_ingress", "the verifier says", "unknown func bpf_fib_lookup"],
    )?;
    // Told once, and not of each interface.
    below(
        Lack::Hooks,
        &["No such file or directory", "a clsact qdisc", "this kernel has neither TCX nor clsact"],
    )?;
    // Its types are hidden behind an empty file system, in a mount namespace of its own.
    let hide = "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" \"$@\"";
    let without_types = Run::watch(network.node()).under(&["unshare", "--mount", "sh", "-c", hide]);
    let output = without_types.prepare()?.output()?;
    expect_below(&output, &["read /sys/kernel/btf/vmlinux: No such file", "does not tell its own types"])?;
    // What needs none of it works on all of them.
    let check = Run::command(network.node(), &["check", "--output", "json"]);
    ensure!(run(check.prepare()?, Lack::Bpf)?.status.code() == Some(0));
    Ok(())
}

#[test]
fn what_a_kernel_can_do_without_is_told_as_missing() -> Result<()> {
    let network = Plan::new().pod(Pod::routed("pod")).build()?;
    let without_tracing = start(&observe(&network, Lack::Tracing)?)?;
    let missing = ["kfree_skb", "icmp_send", "tcp_retransmit", "tcp_close"].map(|name| (name, "missing"));
    // Settings are read in another way then.
    for (name, state) in missing.into_iter().chain([("pod_settings", "degraded")]) {
        let told = sense(&without_tracing, name);
        ensure!(told.is_some_and(|sense| sense["state"] == state), "{name}: {without_tracing}");
        ensure!(told.is_some_and(|sense| sense["why"].is_string()), "{name}: {without_tracing}");
    }
    ensure!(
        sense(&without_tracing, "tc").is_some_and(|sense| sense["state"] == "works"),
        "{without_tracing}"
    );
    // Tried, not looked up: without TCX it is clsact, whatever the kernel's version says.
    let without_tcx = start(&observe(&network, Lack::Tcx)?)?;
    let hooks = without_tcx["attached"].as_array().cloned().unwrap_or_default();
    ensure!(!hooks.is_empty() && hooks.iter().all(|hook| hook["hook"] == "clsact"), "{without_tcx}");
    Ok(())
}
