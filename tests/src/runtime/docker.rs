//! Docker with a daemon, storage and networks of its own.
use super::holder::Holder;
use super::{IMAGE, files, image, node_name, require, wait_until};
use crate::topology::Namespace;
use anyhow::{Context as _, Result};
use std::fs;

/// The daemon gets no packet filter and no network but that of its own bridge.
const INIT: &str = r#"
set -eu
dir=$1
mount --make-rshared /
at() { mkdir -p "$dir/$1" "$2"; mount --bind "$dir/$1" "$2"; }
at docker /var/lib/docker
at run /run
mkdir -p /run/netns
touch "$dir/mounted"
cd /
exec dockerd --host unix:///run/docker.sock --bip 10.247.1.1/24 --iptables=false --ip-masq=false --ip6tables=false \
    --userland-proxy=false --storage-driver vfs --exec-opt native.cgroupdriver=cgroupfs \
    --cgroup-parent "/$(basename "$dir")" --oom-score-adjust 0 >"$dir/dockerd.log" 2>&1
"#;

/// A machine with Docker. Dropping it ends everything that runs there.
#[derive(Debug)]
pub struct DockerNode<'network> {
    /// Where it runs.
    pub holder: Holder<'network>,
    group: String,
}

impl<'network> DockerNode<'network> {
    /// Starts the daemon and loads the image.
    pub fn start(namespace: &'network Namespace) -> Result<Self> {
        require(&[("dockerd", "docker.io"), ("busybox", "busybox-static")])?;
        let name = node_name("docker");
        let directory = std::env::temp_dir().join(&name);
        fs::create_dir_all(&directory).context("making a directory")?;
        image::make(&directory, IMAGE)?;
        namespace.ip("link set lo up")?;
        let node = Self { holder: Holder::start(namespace, &directory, INIT)?, group: format!("/{name}") };
        wait_until("dockerd to be ready", || Ok(node.docker(&["version"]).ok()))
            .with_context(|| fs::read_to_string(directory.join("dockerd.log")).unwrap_or_default())?;
        node.load(&directory)?;
        Ok(node)
    }

    /// Runs `docker`.
    pub fn docker(&self, arguments: &[&str]) -> Result<String> {
        self.holder.inside(&[&["docker", "--host", "unix:///run/docker.sock"], arguments].concat())
    }

    /// The image's one layer: this daemon wants more of an archive than others do.
    fn load(&self, directory: &std::path::Path) -> Result<()> {
        let layer = directory.join("image/layer.tar").display().to_string();
        let entry = r#"ENTRYPOINT ["/bin/busybox","sleep","86400"]"#;
        self.docker(&["import", "--change", entry, &layer, IMAGE]).map(|_| ())
    }
}

impl Drop for DockerNode<'_> {
    fn drop(&mut self) {
        self.holder.end();
        files::remove_groups(&self.group);
    }
}
