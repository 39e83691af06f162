//! What all that is said of a pod amounts to.
use super::record::{Names, Record};
use super::tenant::agree;
use crate::model::pod::Pod;

/// A pod with the names that its records give, which come best first. The name, its namespace and where it comes from
/// are of one record; what that leaves open others fill in, unless they speak of another pod.
pub(super) fn named<'a>(pod: &Pod, records: impl Iterator<Item = &'a Record> + Clone) -> Pod {
    let mut pod = pod.clone();
    let Some(first) = records.clone().find(|record| record.names.name.is_some()) else {
        // An id without a name is worth something all the same.
        for record in records {
            complete(&mut pod, &record.names);
        }
        return pod;
    };
    pod.name.clone_from(&first.names.name);
    pod.namespace.clone_from(&first.names.namespace);
    pod.source = first.source;
    complete(&mut pod, &first.names);
    for record in records {
        let names = &record.names;
        let is_same = agree(names.uid.as_ref(), pod.uid.as_ref())
            && (names.uid.is_some() && pod.uid.is_some()
                || agree(names.name.as_ref(), pod.name.as_ref())
                    && agree(names.namespace.as_ref(), pod.namespace.as_ref()));
        if is_same {
            complete(&mut pod, names);
        }
    }
    pod
}

fn complete(pod: &mut Pod, names: &Names) {
    if pod.namespace.is_none() && pod.name == names.name {
        pod.namespace.clone_from(&names.namespace);
    }
    if pod.uid.is_none() {
        pod.uid.clone_from(&names.uid);
    }
    if pod.container_id.is_none() {
        pod.container_id.clone_from(&names.container_id);
    }
    if pod.containers.is_empty() {
        pod.containers.clone_from(&names.containers);
    }
    if pod.labels.is_empty() {
        pod.labels.clone_from(&names.labels);
    }
    if pod.owner.is_none() {
        pod.owner.clone_from(&names.owner);
    }
}
