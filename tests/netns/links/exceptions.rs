//! Learned path MTUs, in the own namespace and in a pod's.
use super::discover;
use anyhow::{Context as _, Result};
use mtuprobe_tests::topology::{Family, Plan, Pod};
use mtuprobe_tests::traffic::Exchange;
use probe_user::attribution::learned_exceptions;

#[test]
fn a_pod_has_learned_what_a_smaller_uplink_told_it() -> Result<()> {
    let mut network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    let topology = discover(network.node())?;
    let pod = topology.pods.first().context("no pod")?;
    let read = |pod| network.node().run(|| learned_exceptions(pod, topology.netns_inode));
    assert_eq!(read(Some(pod))??.exceptions, []);
    for family in Family::ALL {
        let transfer =
            Exchange::push(500_000).run(network.namespace("pod")?, network.address("server", family)?)?;
        assert!(transfer.complete, "{transfer:?}");
    }
    let learned = read(Some(pod))??;
    assert_eq!(Some(learned.netns), pod.netns_inode);
    for family in Family::ALL {
        let server = network.address("server", family)?;
        let exception =
            learned.exceptions.iter().find(|exception| exception.destination == server).context("none")?;
        assert_eq!((exception.mtu, exception.locked), (1400, false), "{exception:?}");
        assert_eq!((exception.netns, exception.interface.as_deref()), (learned.netns, Some("eth0")));
        assert!((500..=600).contains(&exception.expires), "{exception:?}");
    }
    assert_eq!(learned.exceptions.len(), 2, "{learned:?}");
    assert_eq!(read(None)??.exceptions, [], "the node itself learned nothing");
    Ok(())
}
