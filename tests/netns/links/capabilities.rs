//! What can be told with few capabilities, or none.
use super::changes::Following;
use super::{add_routed_pod, discover, node_with_uplink, pod, role};
use anyhow::Result;
use mtuprobe_tests::topology::{Lab, Namespace};
use probe_core::model::interface::Role;
use probe_core::model::topology::Topology;
use probe_user::datapath::links::{Discovery, MonitorOptions};
use std::time::Duration;

/// Runs `work` in a namespace with these capabilities only, on a thread of its own.
fn with_capabilities<T: Send>(
    node: &Namespace,
    capabilities: &[u32],
    work: impl FnOnce() -> T + Send,
) -> Result<T> {
    /// `_LINUX_CAPABILITY_VERSION_3`: two words of each set.
    const VERSION: u32 = 0x2008_0522;
    let mut words = [0_u32; 2];
    for capability in capabilities {
        words[(capability / 32) as usize] |= 1 << (capability % 32);
    }
    // Effective, permitted, inheritable; low words, then high words.
    let sets = [words[0], words[0], 0, words[1], words[1], 0];
    node.run(move || -> Result<T> {
        let header = [VERSION, 0];
        // SAFETY: the kernel reads a header of 8 and sets of 24 bytes; 0 means the calling thread.
        let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
        anyhow::ensure!(result == 0, "giving up capabilities: {}", std::io::Error::last_os_error());
        Ok(work())
    })?
}

const CAP_NET_ADMIN: u32 = 12;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

#[test]
fn the_capabilities_of_a_daemon_set_suffice() -> Result<()> {
    let lab = Lab::new()?;
    let namespaces = node_with_uplink(&lab, &["pod"])?;
    let [node, _, inside] = &namespaces[..] else { unreachable!() };
    let capabilities = [CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF];
    let options = MonitorOptions { refresh: Duration::from_millis(200), ..MonitorOptions::default() };
    let mut following = with_capabilities(node, &capabilities, || Following::here(options))??;
    add_routed_pod(node, inside, "cali1", 1450)?;
    let topology = following.until(|topology| {
        topology.pods.first().is_some_and(|pod| pod.addresses.contains(&[10, 244, 1, 11].into()))
    })?;
    let found = pod(topology, "cali1")?;
    assert_eq!((found.name.as_deref(), found.pod_mtu), (Some(inside.name()), Some(1450)));
    assert_eq!(found.netns_inode.map(u64::from), Some(inside.inode()?));
    assert_eq!(role(topology, "eth0")?, Role::Uplink);
    // A change within the pod that nobody tells of.
    inside.set_mtu("eth0", 1234)?;
    following.until(|topology| topology.pods.first().is_some_and(|pod| pod.pod_mtu == Some(1234)))?;
    Ok(())
}

#[test]
fn without_any_capability_our_own_tables_still_tell_pods() -> Result<()> {
    let lab = Lab::new()?;
    let namespaces = node_with_uplink(&lab, &["pod"])?;
    let [node, _, inside] = &namespaces[..] else { unreachable!() };
    add_routed_pod(node, inside, "cali1", 1450)?;
    let topology =
        with_capabilities(node, &[], || -> Result<Topology> { Ok(Discovery::new()?.snapshot()?) })??;
    assert_eq!((role(&topology, "eth0")?, role(&topology, "cali1")?), (Role::Uplink, Role::Pod));
    let found = pod(&topology, "cali1")?;
    assert_eq!((found.name.as_deref(), found.pod_mtu), (Some(inside.name()), None));
    Ok(())
}

#[test]
fn a_neighbour_with_another_way_out_is_no_pod_and_a_pod_with_a_second_network_is() -> Result<()> {
    let lab = Lab::new()?;
    let namespaces = node_with_uplink(&lab, &["neighbour", "pod"])?;
    let [node, fabric, neighbour, inside] = &namespaces[..] else { unreachable!() };
    for (end, other) in [("veth1", neighbour), ("veth2", inside)] {
        node.ip(&format!(
            "link add {end} type veth peer name eth0 netns {}\nlink set {end} up",
            other.name()
        ))?;
        let far = format!("n{}", &end[4..]);
        fabric.ip(&format!(
            "link add {far} type veth peer name eth1 netns {}\nlink set {far} up",
            other.name()
        ))?;
        other.ip("link set eth0 up\nlink set eth1 up")?;
    }
    node.ip("address add 10.7.1.1/24 dev veth1\naddress add 10.7.2.1/24 dev veth2")?;
    neighbour.ip(
        "address add 10.7.1.2/24 dev eth0\naddress add 10.8.1.2/24 dev eth1\nroute add default via 10.8.1.1 dev eth1",
    )?;
    inside.ip(
        "address add 10.7.2.2/24 dev eth0\naddress add 10.8.2.2/24 dev eth1\nroute add default via 10.7.2.1 dev eth0",
    )?;
    let topology = discover(node)?;
    assert_eq!((role(&topology, "veth1")?, role(&topology, "veth2")?), (Role::Link, Role::Pod));
    assert_eq!(topology.pods.len(), 1);
    // Without a look at the routes inside, nothing proves the second; the first must still not be named.
    let topology = with_capabilities(node, &[CAP_NET_ADMIN], || -> Result<Topology> {
        Ok(Discovery::new()?.snapshot()?)
    })??;
    assert_eq!((role(&topology, "veth1")?, role(&topology, "veth2")?), (Role::Link, Role::Link));
    Ok(())
}
