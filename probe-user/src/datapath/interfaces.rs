//! Tells the kernel side how to treat each observed interface: where it counts, its part, and its limits.

use super::load::{Datapath, DatapathError};
use probe_common::interface::{InterfaceConfig, InterfaceStats, NO_LIMIT, role};
use probe_common::oversize::TunnelLimit;
use probe_common::record::direction::{EGRESS, INGRESS};
use probe_common::size_bucket;
use probe_core::diagnose::HookCounters;
use probe_core::model::finding::Direction;
use probe_core::model::interface::{Interface, Role};
use probe_core::model::limits::LimitTable;
use probe_core::model::route::Route;
use probe_core::model::size_histogram::{SizeBucket, SizeHistogram};
use probe_core::model::topology::Topology;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Interfaces that went are remembered so far back, for those who count on; whoever looks every second misses none.
const DEPARTED: usize = 1024;

/// What the hooks of an interface counted since it was configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// The interface.
    pub ifindex: u32,
    /// What it received.
    pub ingress: CountedWay,
    /// What it sent.
    pub egress: CountedWay,
}

/// What one hook counted. Segmentation-offload packets count as the segments that they become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CountedWay {
    /// By size; the edges are the same for all.
    pub buckets: Vec<SizeBucket>,
    /// Bytes at layer 3.
    pub bytes: u64,
    /// Packets (segments).
    pub packets: u64,
    /// Packets as the device counts them: a segmentation-offload packet is one.
    pub device_packets: u64,
    /// Fragments, first and others.
    pub fragments: u64,
    /// Packets (segments) above the interface's smallest limit.
    pub candidates: u64,
    /// Candidates whose own egress was asked and is smaller.
    pub oversize: u64,
}

impl CountedWay {
    fn of(stats: &InterfaceStats) -> Self {
        Self {
            buckets: buckets(stats),
            bytes: stats.bytes,
            packets: stats.packets(),
            device_packets: stats.skbs,
            fragments: stats.fragments_first + stats.fragments_more,
            candidates: stats.candidates,
            oversize: stats.oversize,
        }
    }
}

/// What the kernel side was told last. Limits follow every change of links and routes.
#[derive(Debug)]
pub struct Interfaces {
    configured: BTreeMap<u32, InterfaceConfig>,
    tunnel_limits: BTreeMap<u32, u32>,
    netns: BTreeSet<u32>,
    /// What the kernel side's cached verdicts rest on.
    ways: Ways,
    free_slots: BTreeSet<u32>,
    /// Packets at interfaces of pods that are gone.
    packets_of_gone_pods: u64,
    departed: VecDeque<Counted>,
}

/// Routes, and of each interface whether it is up, its MTU and its other end's.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ways {
    routes: Vec<Route>,
    links: BTreeMap<u32, (bool, u32, Option<u32>)>,
}

impl Ways {
    fn of(topology: &Topology) -> Self {
        let link = |interface: &Interface| {
            (interface.up, interface.mtu, interface.peer.as_ref().and_then(|peer| peer.mtu))
        };
        let links = topology.interfaces.iter().map(|(ifindex, interface)| (*ifindex, link(interface)));
        Self { routes: topology.routes.clone(), links: links.collect() }
    }
}

