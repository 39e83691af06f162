//! A network that stands, and how it is put up.
use super::address::{Family, Site};
use super::lab::Lab;
use super::namespace::Namespace;
use super::plan::{ETHERNET_MTU, Ends, Plan, Pod, Style};
use super::script::Script;
use super::side::Side;
use crate::traffic::Server;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Name of the bridge on a node.
pub const BRIDGE: &str = "cni0";
/// Name of a VXLAN device on a node.
pub const TUNNEL: &str = "vxlan0";
/// Name of the uplink of every node, server and pod.
pub const UPLINK: &str = "eth0";

/// A pod's gateway in the routed style: no interface has it, the host end answers for it by proxy ARP.
const GATEWAY_V4: &str = "169.254.1.1";
/// The same for IPv6: every host end has it.
const GATEWAY_V6: &str = "fe80::1";

/// Where a namespace of the network can be reached.
#[derive(Clone, Copy, Debug)]
struct Place {
    site: Site,
    host: u16,
}

/// A network that stands. Dropping it removes it.
#[derive(Debug)]
pub struct Network {
    // Declared before the lab: sockets of the servers keep a namespace alive, so they go first.
    servers: Vec<Server>,
    namespaces: BTreeMap<String, Namespace>,
    places: BTreeMap<String, Place>,
    next_host: u16,
    lab: Lab,
}

impl Network {
    pub(super) fn build(plan: &Plan) -> Result<Self> {
        let lab = Lab::new()?;
        let mut network = Self {
            servers: Vec::new(),
            namespaces: BTreeMap::new(),
            places: BTreeMap::new(),
            next_host: 10,
            lab,
        };
        let second = plan.overlay.is_some() || plan.pods.iter().any(|pod| pod.on_second_node);
        let mut names = vec!["node", "fabric", "server"];
        if second {
            names.push("node2");
        }
        if plan.far.is_some() {
            names.extend(["router", "gateway", "far"]);
        }
        names.extend(plan.pods.iter().map(|pod| pod.name.as_str()));
        network.add_namespaces(&names)?;

        let mut script = Script::default();
        network.fabric(&mut script, Side::Node, plan.uplink);
        if second {
            network.fabric(&mut script, Side::Second, plan.second_uplink);
        }
        network.server(&mut script, plan.server);
        if let Some(mtu) = plan.far {
            network.far(&mut script, mtu);
        }
        for side in Side::ALL {
            if plan.pods.iter().any(|pod| Side::of(pod) == side && pod.style == Style::Bridged) {
                bridge(&mut script, side, plan.bridge_mtu);
            }
        }
        if let Some(overlay) = plan.overlay {
            for side in Side::ALL {
                overlay.build(&mut script, side);
            }
        }
        for pod in &plan.pods {
            network.pod(&mut script, pod);
        }
        network.apply(&script)?;
        if let Some(overlay) = plan.overlay {
            overlay.join([network.namespace("node")?, network.namespace("node2")?])?;
        }
        if plan.masquerade {
            network.masquerade()?;
        }
        Ok(network)
    }

    /// The lab that owns the namespaces.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The observed node.
    pub fn node(&self) -> &Namespace {
        &self.namespaces["node"]
    }

    /// A namespace by its short name: `node`, `node2`, `fabric`, `server`, `router`, `gateway`, `far`, or a pod's.
    pub fn namespace(&self, name: &str) -> Result<&Namespace> {
        self.namespaces.get(name).with_context(|| format!("this network has no namespace {name}"))
    }

    /// Address of a node, a server or a pod.
    pub fn address(&self, name: &str, family: Family) -> Result<IpAddr> {
        let place = self.places.get(name).with_context(|| format!("{name} has no address of its own"))?;
        Ok(place.site.address(family, place.host))
    }

    /// Name of the interface on the node that leads to a pod.
    pub fn host_interface(pod: &str) -> String {
        format!("veth{pod}")
    }

