//! Changes of links, routes and pods are followed.
use super::{add_routed_pod, interface, node_with_uplink, pod};
use anyhow::{Context as _, Result};
use mtuprobe_tests::topology::{Lab, Namespace};
use probe_core::model::interface::Interface;
use probe_core::model::pod::Pod;
use probe_core::model::topology::Topology;
use probe_user::datapath::links::{LinksResult, Monitor, MonitorOptions};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Many times what anything here takes: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(180);
/// No reading without a cause: what is seen was heard of.
const NO_REFRESH: Duration = Duration::from_secs(3600);

/// Snapshots of a namespace as they change.
pub struct Following {
    _monitor: Monitor,
    updates: tokio::sync::mpsc::Receiver<LinksResult>,
    pub topology: Topology,
    removed: BTreeSet<u32>,
    overflows: u64,
}

impl Following {
    pub fn start(node: &Namespace, options: MonitorOptions) -> Result<Self> {
        node.run(|| Self::here(options))?
    }

    /// In the namespace of the calling thread.
    pub fn here(options: MonitorOptions) -> Result<Self> {
        let (monitor, mut updates) = Monitor::start(options)?;
        let first = updates.blocking_recv().context("no first update")??;
        Ok(Self {
            _monitor: monitor,
            updates,
            topology: first.topology,
            removed: BTreeSet::new(),
            overflows: 0,
        })
    }

    fn without_refresh(node: &Namespace) -> Result<Self> {
        Self::start(node, MonitorOptions { refresh: NO_REFRESH, ..MonitorOptions::default() })
    }

    /// Waits until the newest state is the wanted one.
    pub fn until(&mut self, wanted: impl Fn(&Topology) -> bool) -> Result<&Topology> {
        self.until_told(|following| wanted(&following.topology))?;
        Ok(&self.topology)
    }

    /// The same of all that was told so far.
    fn until_told(&mut self, wanted: impl Fn(&Self) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(self) {
            match self.updates.try_recv() {
                Ok(update) => {
                    let update = update?;
                    self.removed.extend(&update.removed);
                    self.overflows += update.overflows;
                    self.topology = update.topology;
                }
                Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
                Err(_) => anyhow::bail!("not seen in {PATIENCE:?}: {:#?}", self.topology),
            }
        }
        Ok(())
    }
}

#[test]
fn a_pod_is_known_at_once_and_leaves_nothing() -> Result<()> {
    let lab = Lab::new()?;
    let mut namespaces = node_with_uplink(&lab, &["pod"])?;
    let inside = namespaces.pop().context("no pod")?;
    let node = &namespaces[0];
    let mut following = Following::without_refresh(node)?;
    assert!(following.topology.interface_named("cali1").is_none());

    let appeared = add_routed_pod(node, &inside, "cali1", 1450)?;
    let topology = following.until(|topology| topology.interface_named("cali1").is_some())?;
    let link_after = appeared.elapsed();
    let ifindex = interface(topology, "cali1")?.ifindex;
    let name = inside.name().to_owned();
    let is_ready = |pod: &Pod| {
        pod.name.as_ref() == Some(&name) && pod.pod_mtu == Some(1450) && !pod.addresses.is_empty()
    };
    following.until(|topology| topology.pod_behind(ifindex).is_some_and(is_ready))?;
    let pod_after = appeared.elapsed();
    println!(
        "link known after {link_after:?}, pod after {pod_after:?} (both with the time it takes to make them)"
    );

    lab.remove(inside)?;
    let topology = following.until(|topology| topology.interface_named("cali1").is_none())?;
    assert!(topology.pods.is_empty());
    assert!(following.removed.contains(&ifindex));
    Ok(())
}

#[test]
fn changes_of_mtu_routes_and_pods_are_followed() -> Result<()> {
    let lab = Lab::new()?;
    let namespaces = node_with_uplink(&lab, &["pod"])?;
    let [node, _, inside] = &namespaces[..] else { unreachable!() };
    add_routed_pod(node, inside, "cali1", 1500)?;
    let mut following = Following::without_refresh(node)?;
    following.until(|topology| topology.pods.len() == 1)?;
    node.set_mtu("eth0", 1300)?;
    following.until(|topology| topology.interface_named("eth0").is_some_and(|uplink| uplink.mtu == 1300))?;
    // Nothing happens in the node's own namespace.
    inside.set_mtu("eth0", 1234)?;
    following.until(|topology| topology.pods.first().is_some_and(|pod| pod.pod_mtu == Some(1234)))?;
    node.ip("route add 203.0.113.0/24 via 10.0.1.1 mtu lock 1200")?;
    following
        .until(|topology| topology.routes.iter().any(|route| route.mtu == Some(1200) && route.mtu_locked))?;
    Ok(())
}

