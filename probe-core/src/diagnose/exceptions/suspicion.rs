//! Exceptions that nothing explains.
use super::{Exceptions, Known};
use crate::diagnose::coverage::Coverages;
use crate::model::finding::Direction;
use crate::model::flow::Family;
use crate::model::interface::Role;
use crate::model::pod::Pod;
use crate::model::settings::Discovery;
use crate::model::topology::Topology;
use crate::model::{SECOND, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What every IPv4 host must be able to receive (RFC 791 section 3.1): no link of today takes less.
const SMALLEST_REAL: u32 = 576;
/// The record of an error comes in so long after the exception that it makes, at most.
const RECORD_COMES: Time = 2 * SECOND;
/// What was learned so soon after the observation began may stem from an error before.
const SETTLES: Time = 5 * SECOND;

/// What is odd about an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Oddity {
    /// No real path has this size: it is locked at the smallest that the kernel takes, or below 576.
    Absurd,
    /// It was learned while the errors for this sender were observed, and none was seen; no joint on the way is so small.
    Unexplained,
}

/// Exceptions of one namespace and size that nothing explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// Whose routing; `None` is the node's.
    pub pod: Option<Pod>,
    /// Inode of its network namespace.
    pub netns: u32,
    /// Family.
    pub family: Family,
    /// Path MTU in bytes.
    pub mtu: u32,
    /// The kernel sends without DF because somebody announced less.
    pub locked: bool,
    /// What is odd.
    pub oddity: Oddity,
    /// For which destinations.
    pub destinations: Vec<IpAddr>,
    /// Seconds since the oldest was learned.
    pub age: u32,
    /// The device that packets leave by, in that namespace.
    pub interface: Option<String>,
    /// Tunnels whose outer packets go there.
    pub tunnels: Vec<String>,
    /// Sockets or tunnels use it.
    pub used: bool,
    /// The smallest limit in bytes that is known on the way, where one is.
    pub known_limit: Option<u32>,
}

/// What suspicions rest on beside the exceptions.
pub(in crate::diagnose) struct Circumstances<'a> {
    pub topology: &'a Topology,
    pub coverages: &'a Coverages,
    /// Hooks see packets.
    pub tc: bool,
}

impl Exceptions {
    /// Exceptions that nothing explains, together where namespace, family and size are the same.
    pub fn suspicions(&self, now: Time, circumstances: &Circumstances<'_>) -> Vec<Suspicion> {
        let topology = circumstances.topology;
        let limits = limits(topology);
        let mut found: BTreeMap<(u32, Family, u32, Oddity), Suspicion> = BTreeMap::new();
        for (&netns, known) in &self.namespaces {
            let pod = topology.pod_in_netns(netns);
            if pod.is_none() && netns != topology.netns_inode {
                continue;
            }
            for known in known.iter().filter(|known| now >= known.learned.1 + RECORD_COMES) {
                let exception = &known.exception;
                if limits.contains(&exception.mtu) || self.is_announced(known) {
                    continue;
                }
                let oddity = if is_absurd(topology, pod, known) {
                    Oddity::Absurd
                } else if self.is_unexplained(known, pod, circumstances) {
                    Oddity::Unexplained
                } else {
                    continue;
                };
                let key = (netns, exception.family(), exception.mtu, oddity);
                let suspicion = found.entry(key).or_insert_with(|| Suspicion {
                    pod: pod.cloned(),
                    netns,
                    family: exception.family(),
                    mtu: exception.mtu,
                    locked: false,
                    oddity,
                    destinations: Vec::new(),
                    age: 0,
                    interface: exception.interface.clone(),
                    tunnels: Vec::new(),
                    used: false,
                    known_limit: None,
                });
                suspicion.add(topology, pod, known);
            }
        }
        found.into_values().collect()
    }

    /// An error was seen that makes this exception, or one of this size when it was learned (NAT may hide for whom).
    fn is_announced(&self, known: &Known) -> bool {
        let exception = &known.exception;
        self.errors.iter().any(|error| {
            let makes = error.mtu == exception.mtu || exception.locked && error.mtu < exception.mtu;
            let in_time =
                error.time + RECORD_COMES >= known.learned.0 && error.time <= known.learned.1 + RECORD_COMES;
            makes && (error.destination == exception.destination || in_time)
        })
    }