    /// Has these answer to traffic from now on.
    pub fn serve(&mut self, names: &[&str]) -> Result<()> {
        for name in names {
            let server = Server::start(self.namespace(name)?)?;
            self.servers.push(server);
        }
        Ok(())
    }

    /// One more pod, while the network runs.
    pub fn add_pod(&mut self, pod: &Pod) -> Result<()> {
        self.add_namespaces(&[&pod.name])?;
        let mut script = Script::default();
        self.pod(&mut script, pod);
        self.apply(&script)
    }

    /// Removes a pod as a runtime does: the namespace goes, and the link with it.
    pub fn remove_pod(&mut self, name: &str) -> Result<()> {
        let Some(namespace) = self.namespaces.remove(name) else { bail!("no pod {name} to remove") };
        self.places.remove(name);
        self.servers.retain(|server| server.namespace() != namespace.name());
        self.lab.remove(namespace)
    }

    fn add_namespaces(&mut self, names: &[&str]) -> Result<()> {
        for (name, namespace) in names.iter().zip(self.lab.add(names)?) {
            namespace
                .sysctl(&at_birth(matches!(*name, "node" | "node2" | "fabric" | "router" | "gateway")))?;
            self.namespaces.insert((*name).to_owned(), namespace);
        }
        Ok(())
    }

    fn apply(&self, script: &Script) -> Result<()> {
        for (name, lines) in script.commands() {
            self.namespace(name)?.ip(lines)?;
        }
        for (name, settings) in script.settings() {
            self.namespace(name)?.sysctl(settings)?;
        }
        Ok(())
    }

    fn place(&mut self, name: &str, site: Site, host: u16) {
        self.places.insert(name.to_owned(), Place { site, host });
    }

    /// The veth between a namespace's `eth0` and the fabric, with addresses and the way out.
    fn link(&mut self, script: &mut Script, from: (&str, &str), to: (&str, &str), site: Site, mtu: Ends) {
        let ((near, near_interface), (beyond, beyond_interface)) = (from, to);
        script.ip(
            beyond,
            format!(
                "link add {beyond_interface} mtu {} type veth peer name {near_interface} mtu {} netns {}",
                mtu.beyond,
                mtu.near,
                self.lab.full_name(near)
            ),
        );
        for (namespace, interface, host) in [(beyond, beyond_interface, 1), (near, near_interface, 2)] {
            script.ip(namespace, format!("link set {interface} up"));
            script.ip(namespace, "link set lo up");
            for family in Family::ALL {
                script.ip(namespace, address(site, family, host, family.network_bits(), interface));
            }
        }
        self.place(near, site, 2);
    }

    fn fabric(&mut self, script: &mut Script, side: Side, mtu: Ends) {
        let interface = format!("to-{}", side.name());
        self.link(script, (side.name(), UPLINK), ("fabric", &interface), side.link(), mtu);
        for family in Family::ALL {
            script.ip(side.name(), format!("route add default via {}", side.link().address(family, 1)));
            for pods in side.pod_sites() {
                let via = side.link().address(family, 2);
                script.ip("fabric", format!("route add {} via {via}", pods.prefix(family)));
            }
        }
    }

    fn server(&mut self, script: &mut Script, mtu: Ends) {
        self.link(script, ("server", UPLINK), ("fabric", "to-server"), Site::ServerLink, mtu);
        for family in Family::ALL {
            script.ip("server", format!("route add default via {}", Site::ServerLink.address(family, 1)));
        }
    }

    fn far(&mut self, script: &mut Script, mtu: u32) {
        self.link(script, ("router", UPLINK), ("fabric", "to-router"), Site::RouterLink, ETHERNET_MTU.into());
        self.link(script, ("gateway", UPLINK), ("router", "to-gateway"), Site::GatewayLink, mtu.into());
        self.link(script, ("far", UPLINK), ("gateway", "to-far"), Site::FarLink, ETHERNET_MTU.into());
        for family in Family::ALL {
            for (name, site) in
                [("router", Site::RouterLink), ("gateway", Site::GatewayLink), ("far", Site::FarLink)]
            {
                script.ip(name, format!("route add default via {}", site.address(family, 1)));
            }
            let far = Site::FarLink.prefix(family);
            script.ip("fabric", format!("route add {far} via {}", Site::RouterLink.address(family, 2)));
            script.ip("router", format!("route add {far} via {}", Site::GatewayLink.address(family, 2)));
        }
    }

