//! What the control group of a process tells of its container, whatever the driver and the cgroup version.

/// A container, as far as a control group's path names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlGroup {
    /// Kubernetes uid.
    pub uid: Option<String>,
    /// Container id.
    pub container: Option<String>,
}

/// What runtimes put before a container's id in the name of its scope.
const SCOPES: [&str; 4] = ["cri-containerd-", "crio-", "docker-", "libpod-"];

/// Reads `/proc/PID/cgroup`. In a private cgroup namespace paths begin with `/../`: the names count, not their place.
pub fn control_group(text: &str) -> ControlGroup {
    let mut found = ControlGroup::default();
    for path in text.lines().filter_map(|line| line.splitn(3, ':').nth(2)) {
        for part in path.split('/') {
            found.uid = found.uid.take().or_else(|| pod_uid(part));
        }
        let container = path.split('/').rev().find_map(container_id);
        found.container = found.container.take().or(container);
    }
    found
}

/// `podUID` (cgroupfs) or `kubepods-burstable-podUID.slice` with `_` for `-` (systemd).
fn pod_uid(part: &str) -> Option<String> {
    let name = part.strip_suffix(".slice").unwrap_or(part);
    let uid = match name.strip_prefix("kubepods") {
        Some(rest) => rest.rsplit_once("-pod").map(|(_, uid)| uid)?,
        None => name.strip_prefix("pod")?,
    };
    let is_uid = uid.len() >= 32 && uid.chars().all(|c| c.is_ascii_hexdigit() || c == '-' || c == '_');
    is_uid.then(|| uid.replace('_', "-"))
}

fn container_id(part: &str) -> Option<String> {
    let name = part.strip_suffix(".scope").unwrap_or(part);
    let id = SCOPES.iter().find_map(|scope| name.strip_prefix(scope)).unwrap_or(name);
    (id.len() == 64 && id.chars().all(|c| c.is_ascii_hexdigit())).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "7f3b1c52-0f6e-4a57-9c1e-2f4b6d8e0a1c";

    #[test]
    fn every_driver_and_version() {
        let slice = format!("kubepods-burstable-pod{}.slice", UID.replace('-', "_"));
        for path in [
            format!("/kubepods/burstable/pod{UID}/{ID}"),
            format!("/kubepods/pod{UID}/{ID}"),
            format!("/kubepods.slice/kubepods-burstable.slice/{slice}/cri-containerd-{ID}.scope"),
            format!("/kubepods.slice/kubepods-burstable.slice/{slice}/crio-{ID}.scope/container"),
            format!("/kubepods/besteffort/pod{UID}/crio-{ID}"),
            format!("/../../kubepods/besteffort/pod{UID}/{ID}"),
            format!("/system.slice/k3s.service/kubepods/besteffort/pod{UID}/{ID}"),
        ] {
            let expected = ControlGroup { uid: Some(UID.to_owned()), container: Some(ID.to_owned()) };
            assert_eq!(control_group(&format!("0::{path}\n")), expected, "{path}");
            assert_eq!(control_group(&format!("12:cpu,cpuacct:{path}\n0::/\n")), expected, "{path}");
        }
    }

    #[test]
    fn containers_without_kubernetes() {
        for path in [
            format!("/docker/{ID}"),
            format!("/system.slice/docker-{ID}.scope"),
            format!("/libpod_parent/{ID}/libpod-{ID}"),
            format!("/machine.slice/libpod-{ID}.scope/container"),
        ] {
            let found = control_group(&format!("0::{path}\n"));
            assert_eq!((found.uid, found.container.as_deref()), (None, Some(ID)), "{path}");
        }
    }

    #[test]
    fn a_static_pod_has_the_hash_of_its_manifest() {
        let path = format!("0::/kubepods/burstable/podd4ee6f9a8b7c5d4e3f2a1b0c9d8e7f6a/{ID}");
        assert_eq!(control_group(&path).uid.as_deref(), Some("d4ee6f9a8b7c5d4e3f2a1b0c9d8e7f6a"));
    }

    #[test]
    fn ordinary_processes_have_none() {
        for text in ["", "0::/", "0::/system.slice/podman.service", "0::/user.slice/pod", "nonsense", "::"] {
            assert_eq!(control_group(text), ControlGroup::default(), "{text}");
        }
    }
}
