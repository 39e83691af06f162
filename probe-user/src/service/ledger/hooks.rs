//! What hooks count, added up over the lives of interfaces.
use super::{MAX_INTERFACES, Owner, growth};
use crate::datapath::interfaces::{Counted, CountedWay};
use probe_core::model::finding::Direction;
use probe_core::model::interface::Role;
use probe_core::model::size_histogram::SizeBucket;
use std::collections::{BTreeMap, BTreeSet};

/// An interface and whose it is.
#[derive(Clone, Debug)]
pub(super) struct Interfaced {
    pub owner: Owner,
    pub role: Role,
    pub name: String,
}

impl Interfaced {
    /// How much is known of whose it is: a pod of a name, a pod, or nobody.
    fn rank(&self) -> u8 {
        match self.role {
            Role::Pod if self.owner.pod != self.name => 2,
            Role::Pod => 1,
            Role::Overlay | Role::Bridge | Role::Port | Role::Uplink | Role::Link => 0,
        }
    }
}

/// Packets by size, and their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    pub buckets: Vec<SizeBucket>,
    pub bytes: u64,
}

/// A place where packets pass: for the series that are by interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub owner: Owner,
    pub role: Role,
    pub direction: &'static str,
    /// Empty at pods, whose interfaces come and go with them.
    pub interface: String,
}

#[derive(Debug, Default)]
pub(super) struct Hooks {
    last: BTreeMap<u32, (Interfaced, Counted)>,
    /// Interfaces that have series of their own.
    named: BTreeSet<String>,
    pub sizes: BTreeMap<(Owner, Direction), Sizes>,
    pub fragments: BTreeMap<Place, u64>,
    pub packets: BTreeMap<Place, u64>,
    pub candidates: BTreeMap<(Role, &'static str), u64>,
}

impl Hooks {
    /// The last counts of an interface that went. One that was never read before is counted as one without a place.
    pub fn depart(&mut self, last: Counted) {
        let (of, before) = self.last.remove(&last.ifindex).unwrap_or_else(|| {
            let of = Interfaced { owner: Owner::overflow(), role: Role::Pod, name: String::new() };
            (of, Counted::default())
        });
        self.add(&of, &before, &last);
    }

    /// The counts of an interface so far.
    pub fn read(&mut self, of: Interfaced, counted: Counted) {
        match self.last.remove(&counted.ifindex) {
            // While a pod is taken down it loses its name, and its interface the other end, before the interface goes: what
            // passed since the last reading was the pod's.
            Some((known, before)) if known.rank() > of.rank() => self.add(&known, &before, &counted),
            Some((_, before)) => self.add(&of, &before, &counted),
            None => self.add(&of, &Counted::default(), &counted),
        }
        self.last.insert(counted.ifindex, (of, counted));
    }

    /// Drops the series of pods.
    pub fn forget(&mut self, gone: &BTreeSet<Owner>) {
        self.sizes.retain(|(owner, _), _| !gone.contains(owner));
        self.fragments.retain(|place, _| !gone.contains(&place.owner));
    }

    fn add(&mut self, of: &Interfaced, before: &Counted, now: &Counted) {
        let directions = match of.role {
            Role::Pod => ["from_pod", "to_pod"],
            Role::Overlay | Role::Bridge | Role::Port | Role::Uplink | Role::Link => ["ingress", "egress"],
        };
        let interface = self.interface_label(of);
        let ways = [(&before.ingress, &now.ingress), (&before.egress, &now.egress)];
        for (direction, (before, now)) in directions.into_iter().zip(ways) {
            let place =
                Place { owner: of.owner.clone(), role: of.role, direction, interface: interface.clone() };
            *self.candidates.entry((of.role, direction)).or_default() +=
                growth(before.candidates, now.candidates);
            let fragments = growth(before.fragments, now.fragments);
            if fragments > 0 || of.role != Role::Pod {
                *self.fragments.entry(place.clone()).or_default() += fragments;
            }
            if of.role != Role::Pod {
                *self.packets.entry(place).or_default() += growth(before.packets, now.packets);
            }
        }
        if of.role == Role::Pod {
            self.add_sizes(&of.owner, Direction::FromPod, &before.ingress, &now.ingress);
            self.add_sizes(&of.owner, Direction::ToPod, &before.egress, &now.egress);
        }
    }

    fn add_sizes(&mut self, owner: &Owner, direction: Direction, before: &CountedWay, now: &CountedWay) {
        let sizes = self.sizes.entry((owner.clone(), direction)).or_default();
        if sizes.buckets.is_empty() {
            sizes.buckets = now.buckets.iter().map(|bucket| SizeBucket { packets: 0, ..*bucket }).collect();
        }
        for (index, bucket) in now.buckets.iter().enumerate() {
            let before = before.buckets.get(index).map_or(0, |bucket| bucket.packets);
            if let Some(sum) = sizes.buckets.get_mut(index) {
                sum.packets += growth(before, bucket.packets);
            }
        }
        sizes.bytes += growth(before.bytes, now.bytes);
    }

    fn interface_label(&mut self, of: &Interfaced) -> String {
        if of.role == Role::Pod {
            return String::new();
        }
        if self.named.len() < MAX_INTERFACES || self.named.contains(&of.name) {
            self.named.insert(of.name.clone());
            return of.name.clone();
        }
        "overflow".to_owned()
    }
}
