//! containerd with runc and CNI plugins.
mod image;

use super::break_link;
use anyhow::{Context as _, Result, ensure};
use mtuprobe_tests::runtime::{PodSpec, RunningPod, RuntimeNode, wait_until};
use mtuprobe_tests::topology::{Lab, Namespace};
use mtuprobe_tests::traffic::PORT;
use serde_json::Value;
use std::net::TcpListener;

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

/// The router beside the node, behind a link of which it takes less than the node and the pods there send.
const ROUTER: &str = "10.246.1.254";

fn add_uplink(node: &Namespace, router: &Namespace) -> Result<()> {
    node.ip(&format!(
        "link add up0 mtu 1500 type veth peer name eth0 mtu 1400 netns {}\nlink set up0 up\n\
         address add 10.246.1.1/24 dev up0\nroute add default via {ROUTER}",
        router.name()
    ))?;
    // It promises what its link does not take.
    router.ip(&format!(
        "link set eth0 up\naddress add {ROUTER}/24 dev eth0 noprefixroute\n\
         route add 10.246.1.0/24 dev eth0 advmss 1460"
    ))?;
    // What is cut into segments later would pass whole.
    node.no_offloads(&["up0"])
}

#[test]
fn pods_without_a_link_of_the_node_have_names_too() -> Result<()> {
    let lab = Lab::new()?;
    let namespaces = lab.add(&["node", "router"])?;
    let (inside, router) = (&namespaces[0], &namespaces[1]);
    add_uplink(inside, router)?;
    // Nobody need take what it is sent: the connection is enough.
    let _listener = router.run(|| TcpListener::bind((ROUTER, PORT)))?.context("listening")?;
    let node = RuntimeNode::start(inside)?;
    let stacked = node.run_pod(&PodSpec::stacked("shop", "scanner"))?;
    let line = listed(&node, &stacked)?;
    ensure!(line["host_interface"].is_null() && line["addresses"][0] == "10.246.1.10", "{line}");
    let probe = node.holder.probe(&[], &["watch", "--output", "json"]).start()?;

    let netns = line["netns"].as_str().context("no network namespace")?;
    let ping = ["ping", "-M", "do", "-c", "8", "-i", "0.2", "-W", "1", "-s", "1472", ROUTER];
    ensure!(node.holder.inside_pod(netns, &ping).is_err(), "large packets pass");
    let finding = probe.wait_for("the finding of the pod on a macvlan", |line| {
        line["type"] == "finding" && line["kind"] == "pmtu_black_hole" && !line["pod"].is_null()
    })?;
    expect_names(&finding, &stacked, "cri")?;

    let agent = node.run_pod(&PodSpec::of_the_node("kube-system", "agent"))?;
    let sends = format!("/bin/busybox dd if=/dev/zero bs=1000 count=200 | /bin/busybox nc {ROUTER} {PORT}");
    node.run_program(&agent, "agent", &["sh", "-c", &sends])?;
    let of_agent = |finding: &Value| {
        finding["direction"] == "from_host" && finding["flows"][0]["src_name"] == "kube-system/agent"
    };
    let finding = probe.wait_for("the finding of the pod on the node's network", |line| {
        line["type"] == "finding" && of_agent(line)
    })?;
    ensure!(finding["pod"].is_null() && finding["kind"] == "pmtu_black_hole", "{finding}");
    // Its socket goes with it, and the name stays.
    node.remove_pod(&agent)?;
    // It is a grandchild of ours, which a signal to our child does not reach.
    node.holder.inside(&["busybox", "killall", "-INT", "mtuprobe"])?;
    let report = probe.wait()?;
    let summary = report.lines_of("summary").next().context("no summary")?;
    let findings = summary["findings"].as_array().context("no findings")?;
    ensure!(findings.iter().any(of_agent), "{summary}");
    Ok(())
}
