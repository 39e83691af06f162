//! containerd with runc and CNI plugins.
mod image;

use super::break_link;
use anyhow::{Context as _, Result, ensure};
use mtuprobe_tests::runtime::{PodSpec, RunningPod, RuntimeNode, wait_until};
use mtuprobe_tests::topology::Lab;
use serde_json::Value;

/// All but what a daemon set needs.
const THREE: [&str; 5] = ["setpriv", "--bounding-set", "-all,+bpf,+net_admin,+perfmon", "--inh-caps", "-all"];

/// What `mtuprobe pods` says of a pod.
fn listed(node: &RuntimeNode<'_>, pod: &RunningPod) -> Result<Value> {
    let report = node.holder.probe(&[], &["pods", "--output", "json"]).to_end()?;
    ensure!(report.exit_status() == Some(0), "{}", report.evidence());
    let line = report.lines_of("pod").find(|line| line["uid"] == pod.spec.uid.as_str());
    line.cloned().with_context(|| format!("pod {} is not listed: {}", pod.spec.name, report.evidence()))
}

/// A finding about a pod has all its names.
fn expect_names(finding: &Value, pod: &RunningPod, source: &str) -> Result<()> {
    let found = &finding["pod"];
    for (field, expected) in [
        ("namespace", pod.spec.namespace.as_str()),
        ("name", &pod.spec.name),
        ("uid", &pod.spec.uid),
        ("container_id", &pod.sandbox),
        ("source", source),
    ] {
        ensure!(found[field] == expected, "{field} is not {expected}: {found}");
    }
    Ok(())
}

#[test]
fn faults_are_told_by_the_names_of_kubernetes() -> Result<()> {
    let lab = Lab::new()?;
    let namespaces = lab.add(&["node"])?;
    let mut node = RuntimeNode::start(&namespaces[0])?;
    let bridged = node.run_pod(&PodSpec::bridged("shop", "cart-7d9f"))?;
    let container = node.run_container(&bridged, "api")?;
    let routed = node.run_pod(&PodSpec::routed("shop", "till-0"))?;

    let line = listed(&node, &bridged)?;
    ensure!(line["source"] == "cri" && line["labels"]["app"] == "cart-7d9f", "{line}");
    ensure!(line["containers"][0]["name"] == "api", "{line}");
    let (line_of_routed, interfaces) = (listed(&node, &routed)?, &line["interfaces"][0]);
    ensure!(interfaces["host_mtu"] == 1500 && interfaces["pod_mtu"] == 1500, "{line}");

    let probe = node.holder.probe(&[], &["watch", "--output", "json", "--pod", "shop/*"]).start()?;
    let start = probe.wait_for("start", |line| line["type"] == "start")?;
    let senses = start["senses"].as_array().context("no senses")?;
    ensure!(senses.iter().any(|sense| sense["name"] == "cri" && sense["state"] == "works"), "{start}");
    for (pod, line) in [(&bridged, &line), (&routed, &line_of_routed)] {
        break_link(&node.holder, line)?;
        let finding = probe.wait_for("the finding by its name", |line| {
            line["type"] == "finding"
                && line["kind"] == "pmtu_black_hole"
                && line["pod"]["name"] == pod.spec.name.as_str()
        })?;
        expect_names(&finding, pod, "cri")?;
        ensure!(finding["pod"]["labels"]["app"] == pod.spec.name.as_str(), "{finding}");
        if pod.spec.name == bridged.spec.name {
            let told = &finding["pod"]["containers"][0];
            ensure!(told["name"] == "api" && told["id"] == container.as_str(), "{finding}");
        }
    }

    // Without the runtime names stay, and a pod that comes afterwards is known again.
    node.stop_runtime()?;
    ensure!(probe.seen().iter().all(|line| line["type"] != "detach"), "pods are lost with the runtime");
    node.start_runtime()?;
    let later = node.run_pod(&PodSpec::bridged("shop", "later"))?;
    let line = listed(&node, &later)?;
    break_link(&node.holder, &line)?;
    let finding = probe.wait_for("the finding after the restart", |line| {
        line["type"] == "finding" && line["pod"]["name"] == "later" && line["pod"]["source"] == "cri"
    })?;
    expect_names(&finding, &later, "cri")
}

#[test]
fn three_capabilities_suffice_for_names() -> Result<()> {
    let lab = Lab::new()?;
    let namespaces = lab.add(&["node"])?;
    let node = RuntimeNode::start(&namespaces[0])?;
    let probe = node.holder.probe(&THREE, &["watch", "--output", "json"]).start()?;
    // Made while it watches: its name comes late.
    let pod = node.run_pod(&PodSpec::routed("shop", "cart"))?;
    let line = listed(&node, &pod)?;
    break_link(&node.holder, &line)?;
    let finding = probe.wait_for("the finding by its name", |line| {
        line["type"] == "finding" && line["kind"] == "pmtu_black_hole" && line["pod"]["source"] == "cri"
    })?;
    expect_names(&finding, &pod, "cri")?;
    node.remove_pod(&pod)?;
    let closed = probe.wait_for("its end", |line| {
        line["type"] == "finding" && line["kind"] == "pmtu_black_hole" && line["state"] == "closed"
    })?;
    expect_names(&closed, &pod, "cri")?;
    wait_until("nothing left of the pod", || {
        let names = node.holder.inside(&["ip", "netns", "list"])?;
        Ok(names.trim().is_empty().then_some(()))
    })
}
