//! The share of the packets counted by devices that passed our hooks.
use crate::datapath::interfaces::{Counted, CountedWay};
use probe_core::model::interface::{Interface, Role};
use probe_core::model::topology::Topology;
use std::collections::BTreeMap;

/// A share of fewer packets than this would be chance.
const ENOUGH: u64 = 100;

/// Packets that a device counted, and those that the hook saw.
#[derive(Clone, Copy, Debug, Default)]
struct Both {
    device: u64,
    hook: u64,
}

#[derive(Debug, Default)]
pub(super) struct Coverage {
    /// The last reading, by interface; ingress and egress.
    last: BTreeMap<u32, [Both; 2]>,
    /// Since the last share, by role and direction.
    sums: BTreeMap<(Role, &'static str), Both>,
    /// The last shares.
    pub shares: BTreeMap<(Role, &'static str), f64>,
}

impl Coverage {
    pub fn read(
        &mut self,
        topology: &Topology,
        counted: &[Counted],
        is_attached: impl Fn(u32) -> Option<bool>,
    ) {
        let mut read = BTreeMap::new();
        for counts in counted {
            let Some(interface) = topology.interface(counts.ifindex) else { continue };
            // While it is not decided whether it is observed, nothing is missed yet.
            if is_attached(counts.ifindex).is_none() {
                continue;
            }
            let now = both_ways(interface, counts);
            if let Some(before) = self.last.get(&counts.ifindex) {
                for ((direction, before), now) in directions(interface.role).into_iter().zip(before).zip(now)
                {
                    let sum = self.sums.entry((interface.role, direction)).or_default();
                    sum.device += now.device.saturating_sub(before.device);
                    sum.hook += now.hook.saturating_sub(before.hook);
                }
            }
            read.insert(counts.ifindex, now);
        }
        self.last = read;
        for (key, sum) in &mut self.sums {
            if sum.device >= ENOUGH {
                let share = (sum.hook as f64 / sum.device as f64).min(1.0);
                self.shares.insert(*key, share);
                *sum = Both::default();
            }
        }
    }
}

fn directions(role: Role) -> [&'static str; 2] {
    match role {
        Role::Pod => ["from_pod", "to_pod"],
        Role::Overlay | Role::Bridge | Role::Port | Role::Uplink | Role::Link => ["ingress", "egress"],
    }
}

/// What the device counted, for a pod at either end of its pair: `bpf_redirect_peer` counts at the pod's end only.
fn both_ways(interface: &Interface, counts: &Counted) -> [Both; 2] {
    let near = interface.counters;
    let far = interface.peer.as_ref().and_then(|peer| peer.counters).unwrap_or_default();
    let (received, sent) = match interface.role {
        Role::Pod => (near.rx_packets.max(far.tx_packets), near.tx_packets.max(far.rx_packets)),
        Role::Overlay | Role::Bridge | Role::Port | Role::Uplink | Role::Link => {
            (near.rx_packets, near.tx_packets)
        }
    };
    // A network card counts what is on the wire, a virtual device what it is handed.
    let hook = |way: &CountedWay| if interface.kind.is_empty() { way.packets } else { way.device_packets };
    [
        Both { device: received, hook: hook(&counts.ingress) },
        Both { device: sent, hook: hook(&counts.egress) },
    ]
}
