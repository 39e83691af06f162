//! Losses that show indirectly: behind one of several paths, of a container in a pod, of lone packets, in a queue, and on
//! a path that is put right again.
use super::path_silent::silent;
use anyhow::Result;
use mtuprobe_tests::attachment::{Hook, OtherProgram, has_tcx};
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::network::UPLINK;
use mtuprobe_tests::topology::{Family, Namespace, Network, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange};
use std::time::Duration;

/// Longer than what a stall takes to be proved.
const STALL: Duration = Duration::from_secs(8);

fn path_silent(network: &Network, family: Family) -> Expected {
    Expected::black_hole("path_silent")
        .pod(network.lab().full_name("pod"))
        .family(family.name())
        .direction("from_pod")
        .limit_is("path", "bounds")
}

/// Requests of this size, one after the other, until their time is up.
fn requests(size: u32) -> Exchange {
    Exchange::rounds(size, 100, 10_000).pause(Duration::from_millis(100)).limit(STALL)
}

/// Every other connection takes a path that drops what is large.
#[test]
fn one_of_several_paths_is_silent() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    network.node().no_offloads(&[UPLINK])?;
    network.filter_forwarded(
        "fabric",
        "meta nfproto ipv4 tcp flags & (syn | ack) == syn ct mark set numgen inc mod 2
         meta nfproto ipv6 tcp flags & (syn | ack) == syn ct mark set numgen inc mod 2
         ct mark 1 meta length > 1400 counter drop",
    )?;
    let probe = Run::watch(network.node()).start()?;
    let pod = network.namespace("pod")?;
    let mut started = Vec::new();
    for family in Family::ALL {
        let server = network.address("server", family)?;
        let start = |size| requests(size).start(pod, server);
        let large: Vec<_> = (0..6).map(|_| start(20_000)).collect::<Result<_>>()?;
        let small: Vec<_> = (0..2).map(|_| start(300)).collect::<Result<_>>()?;
        started.push((large, small));
    }
    for (large, small) in started {
        let mut stuck = 0;
        for transfer in large {
            stuck += u32::from(transfer.join()??.rounds == 0);
        }
        assert!((2..=4).contains(&stuck), "{stuck} of every other connection");
        for transfer in small {
            transfer.join()??;
        }
    }
    let expected = Family::ALL.map(|family| path_silent(&network, family).severity("critical").confirmed());
    let report = probe.stop()?;
    report.expect(&expected)?;
    for expected in &expected {
        let finding = report.one(expected)?;
        let bounds = &finding.json()["limit"]["between"];
        let (passes, lost) = (bounds[0].as_u64().unwrap_or(0), bounds[1].as_u64().unwrap_or(0));
        assert!(passes <= 1400 && lost > 1400, "{bounds}");
    }
    Ok(())
}

/// A namespace behind a pod, with a bridge and masquerading of the pod's own.
fn nest(network: &Network) -> Result<Namespace> {
    let nested = network.lab().add(&["nested"])?.remove(0);
    let pod = network.namespace("pod")?;
    for setting in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
        pod.set(setting, "1")?;
    }
    pod.ip(&format!(
        "link add docker0 type bridge
         link set docker0 up
         address add 172.17.0.1/16 dev docker0
         link add inside type veth peer name {UPLINK} netns {}
         link set inside master docker0
         link set inside up",
        nested.name()
    ))?;
    nested.ip(&format!(
        "link set {UPLINK} up
         address add 172.17.0.2/16 dev {UPLINK}
         route add default via 172.17.0.1"
    ))?;
    pod.nft(&format!(
        "table ip nested {{
            chain out {{
                type nat hook postrouting priority srcnat;
                ip saddr 172.17.0.0/16 oifname {UPLINK} masquerade
            }}
        }}"
    ))?;
    Ok(nested)
}

#[test]
fn what_a_container_in_a_pod_sends_is_the_pods() -> Result<()> {
    let mut network = silent(&["pod"])?;
    network.serve(&["far"])?;
    let nested = nest(&network)?;
    let far = network.address("far", Family::V4)?;
    let expected = path_silent(&network, Family::V4).severity("critical");
    let probe = Run::watch(network.node()).start()?;
    let stalled: Vec<_> =
        (0..2).map(|_| Exchange::push(1_000_000).limit(STALL).start(&nested, far)).collect::<Result<_>>()?;
    for _ in 0..10 {
        assert!(Exchange::rounds(100, 100, 3).run(&nested, far)?.complete);
        std::thread::sleep(Duration::from_millis(500));
    }
    probe.wait_for_finding(&expected)?;
    for transfer in stalled {
        assert!(transfer.join()??.stalled());
    }
    let report = probe.stop()?;
    network.lab().remove(nested)?;
    report.expect(&[expected])
}

