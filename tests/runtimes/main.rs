//! Pods of real container runtimes: that their packets are told by their names. Needs root, and the runtimes of the
//! distribution (`cargo xtask test` installs them, and says so loudly where it cannot).
mod containerd;
mod docker;
mod podman;

use anyhow::{Context as _, Result, ensure};
use mtuprobe_tests::runtime::Holder;
use serde_json::Value;

/// Makes the node's end of a pod's veth smaller than the pod's, and has the pod send what no longer fits.
fn break_link(node: &Holder<'_>, pod: &Value) -> Result<()> {
    let host = pod["host_interface"].as_str().context("no host interface")?;
    let netns = pod["netns"].as_str().context("no network namespace")?;
    node.inside(&["ip", "link", "set", host, "mtu", "1400"])?;
    let gateway = node.inside_pod(netns, &["ip", "-4", "route", "show", "default"])?;
    let gateway = gateway.split_whitespace().nth(2).context("no gateway")?.to_owned();
    // What is lost is the point: ping fails.
    let ping = ["ping", "-M", "do", "-c", "8", "-i", "0.2", "-W", "1", "-s", "1472", &gateway];
    ensure!(node.inside_pod(netns, &ping).is_err(), "large packets pass");
    Ok(())
}
