//! The image that `cargo xtask dist` makes, under a real runtime, as the manifests in `deploy/` say.
use super::{super::break_link, listed};
use anyhow::{Context as _, Result, ensure};
use mtuprobe_tests::release;
use mtuprobe_tests::runtime::kubelet::{Manifests, NodeFacts};
use mtuprobe_tests::runtime::messages::{ContainerConfig, SecurityProfile};
use mtuprobe_tests::runtime::{PodSpec, RunningPod, RuntimeNode};
use mtuprobe_tests::service::{Metrics, get, wait};
use mtuprobe_tests::topology::{Lab, Namespace};
use std::fs;
use std::path::Path;

/// The node's address, and that of the pods that have its network.
const ADDRESS: &str = "192.0.2.10";

/// What the container says of itself at its end, or at a failure.
fn log(node: &RuntimeNode<'_>, pod: &RunningPod) -> String {
    let file = node.logs_of(&pod.spec).map(|logs| logs.join("0.log"));
    file.and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default()
}

/// A line of the status of the one process of this name.
fn status(node: &RuntimeNode<'_>, key: &str) -> Result<String> {
    let script =
        r#"for p in /proc/[0-9]*; do [ "$(cat $p/comm)" != mtuprobe ] || cat $p/status; done 2>/dev/null"#;
    let text = node.holder.inside(&["sh", "-c", script])?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    Ok(line.with_context(|| format!("no {key}: {text}"))?.trim().to_owned())
}

/// Starts the container, waits until it is ready, has a pod lose packets, and reads whose they were.
fn serves(
    node: &RuntimeNode<'_>,
    outside: &Namespace,
    container: ContainerConfig,
    victim: &str,
) -> Result<()> {
    let service = node.run_pod(&PodSpec::of_the_node("mtuprobe", &format!("mtuprobe-{victim}")))?;
    let id = node.start_container(&service, container)?;
    let address = format!("{ADDRESS}:14600");
    let ask = |path: &str| get(outside, &address, path, &[]);
    wait("the container to be ready", || ask("/readyz").ok().filter(|answer| answer.status == 200))
        .with_context(|| log(node, &service))?;
    // BPF, NET_ADMIN and PERFMON; filtered system calls; no way to more rights.
    ensure!(status(node, "CapEff")? == "000000c000001000", "{}", status(node, "CapEff")?);
    ensure!(status(node, "Seccomp")? == "2" && status(node, "NoNewPrivs")? == "1", "unconfined");

    let pod = node.run_pod(&PodSpec::routed("shop", victim))?;
    break_link(&node.holder, &listed(node, &pod)?)?;
    let (namespace, name) = ("namespace=\"shop\"", format!("pod=\"{victim}\""));
    let labels = [namespace, &name, "kind=\"pmtu_black_hole\"", "severity=\"critical\""];
    let mut page = Metrics(String::new());
    wait("the finding by its name", || {
        page = Metrics(ask("/metrics").ok()?.body);
        page.sum("mtuprobe_findings", &labels).filter(|count| *count >= 1.0)
    })
    .with_context(|| format!("{}\n{}", page.0, log(node, &service)))?;
    ensure!(ask("/findings")?.status == 403, "flows are told beyond loopback");
    node.stop_container(&id)?;
    let last = log(node, &service);
    ensure!(last.contains(" end seconds="), "no good end: {last}");
    node.remove_pod(&service)?;
    node.remove_pod(&pod)
}

#[test]
fn serves_in_a_container_as_the_manifests_say() -> Result<()> {
    let lab = Lab::new()?;
    let namespaces = lab.add(&["node"])?;
    let node = RuntimeNode::start(&namespaces[0])?;
    namespaces[0].ip(&format!("addr add {ADDRESS}/32 dev lo"))?;
    node.import(&release::image()?)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manifests = Manifests::read(&root.join("deploy/manifests/mtuprobe.yaml"))?;
    let directory = node.holder.directory().to_owned();
    let container =
        manifests.container(&NodeFacts { name: "worker-3", address: ADDRESS, directory: &directory })?;
    serves(&node, &namespaces[0], container.clone(), "cart")?;

    // The same with the profile of its own in place of the runtime's.
    let profile = root.join("deploy/helm/mtuprobe/files/seccomp.json").canonicalize()?;
    let mut confined = container;
    let context = confined.linux.as_mut().and_then(|linux| linux.security_context.as_mut());
    context.context("no rights")?.seccomp =
        Some(SecurityProfile { profile_type: 2, localhost_ref: profile.display().to_string() });
    serves(&node, &namespaces[0], confined, "till")
}
