//! Counters of a topology's interfaces, apart from the topology and only where they changed.
use super::counters::{CountersOf, DeviceCounters};
use super::mirror::Mirror as _;
use super::veil::Veil;
use probe_core::model::interface::{self, Interface};
use probe_core::model::topology::Topology;
use std::collections::BTreeMap;

/// Counters of an interface and of its other end.
type Pair = (interface::DeviceCounters, Option<interface::DeviceCounters>);

/// The counters as of the last topology. Writer and reader do the same with it.
#[derive(Debug, Default)]
pub(super) struct KnownCounters {
    by_ifindex: BTreeMap<u32, Pair>,
}

impl KnownCounters {
    /// What changed since the last call.
    pub fn changes(&mut self, topology: &Topology) -> Vec<CountersOf> {
        self.forget_all_but(topology);
        let mut changes = Vec::new();
        for interface in topology.interfaces.values() {
            let now = pair(interface);
            if self.by_ifindex.insert(interface.ifindex, now) != Some(now) {
                changes.push(wire(interface.ifindex, &now));
            }
        }
        changes
    }

    /// Puts the counters back that [`Self::changes`] and [`without`] took apart.
    pub fn restore(&mut self, topology: &mut Topology, changes: Vec<CountersOf>) {
        self.forget_all_but(topology);
        for change in changes {
            let now = (change.device.into_model(), change.peer.into_model());
            self.by_ifindex.insert(change.ifindex, now);
        }
        for interface in topology.interfaces.values_mut() {
            let Some(&(device, peer)) = self.by_ifindex.get(&interface.ifindex) else { continue };
            interface.counters = device;
            if let Some(other_end) = &mut interface.peer {
                other_end.counters = peer;
            }
        }
    }

    fn forget_all_but(&mut self, topology: &Topology) {
        self.by_ifindex.retain(|ifindex, _| topology.interfaces.contains_key(ifindex));
    }
}

/// The topology with all counters at zero.
pub(super) fn without(topology: &Topology) -> Topology {
    let mut still = topology.clone();
    for interface in still.interfaces.values_mut() {
        interface.counters = interface::DeviceCounters::default();
        if let Some(peer) = &mut interface.peer {
            peer.counters = None;
        }
    }
    still
}

fn pair(interface: &Interface) -> Pair {
    (interface.counters, interface.peer.as_ref().and_then(|peer| peer.counters))
}

fn wire(ifindex: u32, (device, peer): &Pair) -> CountersOf {
    // Counters hide nothing from anybody.
    let mut veil = Veil::open();
    CountersOf {
        ifindex,
        device: DeviceCounters::of(device, &mut veil),
        peer: Option::<DeviceCounters>::of(peer, &mut veil),
    }
}
