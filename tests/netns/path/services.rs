//! Destinations as people have them: names, services behind a translated address, datagram services; senders by process.
use super::{FAR, expect, far, path, with_port};
use anyhow::{Context as _, Result, ensure};
use mtuprobe_tests::probe::Run;
use mtuprobe_tests::topology::firewall::service_address;
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::{PORT, Reflector};
use std::process::Stdio;

/// A port that nothing else of the lab uses.
const REFLECTED: u16 = 5300;

#[test]
fn a_datagram_service_that_answers() -> Result<()> {
    let network = far()?;
    let _reflector = Reflector::start(network.namespace("far")?, REFLECTED)?;
    for family in Family::ALL {
        let address = network.address("far", family)?;
        let asked = std::net::SocketAddr::new(address, REFLECTED).to_string();
        let line = expect(&network, &[&asked, "--protocol", "udp"], FAR, Some("works"), false)?;
        assert_eq!((&line["protocol"], &line["port"]), (&"udp".into(), &REFLECTED.into()));
    }
    Ok(())
}

#[test]
fn address_translation_in_between() -> Result<()> {
    let backend = Pod::routed("backend").mtu(FAR).host_mtu(FAR);
    let mut network = Plan::new().far(FAR).pod(Pod::routed("pod")).pod(backend).masquerade().build()?;
    network.serve(&["far", "backend"])?;
    network.service("backend")?;
    for family in Family::ALL {
        let far = network.address("far", family)?;
        let service = service_address(family);
        for asked in
            [vec![with_port(far)], vec![with_port(service)], vec![far.to_string()], vec![service.to_string()]]
        {
            let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
            let line = expect(&network, &asked, FAR, Some("works"), false)?;
            assert_eq!(
                line["asked"],
                asked[0].trim_end_matches(&format!(":{PORT}")).trim_matches(['[', ']'])
            );
        }
    }
    Ok(())
}

/// Runs what follows with other contents of `/etc/hosts`, in a view of the files of its own.
const WITH_HOSTS: &str = "mount -t tmpfs none /mnt && printf %s \"$1\" > /mnt/hosts && \
    mount --bind /mnt/hosts /etc/hosts && shift && exec \"$@\"";

fn by_name(network: &Network, hosts: &str, arguments: &[&str]) -> Result<serde_json::Value> {
    let wrapper = ["unshare", "--mount", "sh", "-c", WITH_HOSTS, "sh", hosts];
    let pod = network.lab().full_name("pod");
    let report = Run::command(network.node(), &["path", "--output", "json", "--pod", &pod])
        .with(arguments)
        .under(&wrapper)
        .to_end()?;
    ensure!(report.exit_status() == Some(0), "{}", report.evidence());
    report.lines_of("path").next().cloned().with_context(|| report.evidence())
}

#[test]
fn names_are_resolved_and_each_of_their_addresses_tried() -> Result<()> {
    let network = far()?;
    let far = network.address("far", Family::V4)?;
    let hosts = format!("{far} far.example\n{} far.example\n", network.address("far", Family::V6)?);
    for (option, family) in [("ipv4", Family::V4), ("ipv6", Family::V6)] {
        let asked = format!("far.example:{PORT}");
        let line = by_name(&network, &hosts, &[&asked, "--family", option])?;
        assert_eq!((&line["asked"], &line["mtu"]), (&"far.example".into(), &FAR.into()));
        assert_eq!(line["destination"], network.address("far", family)?.to_string(), "{line}");
    }
    let dead = "10.77.0.1";
    network.node().ip(&format!("route add unreachable {dead}\n"))?;
    let hosts = format!("{dead} two.example\n{far} two.example\n");
    let line = by_name(&network, &hosts, &["two.example"])?;
    assert_eq!((&line["destination"], &line["mtu"]), (&far.to_string().into(), &FAR.into()), "{line}");
    Ok(())
}

#[test]
fn from_the_namespace_of_a_process() -> Result<()> {
    let network = far()?;
    let mut process = network
        .namespace("pod")?
        .command("sleep")
        .arg("600")
        .stdin(Stdio::null())
        .spawn()
        .context("starting a process in the pod")?;
    let far = network.address("far", Family::V4)?.to_string();
    let pid = process.id().to_string();
    let report = Run::command(network.node(), &["path", "--output", "json", "--netns", &pid, &far]).to_end();
    process.kill().context("ending the process")?;
    process.wait().context("waiting for the process")?;
    let report = report?;
    let line = report.lines_of("path").next().with_context(|| report.evidence())?;
    assert_eq!(
        (&line["mtu"], &line["source"]),
        (&FAR.into(), &network.address("pod", Family::V4)?.to_string().into())
    );
    Ok(())
}

#[test]
fn an_empty_variable_is_none_and_a_closed_port_is_told() -> Result<()> {
    let network = far()?;
    let far = network.address("far", Family::V4)?;
    let (report, line) = path(&network, &[&format!("{far}:9")])?;
    ensure!(line["protocol"] == "icmp" && line["mtu"] == FAR, "{}", report.evidence());
    ensure!(line["unanswered"][0].as_str().is_some_and(|text| text.contains("tcp port 9")), "{line}");
    let wrapper = ["env", "MTUPROBE_OUTPUT=", "MTUPROBE_POD=", "MTUPROBE_TIMEOUT="];
    let report = Run::command(network.node(), &["path", &far.to_string()]).under(&wrapper).to_end()?;
    ensure!(report.exit_status() == Some(0), "{}", report.evidence());
    ensure!(report.stdout().iter().any(|text| text.starts_with("verdict")), "{}", report.evidence());
    Ok(())
}
