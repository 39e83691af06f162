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
