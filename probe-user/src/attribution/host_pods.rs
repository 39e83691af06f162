//! Pods on the host's network: nothing but the control group of a socket tells whose it is.
use super::control_group::{ControlGroup, control_group};
use crate::datapath::socket_owner::control_group_id;
use crate::output::{Sense, SenseState};
use probe_core::model::flow::Flow;
use std::collections::HashMap;
use std::fs;
use std::os::linux::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Where control groups of version 2 are, alone or beside those of version 1; in a container first where the host's are
/// mounted for us, because what it has itself is its own part of them.
const ROOTS: [&str; 4] =
    ["/host/sys/fs/cgroup/unified", "/host/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
/// Inode number of the first of all control groups; in a cgroup namespace another is shown in its place.
const FIRST_GROUP: u64 = 1;
/// More than a node has; a bound for the search.
const GROUPS_READ: usize = 65_536;
/// Numbers, and names of flows, that are remembered.
const REMEMBERED: usize = 1024;
/// What the node itself is called.
pub const NODE: &str = "host";

/// Control groups by their numbers, and what was found for flows before.
#[derive(Debug, Default)]
pub struct HostPods {
    /// `None` for one that is not to be seen.
    groups: HashMap<u64, Option<ControlGroup>>,
    names: HashMap<Flow, String>,
}

/// Whose a socket is.
enum Owner {
    /// A process in a container.
    Container(ControlGroup),
    /// A process of the node.
    Node,
    /// There is no socket (any more), or it does not say.
    Unknown,
}

impl HostPods {
    /// What is called who has the near end of a flow of this node: by `name` if it is a container, which may not have one
    /// yet, else `host`. A connection that is over was of whom it was.
    pub fn name_of(
        &mut self,
        flow: &Flow,
        name: impl FnOnce(&ControlGroup) -> Option<String>,
    ) -> Option<String> {
        let name = match self.owner_of(flow) {
            // Its pod may be gone before its last packets are.
            Owner::Container(group) => name(&group).or_else(|| self.names.get(flow).cloned()),
            Owner::Node => {
                self.names.remove(flow);
                return Some(NODE.to_owned());
            }
            Owner::Unknown => return Some(self.names.get(flow).map_or(NODE, String::as_str).to_owned()),
        }?;
        make_room(&mut self.names);
        self.names.insert(*flow, name.clone());
        Some(name)
    }

    /// What `start` says of it.
    pub fn sense() -> Sense {
        let why = |text: &str| Some(format!("{text}: pods on the host's network are told as `{NODE}`"));
        let (state, why) = match root().map(inode) {
            Some(Some(FIRST_GROUP)) => (SenseState::Works, None),
            Some(Some(_) | None) => {
                (SenseState::Missing, why("only control groups below our own are seen, and not the host's"))
            }
            None => (SenseState::Missing, why("no control groups of version 2 below /sys/fs/cgroup")),
        };
        Sense { name: "host_pods".into(), state, why }
    }

    fn owner_of(&mut self, flow: &Flow) -> Owner {
        // Where the kernel cannot tell, nobody can.
        let Some(id) = control_group_id(flow).ok().flatten() else { return Owner::Unknown };
        if !self.groups.contains_key(&id) {
            make_room(&mut self.groups);
            self.groups.insert(id, group_of(id));
        }
        match self.groups.get(&id).cloned().flatten() {
            Some(group) if group == ControlGroup::default() => Owner::Node,
            Some(group) => Owner::Container(group),
            None => Owner::Unknown,
        }
    }
}

fn make_room<K, V>(map: &mut HashMap<K, V>) {
    if map.len() >= REMEMBERED {
        map.clear();
    }
}

fn root() -> Option<&'static Path> {
    ROOTS.into_iter().map(Path::new).find(|root| root.join("cgroup.procs").exists())
}

fn inode(directory: &Path) -> Option<u64> {
    Some(fs::metadata(directory).ok()?.st_ino())
}

/// What the path of a control group tells.
fn group_of(id: u64) -> Option<ControlGroup> {
    let root = root()?;
    let path = find(root, id)?;
    Some(control_group(&format!("0::/{}", path.strip_prefix(root).ok()?.display())))
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
        if inode(&directory) == Some(id) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use probe_core::model::flow::Protocol;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_connection_that_is_over_was_of_whom_it_was() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let (near, far) = (client.local_addr().expect("bound"), client.peer_addr().expect("connected"));
        let flow = Flow {
            protocol: Protocol::Tcp,
            src: near.ip(),
            src_port: near.port(),
            dst: far.ip(),
            dst_port: far.port(),
        };
        // Whatever control group this test runs in, its socket is taken for a container's.
        let mut pods = HostPods::default();
        let container = ControlGroup { uid: Some("u1".to_owned()), container: None };
        if let Some(id) = control_group_id(&flow).expect("an answer") {
            pods.groups.insert(id, Some(container.clone()));
            let name = |group: &ControlGroup| Some(format!("pod of {group:?}"));
            assert_eq!(pods.name_of(&flow, |_| None), None);
            let told = pods.name_of(&flow, name);
            assert_eq!(told, Some(format!("pod of {container:?}")));
            drop((client, listener));
            assert_eq!(pods.name_of(&flow, name), told);
        } else {
            println!("no control groups of version 2 here: no socket says whose it is");
        }
        assert_eq!(pods.name_of(&flow.reversed(), |_| None).as_deref(), Some("host"));
    }
}
