//! Pods on the host's network: nothing but the control group of a socket tells whose it is.
use super::control_group::{ControlGroup, control_group};
use crate::datapath::socket_owner::control_group_id;
use probe_core::model::flow::Flow;
use std::collections::HashMap;
use std::fs;
use std::os::linux::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Where control groups of version 2 are, alone or beside those of version 1.
const ROOTS: [&str; 2] = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
/// More than a node has; a bound for the search.
const GROUPS_READ: usize = 65_536;
/// Numbers that are remembered.
const REMEMBERED: usize = 1024;

/// Control groups by their numbers.
#[derive(Debug, Default)]
pub struct HostPods {
    known: HashMap<u64, ControlGroup>,
}

impl HostPods {
    /// The container whose process is at the near end of a flow of this node.
    pub fn container_of(&mut self, flow: &Flow) -> Option<ControlGroup> {
        let id = control_group_id(flow).ok()??;
        if let Some(known) = self.known.get(&id) {
            return Some(known.clone()).filter(|group| *group != ControlGroup::default());
        }
        let path = ROOTS.iter().map(Path::new).filter(|root| root.join("cgroup.procs").exists()).find_map(
            |root| {
                let path = find(root, id)?;
                Some(path.strip_prefix(root).ok()?.to_owned())
            },
        )?;
        let found = control_group(&format!("0::/{}", path.display()));
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(id, found.clone());
        Some(found).filter(|group| *group != ControlGroup::default())
    }
}

/// The directory with an inode number.
fn find(root: &Path, id: u64) -> Option<PathBuf> {
    let mut left = vec![root.to_owned()];
    let mut read = 0;
    while let Some(directory) = left.pop() {
        read += 1;
        if read > GROUPS_READ {
            return None;
        }
        if fs::metadata(&directory).is_ok_and(|metadata| metadata.st_ino() == id) {
            return Some(directory);
        }
        // A group may just be going.
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        left.extend(
            entries
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
    }
    None
}
