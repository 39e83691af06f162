//! What is read over netlink: both ends of each veth, roles in the usual networks, changes while looking.
use anyhow::{Context as _, Result};
use mtuprobe_tests::topology::{Lab, Namespace};
use probe_core::model::interface::{Interface, OuterDf, Role};
use probe_core::model::pod::{Pod, PodSource};
use probe_core::model::topology::Topology;
use probe_user::attribution::CounterReader;
use probe_user::datapath::links::{Discovery, LinksResult, Monitor, MonitorOptions};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Tenfold what it may take at most.
const PATIENCE: Duration = Duration::from_secs(10);
/// No reading without a cause: what is seen was heard of.
const NO_REFRESH: Duration = Duration::from_secs(3600);
/// Ten times the 100 ms within which a new pod must be known.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Reads the links of a namespace as a program started in it would.
fn discover(node: &Namespace) -> Result<Topology> {
    node.run(|| -> Result<Topology> { Ok(Discovery::new()?.snapshot()?) })?
}

fn interface<'a>(topology: &'a Topology, name: &str) -> Result<&'a Interface> {
    topology.interface_named(name).with_context(|| format!("no interface {name}"))
}

fn role(topology: &Topology, name: &str) -> Result<Role> {
    Ok(interface(topology, name)?.role)
}

fn pod<'a>(topology: &'a Topology, host_interface: &str) -> Result<&'a Pod> {
    let host = interface(topology, host_interface)?.ifindex;
    topology.pod_behind(host).with_context(|| format!("no pod behind {host_interface}"))
}

/// Namespaces `node`, `fabric` and the pods, with an uplink `eth0` that is itself a veth, as in kind.
fn node_with_uplink(lab: &Lab, pods: &[&str]) -> Result<Vec<Namespace>> {
    let names: Vec<&str> = ["node", "fabric"].into_iter().chain(pods.iter().copied()).collect();
    let namespaces = lab.add(&names)?;
    let fabric = namespaces[1].name();
    namespaces[0].ip(&format!(
        "link set lo up\n\
         link add eth0 mtu 1400 type veth peer name n0 mtu 1500 netns {fabric}\n\
         link set eth0 up\n\
         address add 10.0.1.2/24 dev eth0"
    ))?;
    namespaces[1].ip(
        "link set lo up\nlink set n0 up\naddress add 10.0.1.1/24 dev n0\nroute add 10.244.0.0/16 via 10.0.1.2",
    )?;
    namespaces[0].ip("route add default via 10.0.1.1")?;
    Ok(namespaces)
}

#[test]
fn both_ends_of_a_routed_pod_are_read() -> Result<()> {
    let lab = Lab::new()?;
    let namespaces = node_with_uplink(&lab, &["pod"])?;
    let [node, _, inside] = &namespaces[..] else { unreachable!() };
    node.ip(&format!(
        "link add cali1 mtu 1500 type veth peer name eth0 mtu 1450 netns {}\n\
         link set cali1 up\n\
         route add 10.244.1.11/32 dev cali1 scope link mtu 1420",
        inside.name()
    ))?;
    inside.ip(
        "link set eth0 up\naddress add 10.244.1.11/32 dev eth0\nroute add 169.254.1.1 dev eth0 scope link\n\
         route add default via 169.254.1.1 dev eth0",
    )?;
    let topology = discover(node)?;
    assert_eq!(u64::from(topology.netns_inode), node.inode()?);
    assert_eq!(role(&topology, "cali1")?, Role::Pod);
    assert_eq!(role(&topology, "eth0")?, Role::Uplink);
    assert_eq!(role(&topology, "lo")?, Role::Link);
    let peer = interface(&topology, "cali1")?.peer.as_ref().context("no peer")?;
    assert_eq!((peer.name.as_deref(), peer.mtu), (Some("eth0"), Some(1450)));
    let uplink = interface(&topology, "eth0")?;
    assert_eq!((uplink.mtu, uplink.peer.as_ref().and_then(|peer| peer.mtu)), (1400, Some(1500)));

    let found = pod(&topology, "cali1")?;
    assert_eq!((found.name.as_deref(), found.source), (Some(inside.name()), PodSource::Netns));
    assert_eq!(found.netns_inode.map(u64::from), Some(inside.inode()?));
    assert_eq!((found.pod_interface.as_deref(), found.pod_mtu), (Some("eth0"), Some(1450)));
    assert!(found.addresses.contains(&[10, 244, 1, 11].into()));
    assert_eq!(topology.pods.len(), 1, "the fabric is no pod: {:?}", topology.pods);
    let route = topology.routes_to([10, 244, 1, 11].into())[0];
    assert_eq!((route.oif, route.mtu), (found.host_ifindex, Some(1420)));
    Ok(())
}

