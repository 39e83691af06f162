//! Podman, whose pods have a name and no Kubernetes.
use super::break_link;
use anyhow::{Context as _, Result, ensure};
use mtuprobe_tests::runtime::{PodmanNode, wait_until};
use mtuprobe_tests::topology::Lab;

#[test]
fn faults_are_told_by_the_names_of_pods_and_containers() -> Result<()> {
    let lab = Lab::new()?;
    let namespaces = lab.add(&["node"])?;
    let node = PodmanNode::start(&namespaces[0])?;
    node.run_pod("web", "app")?;
    node.podman(&["run", "-d", "--name", "alone", "localhost/box:1"])?;
    let report = node.holder.probe(&[], &["pods", "--output", "json"]).to_end()?;
    let listed: Vec<_> = report.lines_of("pod").cloned().collect();
    let probe = node.holder.probe(&[], &["watch", "--output", "json"]).start()?;
    for name in ["web", "alone"] {
        let line = listed.iter().find(|line| line["name"] == name);
        let line = line.with_context(|| format!("no pod {name}: {}", report.evidence()))?;
        ensure!(line["namespace"].is_null() && line["container_id"].is_string(), "{line}");
        break_link(&node.holder, line)?;
        let finding = probe.wait_for("the finding by its name", |line| {
            line["type"] == "finding" && line["kind"] == "pmtu_black_hole" && line["pod"]["name"] == name
        })?;
        ensure!(finding["pod"]["container_id"] == line["container_id"], "{finding}");
    }

    // Its files name containers; its service also says what is in a pod.
    node.start_service()?;
    wait_until("the containers of a pod, from the service", || {
        let report = node.holder.probe(&[], &["pods", "--output", "json"]).to_end()?;
        let mut lines = report.lines_of("pod");
        let names_app = |line: &&serde_json::Value| line["containers"][0]["name"] == "app";
        Ok(lines.find(|line| line["name"] == "web").filter(names_app).map(|_| ()))
    })
}
