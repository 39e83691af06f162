//! Links, routes and pods at one moment.
use super::interface::Interface;
use super::mirror::{Mirror, mirror};
use super::packet::Family;
use super::pod::Pod;
use super::settings::NetnsSettings;
use super::veil::{Address, InterfaceName, Network, Veil};
use probe_core::model::{interface, route, rule, topology, vswitch};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mirror! {
    /// Without counters: they are recorded apart, since they change all the time.
    Topology = topology::Topology {
        netns_inode: u32,
        interfaces: Interfaces,
        routes: Vec<Route>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rules: Vec<Rule>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        vswitches: Vec<Vswitch>,
        pods: Vec<Pod>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        departed: Vec<Pod>,
        #[serde(default, skip_serializing_if = "NetnsSettings::is_empty")]
        settings: NetnsSettings,
    }
}

/// A list: serde takes no numbers for keys inside of a line that is told apart by its type.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Interfaces(Vec<Interface>);

impl Mirror for Interfaces {
    type Model = BTreeMap<u32, interface::Interface>;

    fn of(model: &Self::Model, veil: &mut Veil) -> Self {
        Self(model.values().map(|interface| Interface::of(interface, veil)).collect())
    }

    fn into_model(self) -> Self::Model {
        let interfaces = self.0.into_iter().map(Interface::into_model);
        interfaces.map(|interface| (interface.ifindex, interface)).collect()
    }
}

mirror! {
    Route = route::Route {
        family: Family,
        table: u32,
        destination: Option<Network>,
        #[serde(default)]
        priority: u32,
        oif: Option<u32>,
        gateway: Option<Address>,
        mtu: Option<u32>,
        mtu_locked: bool,
        advmss: Option<u32>,
        unicast: bool,
    }
}

mirror! {
    Rule = rule::Rule {
        family: Family,
        priority: u32,
        table: Option<u32>,
        from: Option<Network>,
        came_by: Option<InterfaceName>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Network>,
        is_special: bool,
        suppressed: Option<u8>,
    }
}

mirror! {
    Vswitch = vswitch::Vswitch {
        ifindex: u32,
        ports: Vec<u32>,
        flows: Option<Vec<SwitchFlow>>,
    }
}

mirror! {
    SwitchFlow = vswitch::SwitchFlow {
        came_by: Option<u32>,
        destination: Option<Network>,
        leaves_by: Vec<u32>,
    }
}