    fn pod(&mut self, script: &mut Script, pod: &Pod) {
        let (side, host) = (Side::of(pod), self.next_host);
        self.next_host += 1;
        let site = side.pods(pod.style);
        self.place(&pod.name, site, host);
        let (node, interface) = (side.name(), Self::host_interface(&pod.name));
        script.ip(
            node,
            format!(
                "link add {interface} mtu {} type veth peer name {UPLINK} mtu {} netns {}",
                pod.host_mtu.unwrap_or(pod.mtu),
                pod.mtu,
                self.lab.full_name(&pod.name)
            ),
        );
        script.ip(node, format!("link set {interface} up"));
        for device in ["lo", UPLINK] {
            script.ip(&pod.name, format!("link set {device} up"));
        }
        match pod.style {
            Style::Routed => routed(script, node, &interface, &pod.name, site, host),
            Style::Bridged => bridged(script, node, &interface, &pod.name, site, host),
        }
    }
}

pub(super) fn address(site: Site, family: Family, host: u16, bits: u8, interface: &str) -> String {
    let text = format!("address add {}/{bits} dev {interface}", site.address(family, host));
    match family {
        Family::V4 => text,
        Family::V6 => text + " nodad",
    }
}

/// Settings that must stand before a namespace gets its first interface.
fn at_birth(forwards: bool) -> Vec<(String, String)> {
    // Addresses are unique by construction, and waiting for their detection costs seconds.
    let mut settings = vec![("net/ipv6/conf/all/accept_dad", "0"), ("net/ipv6/conf/default/accept_dad", "0")];
    if forwards {
        settings.extend([("net/ipv4/ip_forward", "1"), ("net/ipv6/conf/all/forwarding", "1")]);
    }
    settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn routed(script: &mut Script, node: &str, interface: &str, pod: &str, site: Site, host: u16) {
    script.ip(node, format!("address add {GATEWAY_V6}/64 dev {interface} nodad"));
    script.ip(pod, format!("route add {GATEWAY_V4} dev {UPLINK} scope link"));
    for family in Family::ALL {
        let bits = family.host_bits();
        script.ip(pod, address(site, family, host, bits, UPLINK));
        script.ip(node, format!("route add {}/{bits} dev {interface}", site.address(family, host)));
        let gateway = match family {
            Family::V4 => GATEWAY_V4,
            Family::V6 => GATEWAY_V6,
        };
        script.ip(pod, format!("route add default via {gateway} dev {UPLINK}"));
    }
    script.setting(node, format!("net/ipv4/conf/{interface}/proxy_arp"), "1");
    script.setting(node, format!("net/ipv4/neigh/{interface}/proxy_delay"), "0");
}

fn bridged(script: &mut Script, node: &str, interface: &str, pod: &str, site: Site, host: u16) {
    script.ip(node, format!("link set {interface} master {BRIDGE}"));
    for family in Family::ALL {
        script.ip(pod, address(site, family, host, family.network_bits(), UPLINK));
        script.ip(pod, format!("route add default via {}", site.address(family, 1)));
    }
}

fn bridge(script: &mut Script, side: Side, mtu: Option<u32>) {
    let node = side.name();
    script.ip(node, format!("link add {BRIDGE} type bridge forward_delay 0"));
    if let Some(mtu) = mtu {
        script.ip(node, format!("link set {BRIDGE} mtu {mtu}"));
    }
    script.ip(node, format!("link set {BRIDGE} up"));
    for family in Family::ALL {
        script.ip(node, address(side.pods(Style::Bridged), family, 1, family.network_bits(), BRIDGE));
    }
}