    /// It was learned before our eyes, yet no error was seen, and no joint is so small.
    fn is_unexplained(&self, known: &Known, pod: Option<&Pod>, circumstances: &Circumstances<'_>) -> bool {
        let topology = circumstances.topology;
        let after = |time: Time| known.learned.0 >= time + SETTLES;
        let watched =
            self.began.is_some_and(after) && (self.doubtful_until == 0 || after(self.doubtful_until));
        // Errors for what runs on the node itself come in where its exceptions cannot be told from those of its tunnels.
        let Some(pod) = pod else { return false };
        let Some(end) = pod.host_ifindex.and_then(|ifindex| topology.interface(ifindex)) else {
            return false;
        };
        // Devices inside the pod, a tunnel of its own perhaps, have limits of their own.
        let by_our_link = end.peer.as_ref().map(|peer| peer.ifindex) == known.exception.ifindex;
        let observed =
            circumstances.tc && circumstances.coverages.is_observable(pod.host_ifindex, Direction::ToPod);
        let smaller = limit_on_the_way(topology, pod, known.exception.destination)
            .is_some_and(|limit| known.exception.mtu < limit);
        watched && by_our_link && observed && smaller
    }
}

impl Suspicion {
    fn add(&mut self, topology: &Topology, pod: Option<&Pod>, known: &Known) {
        let exception = &known.exception;
        let settings = topology.settings.get(&self.netns);
        self.locked |= exception.locked;
        self.age = self.age.max(exception.age(settings));
        if !self.destinations.contains(&exception.destination) {
            self.destinations.push(exception.destination);
        }
        if pod.is_none() {
            let carried = topology.with_role(Role::Overlay).filter(|interface| {
                let tunnel = interface.tunnel.as_ref();
                tunnel.is_some_and(|tunnel| tunnel.remotes.contains(&exception.destination))
            });
            let new: Vec<String> = carried
                .map(|interface| interface.name.clone())
                .filter(|name| !self.tunnels.contains(name))
                .collect();
            self.tunnels.extend(new);
        }
        self.used |= known.used || !self.tunnels.is_empty();
        let limit = pod.and_then(|pod| limit_on_the_way(topology, pod, exception.destination));
        self.known_limit = match (self.known_limit, limit) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

fn is_absurd(topology: &Topology, pod: Option<&Pod>, known: &Known) -> bool {
    let exception = &known.exception;
    let settings = topology.settings_of(pod);
    // With this setting any error locks the route, whatever it announces.
    let pinned = settings.and_then(|settings| settings.discovery()) == Some(Discovery::PinsToMinimum);
    exception.family() == Family::Ipv4
        && (exception.locked && !pinned || !exception.locked && exception.mtu < SMALLEST_REAL)
}

/// The sizes of all joints that are known: whoever learned one of them learned it from there.
fn limits(topology: &Topology) -> BTreeSet<u32> {
    let interfaces = topology.interfaces.values().flat_map(|interface| {
        let peer = interface.peer.as_ref().and_then(|peer| peer.mtu);
        [Some(interface.mtu), Some(topology.device_limit(interface)), peer].into_iter().flatten()
    });
    let routes = topology.routes.iter().filter_map(|route| route.mtu);
    let pods = topology.pods.iter().filter_map(|pod| pod.pod_mtu);
    interfaces.chain(routes).chain(pods).collect()
}

/// The smallest joint between a pod and a destination, as far as this node knows the way.
fn limit_on_the_way(topology: &Topology, pod: &Pod, destination: IpAddr) -> Option<u32> {
    let end = pod.host_ifindex.and_then(|ifindex| topology.interface(ifindex)).map(|end| end.mtu);
    let route = topology.routes_to(destination).into_iter().find_map(|route| {
        let device = topology.device_limit(topology.interface(route.oif?)?);
        Some(route.mtu.map_or(device, |mtu| mtu.min(device)))
    });
    [pod.pod_mtu, end, route].into_iter().flatten().min()
}
