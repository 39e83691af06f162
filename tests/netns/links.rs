//! What is read over netlink: both ends of each veth, roles in the usual networks, changes while looking.
mod capabilities;
mod changes;
mod exceptions;

use anyhow::{Context as _, Result};
use mtuprobe_tests::topology::{Lab, Namespace};
use probe_core::model::interface::{Interface, OuterDf, Role};
use probe_core::model::pod::{Pod, PodSource};
use probe_core::model::topology::Topology;
use probe_user::attribution::CounterReader;
use probe_user::datapath::links::Discovery;
use std::time::Instant;

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
fn a_pod_on_a_macvlan_has_no_interface_of_the_node() -> Result<()> {
    let lab = Lab::new()?;
    let namespaces = node_with_uplink(&lab, &["pod", "stranger"])?;
    let [node, fabric, inside, stranger] = &namespaces[..] else { unreachable!() };
    for (parent, below, child) in [(node, "eth0", inside), (fabric, "n0", stranger)] {
        // Renamed there, because older kernels (6.12) want the name to be free here as well.
        parent.ip(&format!(
            "link add link {below} name child mtu 1300 netns {} type macvlan mode bridge",
            child.name()
        ))?;
        child.ip("link set child name eth0\nlink set eth0 up\naddress add 10.0.1.77/24 dev eth0\n\
             route add default via 10.0.1.1")?;
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
