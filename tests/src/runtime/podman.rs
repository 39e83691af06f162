//! Podman with storage, names and networks of its own.
use super::holder::Holder;
use super::{IMAGE, files, image, node_name, require, wait_until};
use crate::topology::Namespace;
use anyhow::{Context as _, Result};
use std::fs;

const INIT: &str = r#"
set -eu
dir=$1
mount --make-rshared /
at() { mkdir -p "$dir/$1" "$2"; mount --bind "$dir/$1" "$2"; }
at containers /var/lib/containers
at runcontainers /run/containers
at libpod /run/libpod
at podman /run/podman
at netns /run/netns
at cnicache /var/lib/cni
touch "$dir/mounted"
while :; do sleep 86400; done
"#;

const CONTAINERS: &str = r#"[engine]
infra_image = "localhost/box:1"
cgroup_manager = "cgroupfs"
events_logger = "none"
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
log_driver = "k8s-file"
"#;

const STORAGE: &str = r#"[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
"#;

/// A machine with Podman. Dropping it ends everything that runs there.
#[derive(Debug)]
pub struct PodmanNode<'network> {
    /// Where it runs.
    pub holder: Holder<'network>,
}

impl<'network> PodmanNode<'network> {
    /// Loads the image.
    pub fn start(namespace: &'network Namespace) -> Result<Self> {
        require(&[("podman", "podman"), ("busybox", "busybox-static")])?;
        let directory = std::env::temp_dir().join(node_name("podman"));
        fs::create_dir_all(&directory).context("making a directory")?;
        fs::write(directory.join("containers.conf"), CONTAINERS)?;
        fs::write(directory.join("storage.conf"), STORAGE)?;
        image::make(&directory, IMAGE)?;
        let holder = Holder::start(namespace, &directory, INIT)?;
        let node = Self { holder };
        let archive = directory.join("image.tar").display().to_string();
        node.podman(&["load", "-i", &archive])?;
        Ok(node)
    }

    /// Runs `podman`.
    pub fn podman(&self, arguments: &[&str]) -> Result<String> {
        let directory = self.holder.directory();
        let variable = |name: &str, file: &str| format!("{name}={}", directory.join(file).display());
        let containers = variable("CONTAINERS_CONF", "containers.conf");
        let storage = variable("CONTAINERS_STORAGE_CONF", "storage.conf");
        self.holder.inside(&[&["env", &containers, &storage, "podman"], arguments].concat())
    }

    /// Starts Podman's service, which is asked before its files are.
    pub fn start_service(&self) -> Result<()> {
        let directory = self.holder.directory().display().to_string();
        // It outlives this shell and goes with the place; nobody reads what it says.
        let script = format!(
            "CONTAINERS_CONF={directory}/containers.conf CONTAINERS_STORAGE_CONF={directory}/storage.conf \
             podman system service --time 0 unix:///run/podman/podman.sock >/dev/null 2>&1 </dev/null &"
        );
        self.holder.inside(&["sh", "-c", &script])?;
        wait_until("Podman's service", || {
            Ok(self.holder.directory().join("podman/podman.sock").exists().then_some(()))
        })
    }

    /// A pod with one container in it.
    pub fn run_pod(&self, pod: &str, container: &str) -> Result<()> {
        self.podman(&["pod", "create", "--name", pod, "--infra-image", IMAGE])?;
        self.podman(&["run", "-d", "--pod", pod, "--name", container, IMAGE])?;
        Ok(())
    }
}

impl Drop for PodmanNode<'_> {
    fn drop(&mut self) {
        // Without waiting for programs that do not heed a request to end.
        let _gone = self.podman(&["pod", "rm", "-f", "-t", "0", "-a"]);
        let _gone = self.podman(&["rm", "-f", "-t", "0", "-a"]);
        self.holder.end();
        files::remove_groups("/libpod_parent");
    }
}
