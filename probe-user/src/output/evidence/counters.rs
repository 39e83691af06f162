//! Counters of devices, hooks and network namespaces, and translated connections.
use super::mirror::{Mirror as _, mirror};
use super::packet::Flow;
use super::veil::{InterfaceName, Veil};
use probe_core::diagnose;
use probe_core::model::{interface, nat};
use serde::{Deserialize, Serialize};

mirror! {
    /// What does not move is left out.
    #[derive(PartialEq, Eq)]
    DeviceCounters = interface::DeviceCounters {
        #[serde(default, skip_serializing_if = "is_zero")]
        rx_packets: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        tx_packets: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        rx_dropped: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        tx_dropped: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        rx_errors: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        rx_length_errors: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        rx_over_errors: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        tx_errors: u64,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The counters of an interface and of its other end.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CountersOf {
    pub ifindex: u32,
    pub device: DeviceCounters,
    pub peer: Option<DeviceCounters>,
}

mirror! {
    HookCounters = diagnose::HookCounters {
        ifindex: u32,
        ingress: Option<u64>,
        egress: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ingress_before: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        egress_before: Option<u64>,
    }
}

mirror! {
    NatEntry = nat::NatEntry {
        original: Flow,
        reply: Flow,
    }
}

/// The name of a counter of a network namespace; those of devices (`Dev:eth0:rx_dropped`) have their name in it.
pub(super) fn counter_name(name: &str, veil: &mut Veil) -> String {
    let device = name.strip_prefix(DEVICE).and_then(|rest| rest.rsplit_once(':'));
    match device {
        Some((device, counter)) => {
            let device = InterfaceName::of(&device.to_owned(), veil).into_model();
            format!("{DEVICE}{device}:{counter}")
        }
        None => name.to_owned(),
    }
}

const DEVICE: &str = "Dev:";
