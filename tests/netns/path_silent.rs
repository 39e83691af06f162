//! `path_silent`: a router beyond the node drops large packets without a word, and what is taken for that and is not.
use super::sockets::stacked_pod;
use anyhow::Result;
use mtuprobe_tests::probe::{Expected, Report, Run};
use mtuprobe_tests::topology::network::UPLINK;
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::{Exchange, Transfer};
use std::time::{Duration, Instant};

/// Longer than the verdict may take.
pub const LONG: Duration = Duration::from_secs(12);
/// Some full segments and a tail that passes.
const RESPONSE: u32 = 5_000;

/// A host behind routers that carry 1400 and say nothing about it. Packets are cut to size before they meet them, as on
/// a wire.
pub fn silent(pods: &[&str]) -> Result<Network> {
    let plan = pods.iter().fold(Plan::new(), |plan, pod| plan.pod(Pod::routed(pod)));
    silenced(plan)
}

/// The same for any node.
pub fn silenced(plan: Plan) -> Result<Network> {
    let network = plan.far(1400).build()?;
    for router in ["router", "gateway"] {
        network.filter_packet_too_big(router, "output")?;
    }
    for (name, devices) in [
        ("far", &[UPLINK][..]),
        ("gateway", &["to-far", UPLINK]),
        ("router", &["to-gateway", UPLINK]),
        ("fabric", &["to-router", "to-node"]),
    ] {
        network.namespace(name)?.no_offloads(devices)?;
    }
    Ok(network)
}

fn towards(network: &Network, pod: &str, family: Family) -> Expected {
    Expected::black_hole("path_silent")
        .severity("critical")
        .outcome("lost")
        .pod(network.lab().full_name(pod))
        .family(family.name())
        .direction("to_pod")
        .limit_is("path", "bounds")
}

fn assert_bounds(report: &Report, expected: &Expected) -> Result<()> {
    let finding = report.one(expected)?;
    let bounds = &finding.json()["limit"]["between"];
    let (passes, lost) = (bounds[0].as_u64().unwrap_or(0), bounds[1].as_u64().unwrap_or(0));
    assert!(passes > 0 && passes <= 1400 && lost > 1400 && lost <= 1500, "{bounds}");
    Ok(())
}

#[test]
fn what_a_remote_server_answers_is_lost() -> Result<()> {
    let mut network = silent(&["pod", "other"])?;
    network.serve(&["far", "server"])?;
    let probe = Run::watch(network.node()).start()?;
    let pod = network.namespace("pod")?;
    for family in Family::ALL {
        let (far, server) = (network.address("far", family)?, network.address("server", family)?);
        let begin = Instant::now();
        let large: Vec<_> =
            (0..2).map(|_| Exchange::pull(RESPONSE).keep_up(pod, far)).collect::<Result<_>>()?;
        while begin.elapsed() < Duration::from_secs(6) {
            assert!(Exchange::rounds(100, 100, 5).run(pod, far)?.complete);
            assert!(Exchange::pull(500_000).run(network.namespace("other")?, server)?.complete);
            std::thread::sleep(Duration::from_millis(500));
        }
        probe.wait_for_finding(&towards(&network, "pod", family).confirmed())?;
        for transfer in large {
            assert!(transfer.end()?.stalled());
        }
    }
    let report = probe.stop()?;
    report.expect(&Family::ALL.map(|family| towards(&network, "pod", family).confirmed()))?;
    for family in Family::ALL {
        assert_bounds(&report, &towards(&network, "pod", family))?;
    }
    Ok(())
}

#[test]
fn one_upload_to_a_pod_alone_is_enough() -> Result<()> {
    let mut network = silent(&["pod"])?;
    network.serve(&["pod"])?;
    let probe = Run::watch(network.node()).start()?;
    let far = network.namespace("far")?;
    let upload = Exchange::push(RESPONSE).limit(LONG).run(far, network.address("pod", Family::V4)?)?;
    assert!(upload.stalled(), "{upload:?}");
    let report = probe.stop()?;
    report.expect(&[towards(&network, "pod", Family::V4)])?;
    assert_bounds(&report, &towards(&network, "pod", Family::V4))
}

#[test]
fn what_the_node_and_a_pod_on_its_uplink_get_is_lost() -> Result<()> {
    let mut network = silent(&["pod"])?;
    let (stacked, _) = stacked_pod(&network)?;
    network.serve(&["far"])?;
    let far = network.address("far", Family::V4)?;
    let probe = Run::watch(network.node()).start()?;
    let receivers = [network.node(), &stacked];
    let large: Vec<_> = receivers
        .iter()
        .flat_map(|receiver| [(); 2].map(|()| Exchange::pull(RESPONSE).keep_up(receiver, far)))
        .collect::<Result<_>>()?;
    // The pod behind the node has no part in it, though its packets pass the uplink as well.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(5) {
        for receiver in [network.node(), &stacked, network.namespace("pod")?] {
            assert!(Exchange::rounds(100, 100, 5).run(receiver, far)?.complete);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    let lost = |direction| {
        let expected = Expected::black_hole("path_silent").severity("critical").outcome("lost").confirmed();
        expected.direction(direction).limit_is("path", "bounds")
    };
    let expected = [lost("to_pod").pod(stacked.name()), lost("to_host").node()];
    for expected in &expected {
        probe.wait_for_finding(expected)?;
    }
    for transfer in large {
        assert!(transfer.end()?.stalled());
    }
    let report = probe.stop()?;
    report.expect(&expected)?;
    expected.iter().try_for_each(|expected| assert_bounds(&report, expected))
}

#[test]
fn losses_on_the_way_to_a_pod_that_do_not_depend_on_size() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    network.node().no_offloads(&[UPLINK])?;
    network.namespace("fabric")?.no_offloads(&["to-node", "to-server"])?;
    network.namespace("server")?.no_offloads(&[UPLINK])?;
    network.lose_one_in("fabric", 13)?;
    let probe = Run::watch(network.node()).start()?;
    let pod = network.namespace("pod")?;
    for family in Family::ALL {
        let server = network.address("server", family)?;
        let answers =
            Exchange::rounds(100, RESPONSE, 60).limit(Duration::from_secs(30)).start(pod, server)?;
        let large = Exchange::pull(500_000).limit(Duration::from_secs(30)).run(pod, server)?;
        assert!(large.complete && answers.join()??.complete, "{large:?}");
    }
    probe.stop()?.expect_silent()
}

#[test]
fn an_outage_in_the_midst_of_answers() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    network.namespace("server")?.no_offloads(&[UPLINK])?;
    let probe = Run::watch(network.node()).start()?;
    let (pod, server) = (network.namespace("pod")?, network.address("server", Family::V4)?);
    let limit = Duration::from_secs(9);
    let answers: Vec<_> = (0..8)
        .map(|_| {
            let rounds = Exchange::rounds(100, RESPONSE, 10_000).pause(Duration::from_millis(5));
            rounds.limit(limit).start(pod, server)
        })
        .collect::<Result<_>>()?;
    std::thread::sleep(Duration::from_millis(500));
    network.lose_one_in("fabric", 1)?;
    let transfers: Vec<Transfer> = answers.into_iter().map(|task| task.join()?).collect::<Result<_>>()?;
    assert!(transfers.iter().all(|transfer| transfer.stalled() && transfer.rounds > 0), "{transfers:?}");
    probe.stop()?.expect_silent()
}
