//! A vswitch with programmed flows and no daemon: what a port does not take vanishes without a word.
use crate::checked::{check, expect_quiet, expect_reach, expect_warnings};
use anyhow::{Context, Result};
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::address::Site;
use mtuprobe_tests::topology::network::UPLINK;
use mtuprobe_tests::topology::{Ends, Family, Namespace, Network, Plan};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange, Server};
use probe_user::datapath::links::Discovery;
use std::time::Duration;

/// The datapath, and its internal port, which has the node's address.
const DATAPATH: &str = "vs0";
const STALL: Duration = Duration::from_secs(6);

/// A second way out, smaller than the first: no flow leads there.
const SPARE: &str = "spare";

/// A pod on a port of its own.
struct Pod {
    name: &'static str,
    number: u16,
    /// MTU of its end, and of the port.
    mtu: [u32; 2],
}

impl Pod {
    fn mac(&self) -> String {
        format!("0e:4d:54:55:01:{:02x}", self.number)
    }

    fn address(&self) -> std::net::IpAddr {
        Site::Bridged.address(Family::V4, self.number)
    }
}

struct Vswitch {
    network: Network,
    /// Kept until the network goes: their sockets hold namespaces.
    pods: Vec<(&'static str, Namespace)>,
}

fn dpctl(node: &Namespace, arguments: &[&str]) -> Result<String> {
    node.output("ovs-dpctl", arguments)
}

impl Vswitch {
    /// Pods and uplink on one datapath, with flows for what is permitted: each pod and the outside, both ways.
    fn build(pods: &[Pod]) -> Result<Self> {
        let mut network = Plan::new().server(Ends::from(9000)).build()?;
        network.serve(&["server"])?;
        let names: Vec<&str> = pods.iter().map(|pod| pod.name).collect();
        let namespaces = network.lab().add(&names)?;
        let (node, fabric) = (network.node(), network.namespace("fabric")?);
        let own = Site::NodeLink.address(Family::V4, 2);
        let router = Site::NodeLink.address(Family::V4, 1);
        let gateway = Site::Bridged.address(Family::V4, 1);
        let prefix = Site::Bridged.prefix(Family::V4);
        dpctl(node, &["add-dp", DATAPATH])?;
        dpctl(node, &["add-if", DATAPATH, &format!("{UPLINK},port_no=1")])?;
        node.ip(&format!(
            "link add link {UPLINK} name {SPARE} type vlan id 7\nlink set {SPARE} mtu 1400 up"
        ))?;
        dpctl(node, &["add-if", DATAPATH, &format!("{SPARE},port_no=2")])?;
        node.ip(&format!(
            "address flush dev {UPLINK}\nlink set {UPLINK} address 0e:4d:54:55:02:01\n\
             link set {DATAPATH} address 0e:4d:54:55:02:02\nlink set {DATAPATH} mtu 1500 up\n\
             address add {own}/16 dev {DATAPATH}\nroute add default via {router}"
        ))?;
        fabric.ip(&format!(
            "link set to-node address 0e:4d:54:55:02:03\nroute del {prefix}\n\
             address add {gateway}/16 dev to-node"
        ))?;
        for (pod, namespace) in pods.iter().zip(&namespaces) {
            let ([inner, outer], host) = (pod.mtu, Network::host_interface(pod.name));
            node.ip(&format!(
                "link add {host} mtu {outer} type veth peer name eth0 mtu {inner} netns {}\nlink set {host} up",
                namespace.name()
            ))?;
            namespace.ip(&format!(
                "link set lo up\nlink set eth0 address {} up\naddress add {}/16 dev eth0\n\
                 route add default via {gateway}",
                pod.mac(),
                pod.address()
            ))?;
            dpctl(node, &["add-if", DATAPATH, &format!("{host},port_no={}", pod.number)])?;
        }
        // Where each address of the second layer is.
        let mut places = vec![("0e:4d:54:55:02:03".to_owned(), 1), ("0e:4d:54:55:02:02".to_owned(), 0)];
        places.extend(pods.iter().map(|pod| (pod.mac(), pod.number)));
        let ports: Vec<u16> = places.iter().map(|(_, port)| *port).collect();
        for &from in &ports {
            for (mac, to) in places.iter().filter(|(_, to)| *to != from) {
                for kind in ["0x0800),ipv4(frag=no", "0x0806),arp(sip=0.0.0.0/0.0.0.0"] {
                    let flow = format!("in_port({from}),eth(dst={mac}),eth_type({kind})");
                    dpctl(node, &["add-flow", DATAPATH, &flow, &to.to_string()])?;
                }
            }
            let others: Vec<String> =
                ports.iter().filter(|to| **to != from).map(ToString::to_string).collect();
            let flow = format!(
                "in_port({from}),eth(dst=ff:ff:ff:ff:ff:ff),eth_type(0x0806),arp(sip=0.0.0.0/0.0.0.0)"
            );
            dpctl(node, &["add-flow", DATAPATH, &flow, &others.join(",")])?;
        }
        Ok(Self { network, pods: names_of(pods).into_iter().zip(namespaces).collect() })
    }

