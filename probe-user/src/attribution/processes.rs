//! Processes in other network namespaces, from `/proc`.
use std::fs;
use std::os::linux::fs::MetadataExt as _;

/// More than a node runs; a bound for the scan.
const PROCESSES_READ: usize = 65_536;

/// What the control group path of a container's process has in it, whatever the driver and the cgroup version.
const CONTAINER_MARKS: [&str; 7] =
    ["kubepods", "libpod", "/docker/", "docker-", "cri-containerd", "crio-", "/lxc.payload"];

/// The processes there are, lowest first: the first of a pod is the one that holds its namespaces.
pub fn process_ids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut ids: Vec<u32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .take(PROCESSES_READ)
        .collect();
    ids.sort_unstable();
    ids
}

/// Inode of a process's network namespace; `None` if it is gone or not ours to see (`CAP_SYS_PTRACE`).
pub fn network_namespace(pid: u32) -> Option<u32> {
    fs::metadata(format!("/proc/{pid}/ns/net")).ok()?.st_ino().try_into().ok()
}

/// Whether a container runtime has put a process where it is. `ours` is our own control group: what we share with it
/// (we may run in a container ourselves) says nothing.
pub fn is_in_container(pid: u32, ours: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|path| names_container(&path, ours))
}

/// Our own control group.
pub fn own_control_group() -> String {
    fs::read_to_string("/proc/self/cgroup").unwrap_or_default()
}

fn names_container(path: &str, ours: &str) -> bool {
    path != ours && CONTAINER_MARKS.iter().any(|mark| path.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::names_container;

    #[test]
    fn control_groups_of_containers_are_told_from_others() {
        for path in [
            "0::/kubepods/burstable/pod1f/abc",
            "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1f.slice/cri-containerd-abc.scope",
            "0::/../../kubepods/pod1f/abc",
            "11:memory:/docker/0123",
            "0::/libpod_parent/1/libpod-2",
        ] {
            assert!(names_container(path, "0::/user.slice"), "{path}");
        }
        for path in ["0::/", "0::/system.slice/docker.service", "0::/user.slice/user-0.slice/session-1.scope"]
        {
            assert!(!names_container(path, "0::/init.scope"), "{path}");
        }
    }

    #[test]
    fn what_we_share_is_no_record() {
        assert!(!names_container("0::/docker/0123", "0::/docker/0123"));
    }
}
