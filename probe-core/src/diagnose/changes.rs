//! What changed between two snapshots.
use crate::model::Time;
use crate::model::change::{Change, ChangeKind};
use crate::model::interface::{Interface, Role};
use crate::model::pod::Pod;
use crate::model::route::Route;
use crate::model::settings::Setting;
use crate::model::topology::Topology;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that MTU depends on and that differs.
pub(super) fn between(now: Time, before: &Topology, after: &Topology) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut add = |what, object: String, from: Option<String>, to: Option<String>| {
        changes.push(Change { time: now, what, object, from, to });
    };
    for (ifindex, old) in &before.interfaces {
        match after.interfaces.get(ifindex).filter(|new| new.name == old.name) {
            None if is_of_interest(old) => {
                add(ChangeKind::LinkRemoved, old.name.clone(), Some(old.mtu.to_string()), None);
            }
            None => {}
            Some(new) => {
                if new.mtu != old.mtu {
                    add(
                        ChangeKind::LinkMtu,
                        old.name.clone(),
                        Some(old.mtu.to_string()),
                        Some(new.mtu.to_string()),
                    );
                }
                let peer = |interface: &Interface| interface.peer.as_ref().and_then(|peer| peer.mtu);
                if let (Some(old_mtu), Some(new_mtu)) = (peer(old), peer(new))
                    && old_mtu != new_mtu
                {
                    let object = object_of_peer(new);
                    add(ChangeKind::LinkMtu, object, Some(old_mtu.to_string()), Some(new_mtu.to_string()));
                }
            }
        }
    }
    for (ifindex, new) in &after.interfaces {
        let known = before.interfaces.get(ifindex).is_some_and(|old| old.name == new.name);
        if !known && is_of_interest(new) {
            add(ChangeKind::LinkAdded, new.name.clone(), None, Some(new.mtu.to_string()));
        }
    }
    // A route without a metric that comes or goes changes no size by itself.
    let (old_routes, new_routes) = (route_mtus(before), route_mtus(after));
    let all: BTreeSet<&String> = old_routes.keys().chain(new_routes.keys()).collect();
    for route in all {
        let mtu = |routes: &BTreeMap<String, Option<u32>>| routes.get(route).copied().flatten();
        let (old_mtu, new_mtu) = (mtu(&old_routes), mtu(&new_routes));
        if old_mtu != new_mtu {
            let text = |mtu: Option<u32>| mtu.map(|mtu| mtu.to_string());
            add(ChangeKind::RouteMtu, route.clone(), text(old_mtu), text(new_mtu));
        }
    }
    changes.extend(settings(now, before, after));
    changes
}

/// Settings that differ, of namespaces that were there before.
fn settings(now: Time, before: &Topology, after: &Topology) -> Vec<Change> {
    let mut changes = Vec::new();
    for (inode, new) in &after.settings {
        let Some(old) = before.settings.get(inode) else { continue };
        let pod = after.pod_in_netns(*inode);
        if pod.is_none() && *inode != after.netns_inode {
            continue;
        }
        for (&setting, to) in &new.values {
            if let Some(from) = old.get(setting).filter(|from| from != to) {
                changes.push(Change {
                    time: now,
                    what: ChangeKind::Setting,
                    object: object_of_setting(pod, setting),
                    from: Some(from.to_string()),
                    to: Some(to.to_string()),
                });
            }
        }
    }
    changes
}

/// How a change names a setting: whose it is, and which.
pub(super) fn object_of_setting(pod: Option<&Pod>, setting: Setting) -> String {
    let owner = pod.map_or_else(|| "node".to_owned(), Pod::display_name);
    format!("{owner} {}", setting.name())
}

/// How a change names the far end of a veth: in the manner of iproute2, `eth0@veth1a2b` is the end whose partner is
/// `veth1a2b`.
fn object_of_peer(near: &Interface) -> String {
    let far = near.peer.as_ref().and_then(|peer| peer.name.as_deref());
    format!("{}@{}", far.unwrap_or("peer"), near.name)
}

/// Whether a change is about an interface of this namespace, or about its far end.
pub(super) fn is_about(change: &Change, interface: &str) -> bool {
    change.object.split(' ').any(|word| word.rsplit('@').next() == Some(interface))
}

/// What carries packets of pods; other devices come and go without a meaning for sizes.
fn is_of_interest(interface: &Interface) -> bool {
    match interface.role {
        Role::Uplink | Role::Overlay | Role::Bridge | Role::Pod | Role::Port => true,
        Role::Link => false,
    }
}

fn route_mtus(topology: &Topology) -> BTreeMap<String, Option<u32>> {
    topology
        .routes
        .iter()
        .filter(|route| route.unicast)
        .map(|route| (name_of(topology, route), route.mtu))
        .collect()
}

fn name_of(topology: &Topology, route: &Route) -> String {
    let destination = match route.destination {
        Some((network, length)) => format!("{network}/{length}"),
        None => format!("default ({})", route.family.name()),
    };
    let device = route.oif.and_then(|oif| topology.interface(oif)).map_or("", |interface| &interface.name);
    format!("{destination} dev {device} table {}", route.table)
}