    fn pod(&self, name: &str) -> Result<&Namespace> {
        let found = self.pods.iter().find(|(other, _)| *other == name);
        found.map(|(_, namespace)| namespace).with_context(|| format!("no pod {name}"))
    }
}

fn names_of(pods: &[Pod]) -> Vec<&'static str> {
    pods.iter().map(|pod| pod.name).collect()
}

#[test]
fn smaller_ports_are_named_with_the_pods_that_meet_them() -> Result<()> {
    let pods = [
        Pod { name: "fine", number: 11, mtu: [1500, 1500] },
        Pod { name: "big", number: 12, mtu: [9000, 9000] },
        Pod { name: "tight", number: 13, mtu: [1500, 1400] },
    ];
    let switch = Vswitch::build(&pods)?;
    let network = &switch.network;
    let server = network.address("server", Family::V4)?;
    let checked = check(network.node())?;
    let full = |pod: &str| network.lab().full_name(pod);
    expect_reach(&checked, &full("fine"), "outside", "ipv4", 1500, None)?;
    expect_reach(&checked, &full("big"), "outside", "ipv4", 1500, Some(UPLINK))?;
    expect_reach(&checked, &full("fine"), "same_node", "ipv4", 1400, Some("vethtight"))?;
    expect_warnings(
        &checked,
        vec![
            Expected::kind("bridge_mtu_mismatch").limit(1500).limit_is("node", "device_mtu"),
            Expected::kind("veth_mtu_mismatch").pod(full("tight")).limit(1400),
        ],
    )?;
    let in_tight = Server::start(switch.pod("tight")?)?;
    let probe = Run::watch(network.node()).start()?;

    let fine = switch.pod("fine")?;
    assert!(Exchange::push(500_000).run(fine, server)?.complete);
    assert!(Exchange::pull(500_000).run(fine, server)?.complete);
    assert!(Datagrams::of(1500, Df::Do).run(fine, server)?.all());
    // One segment each, because segmentation-offload packets pass.
    let big = Exchange::rounds(5000, 100, 1).limit(STALL).start(switch.pod("big")?, server)?;
    let tight =
        Exchange::rounds(1440, 100, 1).limit(STALL).start(network.namespace("server")?, pods[2].address())?;
    assert!(big.join()??.stalled());
    assert!(tight.join()??.stalled());
    let report = probe.stop()?;
    drop(in_tight);

    let roles: Vec<(String, String)> = report
        .lines_of("start")
        .flat_map(|line| line["attached"].as_array().cloned().unwrap_or_default())
        .map(|hook| (hook["interface"].to_string(), hook["role"].to_string()))
        .collect();
    for uplink in [UPLINK, DATAPATH] {
        let wanted = (format!("\"{uplink}\""), "\"uplink\"".to_owned());
        assert!(roles.contains(&wanted), "{uplink} is no uplink: {roles:?}");
    }
    let lost = |pod: &str, direction: &str| {
        let pod = network.lab().full_name(pod);
        Expected::black_hole("silent_link_drop")
            .severity("critical")
            .confirmed()
            .pod(pod)
            .direction(direction)
    };
    report.expect(&[
        lost("big", "from_pod").limit(1500).limit_is("node", "device_mtu"),
        lost("tight", "to_pod").limit(1400).limit_is("link", "device_mtu"),
    ])
}