#[test]
fn ids_that_are_handed_out_again_do_not_mix_pods() -> Result<()> {
    let lab = Lab::new()?;
    let mut namespaces = node_with_uplink(&lab, &["first", "second"])?;
    let (second, first) = (namespaces.pop().context("no pod")?, namespaces.pop().context("no pod")?);
    let node = &namespaces[0];
    let mut following = Following::without_refresh(node)?;
    add_routed_pod(node, &first, "cali1", 1450)?;
    let named = |topology: &Topology, name: &str| {
        let is_ready = |pod: &Pod| pod.name.as_deref() == Some(name) && !pod.addresses.is_empty();
        topology.pods.iter().any(is_ready)
    };
    let first_name = first.name().to_owned();
    let topology = following.until(|topology| named(topology, &first_name))?;
    let old = interface(topology, "cali1")?.clone();
    let nsid = |interface: &Interface| interface.peer.as_ref().and_then(|peer| peer.nsid);
    let old_nsid = nsid(&old).context("the other end is here")?;

    lab.remove(first)?;
    following.until(|topology| topology.interface_named("cali1").is_none())?;
    // The kernel gives a namespace up in its own time; its id is free when it is no longer listed.
    let deadline = Instant::now() + PATIENCE;
    while node.output("ip", &["netns", "list-id"])?.contains(&format!("nsid {old_nsid} ")) {
        anyhow::ensure!(Instant::now() < deadline, "namespace id {old_nsid} stays");
        std::thread::sleep(Duration::from_millis(10));
    }
    node.ip(&format!(
        "link add cali1 index {} mtu 1400 type veth peer name eth0 mtu 1400 netns {}\n\
         link set cali1 up\nroute add 10.244.1.12/32 dev cali1 scope link",
        old.ifindex,
        second.name()
    ))?;
    second.ip("link set eth0 up\naddress add 10.244.1.12/32 dev eth0\nroute add default dev eth0")?;
    let topology = following.until(|topology| named(topology, second.name()))?.clone();
    let new = interface(&topology, "cali1")?;
    assert_eq!((new.ifindex, nsid(new)), (old.ifindex, Some(old_nsid)), "the kernel hands both out again");
    assert!(following.removed.contains(&old.ifindex), "the link before is told to have gone");
    let found = pod(&topology, "cali1")?;
    assert_eq!(found.netns_inode.map(u64::from), Some(second.inode()?));
    assert_eq!(found.pod_mtu, Some(1400));
    assert!(
        found.addresses.contains(&[10, 244, 1, 12].into())
            && !found.addresses.contains(&[10, 244, 1, 11].into())
    );
    Ok(())
}

#[test]
fn lost_notifications_are_told_and_made_good() -> Result<()> {
    let lab = Lab::new()?;
    let namespaces = node_with_uplink(&lab, &[])?;
    let node = &namespaces[0];
    let mut following = Following::start(node, MonitorOptions { refresh: NO_REFRESH, receive_buffer: 1 })?;
    // A reader that does not read: once the channel is full, the monitor waits and the socket's buffer fills.
    fill(&mut following, node)?;
    let script: Vec<String> =
        (0..100).map(|number| format!("link add a{number} type veth peer name b{number}")).collect();
    node.ip(&script.join("\n"))?;
    // What is read while they are made may be complete before the loss is noticed.
    following.until_told(|told| told.topology.interfaces.len() == 202 && told.overflows > 0)?;
    fill(&mut following, node)?;
    // The monitor is dropped before its receiver, with the channel full: it must end all the same.
    drop(following);
    Ok(())
}

/// Makes changes until no more updates fit into the channel.
fn fill(following: &mut Following, node: &Namespace) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    for mtu in (1300..1400).cycle() {
        if following.updates.len() == following.updates.max_capacity() {
            break;
        }
        anyhow::ensure!(Instant::now() < deadline, "{} updates in {PATIENCE:?}", following.updates.len());
        node.set_mtu("eth0", mtu)?;
    }
    Ok(())
}
