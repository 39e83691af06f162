//! The files of a node with a runtime, and what its first process does with them.
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The node's first process: puts the node's directories where a node has them, then keeps containerd running until it
/// is asked to stop, and starts it again when it is no longer asked.
pub const INIT: &str = r#"
set -eu
dir=$1
mount --make-rshared /
at() { mkdir -p "$2"; mount --bind "$dir/$1" "$2"; }
at containerd /var/lib/containerd
at run /run/containerd
at netns /run/netns
at cnicache /var/lib/cni
at netd /etc/cni/net.d
at etc /etc/containerd
at logs /var/log/pods
touch "$dir/mounted"
cd /
while :; do
    containerd >"$dir/containerd.log" 2>&1 &
    while [ ! -e "$dir/stop" ]; do sleep 0.05; done
    kill $!
    wait $! || :
    touch "$dir/stopped"
    while [ -e "$dir/stop" ]; do sleep 0.05; done
done
"#;

const CONFIGURATION: &str = r#"version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/box:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.ptp]
    runtime_type = "io.containerd.runc.v2"
    cni_conf_dir = "/etc/cni/net.d/ptp.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.macvlan]
    runtime_type = "io.containerd.runc.v2"
    cni_conf_dir = "/etc/cni/net.d/macvlan.d"
"#;

const BRIDGE: &str = r#"{"cniVersion":"1.0.0","name":"podnet","plugins":[
 {"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":false,"hairpinMode":true,"mtu":1500,
  "ipam":{"type":"host-local","ranges":[[{"subnet":"10.244.1.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}
"#;

const ROUTED: &str = r#"{"cniVersion":"1.0.0","name":"ptpnet","plugins":[
 {"type":"ptp","mtu":1500,
  "ipam":{"type":"host-local","ranges":[[{"subnet":"10.245.1.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}
"#;

/// Beside the node itself, in the network behind the node's uplink; the router there has the last address.
const STACKED: &str = r#"{"cniVersion":"1.0.0","name":"macvlannet","plugins":[
 {"type":"macvlan","master":"up0","mode":"bridge",
  "ipam":{"type":"host-local","ranges":[[{"subnet":"10.246.1.0/24","rangeStart":"10.246.1.10","rangeEnd":"10.246.1.99",
  "gateway":"10.246.1.254"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}
"#;

/// Writes the files of a node.
pub fn write(directory: &Path) -> Result<()> {
    for name in ["containerd", "run", "netns", "cnicache", "netd/ptp.d", "netd/macvlan.d", "etc", "logs"] {
        let path = directory.join(name);
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
    }
    for (name, text) in [
        ("etc/config.toml", CONFIGURATION),
        ("netd/10-bridge.conflist", BRIDGE),
        ("netd/ptp.d/10-ptp.conflist", ROUTED),
        ("netd/macvlan.d/10-macvlan.conflist", STACKED),
    ] {
        let path = directory.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// A program by its name on PATH, or by its path.
pub fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // An absolute path stays what it is.
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// The first child of a process.
pub fn child_of(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Removes a control group of every hierarchy, as far as nothing is in it any more.
pub fn remove_groups(group: &str) {
    let Ok(hierarchies) = fs::read_dir("/sys/fs/cgroup") else { return };
    let roots = hierarchies.flatten().map(|entry| entry.path()).chain([PathBuf::from("/sys/fs/cgroup")]);
    for root in roots {
        let own = root.join(group.trim_start_matches('/'));
        remove_below(&own);
        // The directory that all nodes share goes with the last of them.
        let _shared = own.parent().map(fs::remove_dir);
    }
}

fn remove_below(group: &Path) {
    let Ok(entries) = fs::read_dir(group) else { return };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        remove_below(&entry.path());
    }
    let _in_use = fs::remove_dir(group);
}