#[test]
fn pods_on_a_bridge_and_a_tunnel_have_their_roles() -> Result<()> {
    let lab = Lab::new()?;
    let namespaces = node_with_uplink(&lab, &["pod"])?;
    let [node, _, inside] = &namespaces[..] else { unreachable!() };
    node.ip(&format!(
        "link add cni0 type bridge\n\
         link add veth1 type veth peer name eth0 netns {}\n\
         link add inner0 type veth peer name inner1\n\
         link set veth1 master cni0\n\
         link set inner1 master cni0\n\
         link add vx0 mtu 1500 type vxlan id 7 dstport 8472 df inherit nolearning\n\
         link set vx0 up\nlink set cni0 up\nlink set veth1 up\nlink set inner0 up\nlink set inner1 up\n\
         address add 10.244.1.1/24 dev cni0\n\
         route add 10.244.2.0/24 via 10.244.2.0 dev vx0 onlink\n\
         route add 10.9.0.0/16 via 10.244.1.77 dev inner0 onlink",
        inside.name()
    ))?;
    node.output("bridge", &["fdb", "append", "02:00:00:00:00:02", "dev", "vx0", "dst", "10.0.2.2", "self"])?;
    inside.ip("link set eth0 up\naddress add 10.244.1.12/24 dev eth0\nroute add default via 10.244.1.1")?;
    let topology = discover(node)?;
    let roles = ["cni0", "veth1", "inner0", "inner1", "vx0", "eth0"];
    let roles: Vec<Role> = roles.into_iter().map(|name| role(&topology, name)).collect::<Result<_>>()?;
    assert_eq!(roles, [Role::Bridge, Role::Pod, Role::Link, Role::Port, Role::Overlay, Role::Uplink]);
    assert_eq!(pod(&topology, "veth1")?.name.as_deref(), Some(inside.name()));

    let overlay = interface(&topology, "vx0")?;
    let tunnel = overlay.tunnel.as_ref().context("vx0 is no tunnel")?;
    assert_eq!((tunnel.overhead, tunnel.df, tunnel.port), (Some(50), OuterDf::Inherit, Some(8472)));
    assert_eq!(tunnel.remotes, [[10, 0, 2, 2].into()] as [std::net::IpAddr; 1]);
    assert_eq!(tunnel.underlay, Some(interface(&topology, "eth0")?.ifindex), "by the route to the remote");
    assert_eq!(topology.device_limit(overlay), 1350);
    let inner = interface(&topology, "inner0")?.peer.as_ref().context("inner0 has no peer")?;
    assert_eq!((inner.nsid, inner.name.as_deref(), inner.mtu), (None, Some("inner1"), Some(1500)));
    Ok(())
}

/// Snapshots of a namespace as they change.
struct Following {
    _monitor: Monitor,
    updates: tokio::sync::mpsc::Receiver<LinksResult>,
    topology: Topology,
    removed: BTreeSet<u32>,
    overflows: u64,
}

