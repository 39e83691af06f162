//! Tells the kernel side how to treat each observed interface: where it counts, its part, and its limits.

mod limits;

use super::load::{Datapath, DatapathError};
use probe_common::interface::{InterfaceConfig, role};
use probe_common::oversize::TunnelLimit;
use probe_common::record::direction::{EGRESS, INGRESS};
use probe_core::model::interface::Role;
use probe_core::model::topology::Topology;
use std::collections::{BTreeMap, BTreeSet};

/// What the kernel side was told last. Limits follow every change of links and routes.
#[derive(Debug)]
pub struct Interfaces {
    configured: BTreeMap<u32, InterfaceConfig>,
    tunnel_limits: BTreeMap<u32, u32>,
    netns: BTreeSet<u32>,
    free_slots: BTreeSet<u32>,
    /// Packets at interfaces of pods that are gone.
    packets_of_gone_pods: u64,
}

impl Interfaces {
    /// Nothing is configured yet; `slots` interfaces can be.
    pub fn new(slots: u32) -> Self {
        Self {
            configured: BTreeMap::new(),
            tunnel_limits: BTreeMap::new(),
            netns: BTreeSet::new(),
            free_slots: (0..slots).collect(),
            packets_of_gone_pods: 0,
        }
    }

    /// Brings the kernel side up to a snapshot, of whose interfaces `observed` are. Returns those that found no place.
    ///
    /// # Errors
    /// A map cannot be written.
    pub fn update(
        &mut self,
        datapath: &mut Datapath,
        topology: &Topology,
        observed: &BTreeSet<u32>,
    ) -> Result<Vec<u32>, DatapathError> {
        let mut changed = false;
        let gone: Vec<u32> =
            self.configured.keys().copied().filter(|known| !observed.contains(known)).collect();
        for ifindex in gone {
            self.forget(datapath, ifindex)?;
        }
        let mut without_place = Vec::new();
        for interface in observed.iter().filter_map(|ifindex| topology.interface(*ifindex)) {
            let known = self.configured.get(&interface.ifindex).copied();
            let Some(slot) = known.map(|config| config.slot).or_else(|| self.free_slots.pop_first()) else {
                without_place.push(interface.ifindex);
                continue;
            };
            if known.is_none() {
                datapath.counters_mut().reset(slot)?;
            }
            let config = InterfaceConfig {
                ifindex: interface.ifindex,
                slot,
                role: role_number(interface.role),
                limit: limits::of(topology, interface),
                peer_limit: limits::of_peer(interface),
            };
            if known != Some(config) {
                datapath.set_interface(config)?;
                self.configured.insert(interface.ifindex, config);
                changed = true;
            }
        }
        changed |= self.update_tunnels(datapath, topology)?;
        self.update_netns(datapath, topology)?;
        if changed {
            datapath.bump_generation()?;
        }
        Ok(without_place)
    }

    /// Packets (segments) at interfaces of pods so far, both directions.
    ///
    /// # Errors
    /// The counters cannot be read.
    pub fn packets_of_pods(&self, datapath: &Datapath) -> Result<u64, DatapathError> {
        let mut packets = self.packets_of_gone_pods;
        for config in self.configured.values().filter(|config| config.role == role::POD) {
            packets += packets_at(datapath, config.slot)?;
        }
        Ok(packets)
    }

    fn forget(&mut self, datapath: &mut Datapath, ifindex: u32) -> Result<(), DatapathError> {
        let Some(config) = self.configured.remove(&ifindex) else { return Ok(()) };
        datapath.clear_interface(ifindex)?;
        if config.role == role::POD {
            self.packets_of_gone_pods += packets_at(datapath, config.slot)?;
        }
        self.free_slots.insert(config.slot);
        Ok(())
    }

    fn update_tunnels(
        &mut self,
        datapath: &mut Datapath,
        topology: &Topology,
    ) -> Result<bool, DatapathError> {
        let limits: BTreeMap<u32, u32> = topology
            .interfaces
            .values()
            .filter(|interface| interface.tunnel.is_some())
            .map(|interface| (interface.ifindex, topology.device_limit(interface)))
            .collect();
        if limits == self.tunnel_limits {
            return Ok(false);
        }
        for (&ifindex, &limit) in &limits {
            datapath.set_tunnel_limit(ifindex, Some(TunnelLimit { limit }))?;
        }
        for ifindex in self.tunnel_limits.keys().filter(|known| !limits.contains_key(known)) {
            datapath.set_tunnel_limit(*ifindex, None)?;
        }
        self.tunnel_limits = limits;
        Ok(true)
    }

    fn update_netns(&mut self, datapath: &mut Datapath, topology: &Topology) -> Result<(), DatapathError> {
        let inodes: BTreeSet<u32> = topology.pods.iter().filter_map(|pod| pod.netns_inode).collect();
        for inode in inodes.difference(&self.netns) {
            datapath.set_netns(*inode)?;
        }
        for inode in self.netns.difference(&inodes) {
            datapath.clear_netns(*inode)?;
        }
        self.netns = inodes;
        Ok(())
    }
}

fn packets_at(datapath: &Datapath, slot: u32) -> Result<u64, DatapathError> {
    let counters = datapath.counters();
    Ok(counters.interface(slot, INGRESS)?.packets() + counters.interface(slot, EGRESS)?.packets())
}

fn role_number(role: Role) -> u32 {
    match role {
        Role::Pod => role::POD,
        Role::Overlay => role::OVERLAY,
        Role::Bridge => role::BRIDGE,
        Role::Port => role::PORT,
        Role::Uplink => role::UPLINK,
        Role::Link => role::LINK,
    }
}
