//! Fragments are dropped, so datagrams never arrive whole.
use anyhow::Result;
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::{Family, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df};

#[test]
fn the_node_filters_what_the_sender_cut() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    network.node().nft(
        "table ip no_fragments {
            chain forward {
                type filter hook forward priority 0; policy accept;
                ip frag-off & 0x3fff != 0 counter drop
            }
        }
        table ip6 no_fragments {
            chain forward {
                type filter hook forward priority 0; policy accept;
                exthdr frag exists counter drop
            }
        }",
    )?;
    let probe = Run::watch(network.node()).start()?;
    for family in Family::ALL {
        let (pod, server) = (network.namespace("pod")?, network.address("server", family)?);
        assert!(Datagrams::of(1400, Df::Want).run(pod, server)?.all());
        assert!(Datagrams::of(4000, Df::Want).count(10).run(pod, server)?.none());
    }
    probe.stop()?.expect(&Family::ALL.map(|family| {
        Expected::kind("fragments_lost")
            .severity("critical")
            .outcome("lost")
            .pod(network.lab().full_name("pod"))
            .direction("from_pod")
            .family(family.name())
    }))
}

/// All later fragments of what is sent to one pod are lost beyond the node, and one in seven of those to another.
#[test]
fn a_pod_waits_in_vain_for_fragments_lost_on_the_way() -> Result<()> {
    let pods = ["waiting", "unlucky", "fine"];
    let mut network = pods.iter().fold(Plan::new(), |plan, pod| plan.pod(Pod::routed(pod))).build()?;
    network.serve(&["server"])?;
    let mut rules = String::new();
    for (family, word, later) in
        [(Family::V4, "ip", "ip frag-off & 0x1fff != 0"), (Family::V6, "ip6", "frag frag-off != 0")]
    {
        let (waiting, unlucky) = (network.address("waiting", family)?, network.address("unlucky", family)?);
        rules += &format!("{word} daddr {waiting} {later} counter drop\n");
        rules += &format!("{word} daddr {unlucky} numgen inc mod 7 == 0 counter drop\n");
    }
    network.filter_forwarded("fabric", &rules)?;
    for pod in pods {
        let pod = network.namespace(pod)?;
        pod.set("net/ipv4/ipfrag_time", "1")?;
        pod.set("net/ipv6/ip6frag_time", "1")?;
    }
    let probe = Run::watch(network.node()).start()?;
    let lost = |family: Family| {
        Expected::kind("fragments_lost")
            .severity("critical")
            .confirmed()
            .outcome("lost")
            .pod(network.lab().full_name("waiting"))
            .direction("to_pod")
            .family(family.name())
    };
    for family in Family::ALL {
        let server = network.address("server", family)?;
        let answered = |pod, count| {
            let datagrams = Datagrams::of(100, Df::Want).count(count).reply(4000, Df::Want);
            datagrams.run(network.namespace(pod)?, server)
        };
        assert!(answered("fine", 20)?.all());
        let unlucky = answered("unlucky", 40)?;
        assert!(!unlucky.all() && !unlucky.none(), "{unlucky:?}");
        assert!(answered("waiting", 8)?.none());
    }
    for family in Family::ALL {
        probe.wait_for_finding(&lost(family))?;
    }
    probe.stop()?.expect(&Family::ALL.map(lost))
}
