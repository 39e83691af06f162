//! The file by which a pod's network namespace can be entered.
use super::processes;
use probe_core::model::pod::Pod;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;

/// Opens a pod's namespace by its file or by the process in it. `None` if there is neither, or if the name has become
/// another namespace's.
pub fn pod_namespace(pod: &Pod) -> Option<File> {
    let process = pod.pid.filter(|&pid| processes::network_namespace(pid) == pod.netns_inode);
    let by_process = process.map(|pid| format!("/proc/{pid}/ns/net"));
    let is_it = |file: &File| {
        let inode = file.metadata().map(|metadata| metadata.ino());
        pod.netns_inode.is_none_or(|wanted| inode.is_ok_and(|inode| inode == u64::from(wanted)))
    };
    pod.netns.iter().chain(&by_process).filter_map(|path| File::open(path).ok()).find(is_it)
}
