//! The control groups of the pods' processes, with the names of the directories under `/var/log/pods`.
use crate::attribution::control_group::control_group;
use probe_core::identity::{Anchor, Names, Record};
use probe_core::model::pod::{Pod, PodSource};
use std::collections::BTreeMap;
use std::fs;

/// One directory for each pod: `NAMESPACE_NAME_UID`.
const LOGS: &str = "/var/log/pods";
/// More than a node has pods; a bound for a broken directory.
const LOGS_READ: usize = 16_384;

/// What the processes in the pods tell.
pub(super) fn read(pods: &[Pod]) -> Vec<Record> {
    let names = logged_names();
    let record = |pod: &Pod| {
        let pid = pod.pid?;
        let group = control_group(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?);
        let id = group.uid.clone().or_else(|| group.container.clone())?;
        let logged = group.uid.as_ref().and_then(|uid| names.get(uid));
        Some(Record {
            source: PodSource::Cgroup,
            // The same uid again is another sandbox of it.
            id: format!("{id} {pid}"),
            names: Names {
                namespace: logged.map(|(namespace, _)| namespace.clone()),
                name: logged.map(|(_, name)| name.clone()),
                uid: group.uid,
                container_id: group.container,
                ..Names::default()
            },
            anchor: Anchor { pid: Some(pid), netns_inode: pod.netns_inode, ..Anchor::default() },
        })
    };
    pods.iter().filter_map(record).collect()
}

/// Why nothing is to be learned here.
pub(super) fn lacks(pods: &[Pod]) -> Option<&'static str> {
    if pods.is_empty() {
        Some("there are no pods")
    } else if pods.iter().all(|pod| pod.pid.is_none()) {
        Some("no process is seen in any pod: if there are some, this needs the host's process ids (hostPID)")
    } else {
        None
    }
}

/// Namespace and name of the pod with a uid.
pub fn logged_name_of(uid: &str) -> Option<(String, String)> {
    logged_names().remove(uid)
}

/// Uid → namespace and name.
fn logged_names() -> BTreeMap<String, (String, String)> {
    // No such directory, or not readable: this half has nothing to say.
    let Ok(entries) = fs::read_dir(LOGS) else { return BTreeMap::new() };
    let entries = entries.flatten().take(LOGS_READ);
    entries.filter_map(|entry| logged_name(&entry.file_name().to_string_lossy())).collect()
}

/// Neither of the names may have a `_` in it.
fn logged_name(directory: &str) -> Option<(String, (String, String))> {
    let mut parts = directory.split('_').map(str::to_owned);
    let (namespace, name, uid) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some((uid, (namespace, name)))
}

#[cfg(test)]
mod tests {
    use super::logged_name;

    #[test]
    fn names_of_directories() {
        let found = logged_name("shop_cart-7d9f_7f3b1c52").expect("a name");
        assert_eq!(found, ("7f3b1c52".to_owned(), ("shop".to_owned(), "cart-7d9f".to_owned())));
        for other in ["", "shop", "shop_cart", "a_b_c_d"] {
            assert_eq!(logged_name(other), None, "{other}");
        }
    }
}