#[test]
fn a_healthy_vswitch_is_quiet() -> Result<()> {
    let pods = [Pod { name: "fine", number: 11, mtu: [1500, 1500] }];
    let switch = Vswitch::build(&pods)?;
    expect_quiet(&check(switch.network.node())?)
}

/// One port of each tunnel, with a flow into each: 10.3.1.0/24 by vxlan, 10.3.2.0/24 by geneve with options of 8 bytes.
fn tunnel_ports(switch: &Vswitch, pod: &Pod) -> Result<()> {
    let node = switch.network.node();
    dpctl(node, &["add-if", DATAPATH, "vx,type=vxlan,remote_ip=flow,key=flow,dst_port=4789,port_no=21"])?;
    dpctl(node, &["add-if", DATAPATH, "gn,type=geneve,remote_ip=flow,key=flow,dst_port=6081,port_no=22"])?;
    let remote = Site::NodeLink.address(Family::V4, 1);
    let flow = |network: &str, tunnel: &str, port: u16| {
        let matched = format!(
            "in_port({}),eth(),eth_type(0x0800),ipv4(dst={network}/255.255.255.0,frag=no)",
            pod.number
        );
        let wrapped = format!("set(tunnel(tun_id=0x2a,dst={remote},ttl=64,{tunnel},flags(df|key))),{port}");
        dpctl(node, &["add-flow", DATAPATH, &matched, &wrapped]).map(|_| ())
    };
    flow("10.3.1.0", "tp_dst=4789", 21)?;
    flow("10.3.2.0", "tp_dst=6081,geneve({class=0x102,type=0x80,len=4,0x10002})", 22)
}

#[test]
fn a_tunnel_port_has_the_overhead_of_its_tunnel() -> Result<()> {
    let pods = [Pod { name: "pod", number: 11, mtu: [1500, 1500] }];
    let switch = Vswitch::build(&pods)?;
    tunnel_ports(&switch, &pods[0])?;
    let node = switch.network.node();
    let topology = node.run(|| Discovery::new()?.snapshot())??;
    for (name, port, overhead) in [("vxlan_sys_4789", 4789, 50), ("genev_sys_6081", 6081, 58)] {
        let interface = topology.interface_named(name).with_context(|| format!("no {name}"))?;
        let tunnel = interface.tunnel.as_ref().with_context(|| format!("{name} is no tunnel"))?;
        assert_eq!((tunnel.overhead, tunnel.port), (Some(overhead), Some(port)), "{name}");
        assert_eq!(interface.master_kind.as_deref(), Some("openvswitch"), "{name}");
        assert_eq!(topology.device_limit(interface), 1500 - overhead, "{name}");
    }
    let checked = check(node)?;
    let pod = switch.network.lab().full_name("pod");
    let by = format!("genev_sys_6081 over {DATAPATH}");
    expect_reach(&checked, &pod, "other_node", "ipv4", 1442, Some(&by))?;
    expect_warnings(
        &checked,
        [1450, 1442].map(|limit| Expected::kind("overlay_mtu_exceeds_underlay").limit(limit)).to_vec(),
    )?;
    // The healthy twin: the pod has subtracted the larger overhead.
    switch.pod("pod")?.set_mtu(UPLINK, 1442)?;
    node.set_mtu("vethpod", 1442)?;
    expect_quiet(&check(node)?)
}
