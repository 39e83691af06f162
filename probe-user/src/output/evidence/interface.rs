//! Interfaces, without their counters.
use super::mirror::{Mirror, mirror, mirror_names};
use super::veil::{Address, InterfaceName, Veil};
use probe_core::model::interface::{self, DeviceCounters};
use serde::{Deserialize, Serialize};

mirror_names! {
    Role = interface::Role {
        Pod,
        Overlay,
        Bridge,
        Port,
        Uplink,
        Link,
    }
}

mirror_names! {
    OuterDf = interface::OuterDf {
        Unset,
        Set,
        Inherit,
    }
}

mirror! {
    Interface = interface::Interface {
        ifindex: u32,
        name: InterfaceName,
        kind: String,
        mtu: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ipv6_mtu: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_mtu: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_mtu: Option<u32>,
        up: bool,
        ethernet: bool,
        role: Role,
        master: Option<u32>,
        master_kind: Option<String>,
        lower: Option<u32>,
        peer: Option<Peer>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        table: Option<u32>,
        tunnel: Option<Tunnel>,
        addresses: Vec<(Address, u8)>,
        #[serde(skip)]
        counters: Elsewhere,
    }
}

mirror! {
    Peer = interface::Peer {
        ifindex: u32,
        nsid: Option<i32>,
        name: Option<InterfaceName>,
        mtu: Option<u32>,
        addresses: Vec<Address>,
        #[serde(skip)]
        counters: Option<Elsewhere>,
    }
}

mirror! {
    Tunnel = interface::Tunnel {
        overhead: Option<u32>,
        underlay: Option<u32>,
        df: OuterDf,
        port: Option<u16>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        padding: Option<u32>,
        local: Option<Address>,
        #[serde(default)]
        metadata: bool,
        remotes: Vec<Address>,
    }
}

/// Counters are recorded in a line's own field.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Elsewhere;

impl Mirror for Elsewhere {
    type Model = DeviceCounters;

    fn of(_model: &DeviceCounters, _veil: &mut Veil) -> Self {
        Self
    }

    fn into_model(self) -> DeviceCounters {
        DeviceCounters::default()
    }
}