impl Interfaces {
    /// Nothing is configured yet; `slots` interfaces can be.
    pub fn new(slots: u32) -> Self {
        Self {
            configured: BTreeMap::new(),
            tunnel_limits: BTreeMap::new(),
            netns: BTreeSet::new(),
            ways: Ways::default(),
            free_slots: (0..slots).collect(),
            packets_of_gone_pods: 0,
            departed: VecDeque::new(),
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
        let ways = Ways::of(topology);
        let gone: Vec<u32> =
            self.configured.keys().copied().filter(|known| !observed.contains(known)).collect();
        for ifindex in gone {
            self.forget(datapath, ifindex)?;
        }
        let limits = LimitTable::new(topology);
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
            let config = config(topology, interface, slot, &limits);
            if known != Some(config) {
                datapath.set_interface(config)?;
                self.configured.insert(interface.ifindex, config);
            }
        }
        self.update_tunnels(datapath, topology)?;
        self.update_netns(datapath, topology)?;
        // After the limits: a verdict that is cached from here on rests on the new ones.
        if ways != self.ways {
            datapath.bump_generation()?;
            self.ways = ways;
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

    /// What the hooks of pods' interfaces counted; `is_attached` tells whether there are any, `None` that it is not yet
    /// decided.
    ///
    /// # Errors
    /// The counters cannot be read.
    pub fn hook_counters(
        &self,
        datapath: &Datapath,
        is_attached: impl Fn(u32) -> Option<bool>,
    ) -> Result<Vec<HookCounters>, DatapathError> {
        let mut hooks = Vec::new();
        for config in self.configured.values().filter(|config| config.role == role::POD) {
            let Some(attached) = is_attached(config.ifindex) else { continue };
            let counted = |direction| datapath.counters().interface(config.slot, direction);
            let [ingress, egress] = if attached {
                [Some(counted(INGRESS)?.skbs), Some(counted(EGRESS)?.skbs)]
            } else {
                [None, None]
            };
            hooks.push(HookCounters {
                ifindex: config.ifindex,
                ingress,
                egress,
                ingress_before: None,
                egress_before: None,
            });
        }
        Ok(hooks)
    }

    /// Packet sizes at the interfaces of pods so far, each pod in both directions; in the order of ifindexes.
    ///
    /// # Errors
    /// The counters cannot be read.
    pub fn size_histograms(
        &self,
        datapath: &Datapath,
        topology: &Topology,
    ) -> Result<Vec<SizeHistogram>, DatapathError> {
        let mut histograms = Vec::new();
        for config in self.configured.values().filter(|config| config.role == role::POD) {
            let Some(pod) = topology.pod_behind(config.ifindex) else { continue };
            let Some(interface) = topology.interface(config.ifindex) else { continue };
            for (hook, direction) in [(INGRESS, Direction::FromPod), (EGRESS, Direction::ToPod)] {
                let stats = datapath.counters().interface(config.slot, hook)?;
                histograms.push(SizeHistogram {
                    pod: pod.clone(),
                    interface: interface.name.clone(),
                    direction,
                    buckets: buckets(&stats),
                    packets: stats.packets(),
                    bytes: stats.bytes,
                    largest: u32::try_from(stats.largest).unwrap_or(u32::MAX),
                    above_pod_mtu: stats.above_pod_mtu,
                });
            }
        }
        Ok(histograms)
    }

    /// What the hooks of all interfaces counted so far.
    ///
    /// # Errors
    /// The counters cannot be read.
    pub fn counted(&self, datapath: &Datapath) -> Result<Vec<Counted>, DatapathError> {
        self.configured.values().map(|config| counted(datapath, config)).collect()
    }

    /// The last counts of interfaces that went since the last call, the oldest first.
    pub fn take_departed(&mut self) -> Vec<Counted> {
        self.departed.drain(..).collect()
    }

    fn forget(&mut self, datapath: &mut Datapath, ifindex: u32) -> Result<(), DatapathError> {
        let Some(config) = self.configured.remove(&ifindex) else { return Ok(()) };
        datapath.clear_interface(ifindex)?;
        let last = counted(datapath, &config)?;
        if config.role == role::POD {
            self.packets_of_gone_pods += last.ingress.packets + last.egress.packets;
        }
        if self.departed.len() == DEPARTED {
            self.departed.pop_front();
        }
        self.departed.push_back(last);
        self.free_slots.insert(config.slot);
        Ok(())
    }

    fn update_tunnels(&mut self, datapath: &mut Datapath, topology: &Topology) -> Result<(), DatapathError> {
        let limits: BTreeMap<u32, u32> = topology
            .interfaces
            .values()
            .filter(|interface| interface.tunnel.is_some())
            .map(|interface| (interface.ifindex, topology.device_limit(interface)))
            .collect();
        if limits == self.tunnel_limits {
            return Ok(());
        }
        for (&ifindex, &limit) in &limits {
            datapath.set_tunnel_limit(ifindex, Some(TunnelLimit { limit }))?;
        }
        for ifindex in self.tunnel_limits.keys().filter(|known| !limits.contains_key(known)) {
            datapath.set_tunnel_limit(*ifindex, None)?;
        }
        self.tunnel_limits = limits;
        Ok(())
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

fn config(topology: &Topology, interface: &Interface, slot: u32, limits: &LimitTable<'_>) -> InterfaceConfig {
    let found = limits.of(interface.ifindex);
    let pod_mtu = topology.pod_behind(interface.ifindex).and_then(|pod| pod.pod_mtu).unwrap_or(NO_LIMIT);
    let mut limit = [NO_LIMIT; 2];
    // What is above the pod's own MTU is counted among the candidates.
    limit[usize::from(INGRESS)] = found.ingress.unwrap_or(NO_LIMIT).min(pod_mtu);
    limit[usize::from(EGRESS)] = found.egress.unwrap_or(NO_LIMIT).min(pod_mtu);
    InterfaceConfig {
        ifindex: interface.ifindex,
        slot,
        role: role_number(interface.role),
        limit,
        peer_limit: found.peer.unwrap_or(NO_LIMIT),
        pod_mtu,
        watched_until: 0,
    }
}

fn buckets(stats: &InterfaceStats) -> Vec<SizeBucket> {
    let counts = stats.buckets.iter().enumerate();
    counts.map(|(bucket, &packets)| SizeBucket { upper: size_bucket::upper_bound(bucket), packets }).collect()
}

fn counted(datapath: &Datapath, config: &InterfaceConfig) -> Result<Counted, DatapathError> {
    let way =
        |direction| datapath.counters().interface(config.slot, direction).map(|stats| CountedWay::of(&stats));
    Ok(Counted { ifindex: config.ifindex, ingress: way(INGRESS)?, egress: way(EGRESS)? })
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
