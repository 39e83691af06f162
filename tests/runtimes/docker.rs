//! Docker, whose containers have a name and no Kubernetes.
use super::break_link;
use anyhow::{Context as _, Result, ensure};
use mtuprobe_tests::runtime::DockerNode;
use mtuprobe_tests::topology::Lab;

#[test]
fn faults_are_told_by_the_names_of_containers() -> Result<()> {
    let lab = Lab::new()?;
    let namespaces = lab.add(&["node"])?;
    let node = DockerNode::start(&namespaces[0])?;
    node.docker(&["run", "-d", "--name", "web", "--label", "app=shop", "localhost/box:1"])?;
    // It has no network of its own, so that it is no pod here.
    node.docker(&["run", "-d", "--name", "agent", "--network", "host", "localhost/box:1"])?;
    let report = node.holder.probe(&[], &["pods", "--output", "json"]).to_end()?;
    let listed: Vec<_> = report.lines_of("pod").cloned().collect();
    let [web] = &listed[..] else { anyhow::bail!("one pod: {}", report.evidence()) };
    ensure!(web["name"] == "web" && web["source"] == "docker" && web["labels"]["app"] == "shop", "{web}");
    let id = node.docker(&["inspect", "--format", "{{.Id}}", "web"])?;
    ensure!(web["container_id"] == id.trim(), "{web}");

    let probe = node.holder.probe(&[], &["watch", "--output", "json"]).start()?;
    break_link(&node.holder, web)?;
    let finding = probe.wait_for("the finding by its name", |line| {
        line["type"] == "finding" && line["kind"] == "pmtu_black_hole" && line["pod"]["name"] == "web"
    })?;
    ensure!(finding["pod"]["container_id"] == id.trim(), "{finding}");
    let start = probe.seen().into_iter().find(|line| line["type"] == "start").context("no start")?;
    let sense = |name: &str| {
        start["senses"].as_array().into_iter().flatten().find(|sense| sense["name"] == name).cloned()
    };
    ensure!(sense("docker").is_some_and(|sense| sense["state"] == "works"), "{start}");
    Ok(())
}
