//! What the state of TCP sockets (`sock_diag`) adds: connections that go on for long, of which no tracepoint speaks.
use super::bad_input::LEAST;
use super::path_silent::{LONG, silent};
use anyhow::{Context, Result};
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::network::UPLINK;
use mtuprobe_tests::topology::{Family, Namespace, Network, Plan, Pod};
use mtuprobe_tests::traffic::Exchange;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Several times the interval at which sockets are asked.
const SOCKETS_ASKED: Duration = Duration::from_secs(8);
/// What is small, on a connection that goes on.
pub const ROUNDS: Exchange = Exchange::rounds(300, 300, u32::MAX).pause(Duration::from_millis(60));

/// A pod on a macvlan of the uplink, with an address of its network.
pub fn stacked_pod(network: &Network) -> Result<(Namespace, IpAddr)> {
    let pod = network.lab().add(&["stacked"])?.pop().context("a namespace")?;
    let IpAddr::V4(node) = network.address("node", Family::V4)? else { anyhow::bail!("not of version 4") };
    let [a, b, c, _] = node.octets();
    let (address, gateway) = (Ipv4Addr::new(a, b, c, 77), Ipv4Addr::new(a, b, c, 1));
    network
        .node()
        .ip(&format!("link add link {UPLINK} name child netns {} type macvlan mode bridge", pod.name()))?;
    pod.ip(&format!(
        "link set child name {UPLINK}\nlink set {UPLINK} up\nlink set lo up\n\
         address add {address}/24 dev {UPLINK}\nroute add default via {gateway}"
    ))?;
    Ok((pod, address.into()))
}

fn from(expected: Expected, direction: &str) -> Expected {
    expected.severity("critical").direction(direction).limit_is("path", "bounds")
}

#[test]
fn connections_that_go_on_for_long_prove_a_silent_path() -> Result<()> {
    let mut network = silent(&["pod"])?;
    let (stacked, _) = stacked_pod(&network)?;
    network.serve(&["far"])?;
    let far = network.address("far", Family::V4)?;
    let senders = [network.namespace("pod")?, network.node(), &stacked];
    let small: Vec<_> = senders.iter().map(|sender| ROUNDS.keep_up(sender, far)).collect::<Result<_>>()?;
    let probe = Run::watch(network.node()).start()?;
    let upload = Exchange::push(100_000);
    let large: Vec<_> = senders.iter().map(|sender| upload.keep_up(sender, far)).collect::<Result<_>>()?;
    // One server of many behind an address may be dead: a connection alone leaves a doubt.
    let silent = || Expected::black_hole("path_silent").text("certainty", "suspected");
    let expected = [
        from(silent().pod(network.lab().full_name("pod")), "from_pod"),
        from(silent().node(), "from_host"),
        from(silent().pod(stacked.name()), "from_pod"),
    ];
    for expected in &expected {
        let (_, finding) = probe.wait_for_finding(expected)?;
        // Not that of a handshake: of the segments, or less where some were under way when it was asked.
        let passes = finding.json()["limit"]["between"][0].as_u64().context("no bounds")?;
        assert!((61..=352).contains(&passes), "{}", finding.json());
    }
    // Retransmissions may have said so first: sockets are asked meanwhile, and what they say is in the summary.
    std::thread::sleep(SOCKETS_ASKED);
    for transfer in large {
        assert!(transfer.end()?.stalled());
    }
    for transfer in small {
        assert!(transfer.end()?.rounds > 0);
    }
    let report = probe.stop()?;
    let start = report.lines_of("start").next().context("no start")?;
    let senses = start["senses"].as_array().context("no senses")?;
    assert!(senses.iter().any(|sense| sense["name"] == "sock_diag" && sense["state"] == "works"), "{start}");
    for expected in &expected {
        let finding = report.one(expected)?;
        assert!(finding.text("explanation").contains("the sender's socket"), "{}", finding.json());
    }
    report.expect(&expected)
}

#[test]
fn without_the_right_to_enter_pods_nothing_is_missed() -> Result<()> {
    let mut network = silent(&["pod"])?;
    network.serve(&["far"])?;
    let (pod, far) = (network.namespace("pod")?, network.address("far", Family::V4)?);
    let probe = Run::watch(network.node()).under(&LEAST).start()?;
    let large = Exchange::push(100_000).limit(Duration::from_secs(6)).start(pod, far)?;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(5) {
        assert!(Exchange::rounds(100, 100, 5).run(pod, far)?.complete);
        std::thread::sleep(Duration::from_millis(400));
    }
    assert!(large.join()??.stalled());
    let report = probe.stop()?;
    let start = report.lines_of("start").next().context("no start")?;
    let senses = start["senses"].as_array().context("no senses")?;
    let sense = senses.iter().find(|sense| sense["name"] == "sock_diag").context("not told")?;
    assert_eq!(sense["state"], "degraded", "{sense}");
    assert!(sense["why"].as_str().is_some_and(|why| why.contains("CAP_SYS_ADMIN")), "{sense}");
    let expected = Expected::black_hole("path_silent").pod(network.lab().full_name("pod"));
    report.expect(&[from(expected, "from_pod").text("certainty", "suspected")])
}

#[test]
fn one_upload_whose_tail_arrives_is_enough() -> Result<()> {
    let mut network = silent(&["pod"])?;
    network.serve(&["far"])?;
    let (pod, far) = (network.namespace("pod")?, network.address("far", Family::V4)?);
    let small = ROUNDS.keep_up(pod, far)?;
    let probe = Run::watch(network.node()).start()?;
    // Its last segment is small: the other end has it, and says so.
    let large = Exchange::push(5_000).keep_up(pod, far)?;
    let expected = Expected::black_hole("path_silent").pod(network.lab().full_name("pod")).confirmed();
    let expected = from(expected, "from_pod");
    probe.wait_for_finding(&expected)?;
    assert!(large.end()?.stalled() && small.end()?.rounds > 0);
    probe.stop()?.expect(&[expected])
}

#[test]
fn a_reader_that_stops_is_no_silent_path() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    let (pod, server) = (network.namespace("pod")?, network.address("server", Family::V4)?);
    let to = SocketAddr::new(server, 7_777);
    let listener = network.namespace("server")?.run(move || TcpListener::bind(to))??;
    let probe = Run::watch(network.node()).start()?;
    let small =
        Exchange::rounds(300, 300, 80).pause(Duration::from_millis(60)).limit(LONG).start(pod, server)?;
    let mut upload = pod.run(move || TcpStream::connect(to))??;
    let (_reader, _) = listener.accept()?;
    upload.set_write_timeout(Some(Duration::from_millis(500)))?;
    // Until the window is closed: nobody reads.
    while upload.write(&[0x55; 256 << 10]).is_ok() {}
    assert!(small.join()??.complete);
    probe.stop()?.expect_silent()
}