/// Less than a prober of the path sends, but nothing beside it.
#[test]
fn a_large_datagram_every_few_seconds_is_no_probe() -> Result<()> {
    let mut network = Plan::new()
        .pod(Pod::routed("slow").host_mtu(1400))
        .pod(Pod::routed("prober").host_mtu(1400))
        .build()?;
    network.serve(&["server"])?;
    let server = network.address("server", Family::V4)?;
    let expected = Expected::black_hole("silent_link_drop").pod(network.lab().full_name("slow")).limit(1400);
    let probe = Run::watch(network.node()).start()?;
    let (slow, prober) = (network.namespace("slow")?, network.namespace("prober")?);
    let small = Datagrams::of(1200, Df::Probe).count(40).every(Duration::from_millis(200));
    let small = small.start(prober, server)?;
    assert!(
        Datagrams::of(1450, Df::Probe).count(2).every(Duration::from_secs(1)).run(prober, server)?.none()
    );
    assert!(Datagrams::of(1450, Df::Do).count(2).every(Duration::from_secs(3)).run(slow, server)?.none());
    probe.wait_for_finding(&expected)?;
    assert!(small.join()??.all());
    probe.stop()?.expect(&[expected])
}

#[test]
fn a_queue_and_a_program_on_the_way_out_drop_by_size() -> Result<()> {
    if !has_tcx() {
        eprintln!("SKIPPED: this kernel has no TCX to attach the program of somebody else by");
        return Ok(());
    }
    let mut network = Plan::new().pod(Pod::routed("pod")).pod(Pod::routed("other")).build()?;
    network.serve(&["server"])?;
    network.node().no_offloads(&[UPLINK])?;
    for name in ["pod", "other", "server"] {
        network.namespace(name)?.no_offloads(&[UPLINK])?;
    }
    // A bucket that no packet above 1400 bytes ever fits.
    let queue =
        ["qdisc", "add", "dev", UPLINK, "root", "tbf", "rate", "50mbit", "burst", "1414", "limit", "200000"];
    network.node().output("tc", &queue)?;
    let _program = network
        .node()
        .run(|| OtherProgram::attach_dropping(&Network::host_interface("other"), Hook::Egress, 1400))??;
    let dropped = |pod, direction| {
        Expected::black_hole("datapath_drop")
            .severity("critical")
            .pod(network.lab().full_name(pod))
            .direction(direction)
            .limit_is("node", "bounds")
    };
    let probe = Run::watch(network.node()).start()?;
    let (pod, other) = (network.namespace("pod")?, network.namespace("other")?);
    let server = network.address("server", Family::V4)?;
    let sent = Exchange::push(100_000).keep_up(pod, server)?;
    // Only whole segments: nothing that arrives could tell of them.
    let got = Exchange::pull(4344).keep_up(other, server)?;
    // Long-lived: no connection is made that would tell.
    let beside: Vec<_> =
        [pod, other].map(|pod| requests(300).keep_up(pod, server)).into_iter().collect::<Result<_>>()?;
    let expected = [dropped("pod", "from_pod"), dropped("other", "to_pod")];
    for expected in &expected {
        probe.wait_for_finding(expected)?;
    }
    for transfer in [sent, got] {
        assert!(transfer.end()?.stalled());
    }
    for transfer in beside {
        assert!(transfer.end()?.rounds > 0);
    }
    probe.stop()?.expect(&expected)
}

#[test]
fn a_path_that_is_put_right_had_been_silent() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    network.node().no_offloads(&[UPLINK])?;
    network.filter_forwarded("fabric", "tcp dport != 0 meta length > 1400 counter drop")?;
    let probe = Run::watch(network.node()).start()?;
    let pod = network.namespace("pod")?;
    let server = network.address("server", Family::V4)?;
    let limit = Duration::from_secs(40);
    let large: Vec<_> =
        (0..2).map(|_| Exchange::push(100_000).limit(limit).start(pod, server)).collect::<Result<_>>()?;
    for _ in 0..9 {
        assert!(Exchange::rounds(100, 100, 3).run(pod, server)?.complete);
        std::thread::sleep(Duration::from_millis(500));
    }
    let expected = path_silent(&network, Family::V4);
    probe.wait_for_finding(&expected)?;
    network.namespace("fabric")?.output("nft", &["flush", "ruleset"])?;
    for transfer in large {
        assert!(transfer.join()??.complete);
    }
    probe.wait_for_finding(&expected.text("state", "closed"))?;
    probe.stop()?.expect(&[path_silent(&network, Family::V4)])
}