impl Following {
    fn start(node: &Namespace, options: MonitorOptions) -> Result<Self> {
        let (monitor, mut updates) = node.run(|| Monitor::start(options))??;
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
    fn until(&mut self, wanted: impl Fn(&Topology) -> bool) -> Result<&Topology> {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(&self.topology) {
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
        Ok(&self.topology)
    }
}

/// A pod of the routed style, made as CNI plugins make one; the time at which its link appeared.
fn add_routed_pod(node: &Namespace, inside: &Namespace, host_interface: &str, mtu: u32) -> Result<Instant> {
    let name = inside.name();
    let appeared = Instant::now();
    node.ip(&format!("link add {host_interface} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {name}"))?;
    inside.ip(
        "link set eth0 up\naddress add 10.244.1.11/32 dev eth0\nroute add 169.254.1.1 dev eth0 scope link\n\
         route add default via 169.254.1.1 dev eth0",
    )?;
    node.ip(&format!(
        "link set {host_interface} up\nroute add 10.244.1.11/32 dev {host_interface} scope link"
    ))?;
    Ok(appeared)
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
    println!("link known after {link_after:?}, pod after {pod_after:?}");
    assert!(link_after < AT_ONCE && pod_after < AT_ONCE, "{link_after:?} {pod_after:?}");

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
    // Room for one notification.
    let mut following = Following::start(node, MonitorOptions { refresh: NO_REFRESH, receive_buffer: 1 })?;
    let script: Vec<String> =
        (0..100).map(|number| format!("link add a{number} group 7 type veth peer name b{number}")).collect();
    node.ip(&script.join("\n"))?;
    following.until(|topology| topology.interfaces.len() == 202)?;
    // One request, two hundred notifications.
    node.ip("link delete group 7")?;
    following.until(|topology| topology.interfaces.len() == 2)?;
    assert!(following.overflows > 0);
    Ok(())
}

#[test]
fn a_pod_on_a_macvlan_has_no_interface_of_the_node() -> Result<()> {
    let lab = Lab::new()?;
    let namespaces = node_with_uplink(&lab, &["pod", "stranger"])?;
    let [node, fabric, inside, stranger] = &namespaces[..] else { unreachable!() };
    for (parent, below, child) in [(node, "eth0", inside), (fabric, "n0", stranger)] {
        parent.ip(&format!(
            "link add link {below} name eth0 mtu 1300 netns {} type macvlan mode bridge",
            child.name()
        ))?;
        child.ip("link set eth0 up\naddress add 10.0.1.77/24 dev eth0\nroute add default via 10.0.1.1")?;
    }
    let topology = discover(node)?;
    let [found] = &topology.pods[..] else { anyhow::bail!("one pod, not {:?}", topology.pods) };
    assert_eq!(found.name.as_deref(), Some(inside.name()), "not the child of somebody else's device");
    assert_eq!(
        (found.host_ifindex, found.pod_interface.as_deref(), found.pod_mtu),
        (None, Some("eth0"), Some(1300))
    );
    assert!(found.addresses.contains(&[10, 0, 1, 77].into()));
    Ok(())
}

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
    let (monitor, updates) = with_capabilities(node, &capabilities, || Monitor::start(options))??;
    let mut following = Following {
        _monitor: monitor,
        updates,
        topology: Topology::default(),
        removed: BTreeSet::new(),
        overflows: 0,
    };
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

#[test]
fn the_way_out_of_a_bridge_is_told_from_its_pods() -> Result<()> {
    let lab = Lab::new()?;
    let namespaces = lab.add(&["node", "fabric", "pod"])?;
    let [node, fabric, inside] = &namespaces[..] else { unreachable!() };
    node.ip(&format!(
        "link add br0 type bridge\n\
         link add eth0 type veth peer name n0 netns {}\n\
         link add veth1 type veth peer name eth0 netns {}\n\
         link set eth0 master br0\nlink set veth1 master br0\n\
         link set br0 up\nlink set eth0 up\nlink set veth1 up\n\
         address add 10.0.1.2/24 dev br0",
        fabric.name(),
        inside.name()
    ))?;
    // The router's address is not on the other end but behind it: only the bridge knows the port.
    fabric.ip("link add br0 type bridge\nlink set n0 master br0\nlink set n0 up\nlink set br0 up\n\
         address add 10.0.1.1/24 dev br0")?;
    inside.ip("link set eth0 up\naddress add 10.0.1.3/24 dev eth0\nroute add default via 10.0.1.1")?;
    node.ip("route add default via 10.0.1.1")?;
    node.output("ping", &["-c", "1", "-W", "5", "10.0.1.1"])?;
    let topology = discover(node)?;
    assert_eq!(role(&topology, "br0")?, Role::Uplink);
    assert_eq!((role(&topology, "eth0")?, role(&topology, "veth1")?), (Role::Uplink, Role::Pod));
    Ok(())
}

#[test]
fn counters_of_a_pod_without_a_process_are_read() -> Result<()> {
    let lab = Lab::new()?;
    let namespaces = node_with_uplink(&lab, &["pod"])?;
    let [node, _, inside] = &namespaces[..] else { unreachable!() };
    add_routed_pod(node, inside, "cali1", 1450)?;
    let topology = discover(node)?;
    let found = pod(&topology, "cali1")?;
    let mut reader = CounterReader::default();
    let sent = |reader: &mut CounterReader| -> Result<u64> {
        let counters = reader.read(Some(found))?;
        assert_eq!(counters.pod_host_ifindex, found.host_ifindex);
        counters.values.get("UdpOutDatagrams").copied().context("no UdpOutDatagrams")
    };
    assert_eq!(sent(&mut reader)?, 0);
    inside.run(|| -> std::io::Result<()> {
        let socket = std::net::UdpSocket::bind("10.244.1.11:0")?;
        for _ in 0..3 {
            socket.send_to(b"x", "10.0.1.1:9")?;
        }
        Ok(())
    })??;
    assert_eq!(sent(&mut reader)?, 3);
    Ok(())
}
