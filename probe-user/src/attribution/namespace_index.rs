//! What is known of the namespaces that our veths lead to, by the ids that netlink has for them.
use super::namespace_names::{NamespaceFile, namespace_files};
use super::processes;
use crate::datapath::links::{Connection, NamespaceHandle, namespace_id};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a scan of the processes holds when it found nobody for some namespace.
const SCAN_HOLDS: Duration = Duration::from_secs(2);

/// A network namespace, as far as it can be told. What is not known is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceIdentity {
    /// Inode number.
    pub inode: Option<u32>,
    /// Name (`ip netns`).
    pub name: Option<String>,
    /// A file that it is bound to.
    pub path: Option<PathBuf>,
    /// A process in it.
    pub pid: Option<u32>,
    /// A container runtime put that process there.
    pub recorded: bool,
}

impl NamespaceIdentity {
    /// Opens it by its file or by the process in it.
    pub fn open(&self) -> Option<File> {
        let by_process = self.pid.map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")));
        self.path.iter().chain(&by_process).find_map(|path| File::open(path).ok())
    }

    /// Whether the file's name is one that container runtimes give: `cni-` and a UUID, or a UUID alone.
    pub fn is_named_by_runtime(&self) -> bool {
        self.name.as_deref().is_some_and(|name| {
            let rest = name.strip_prefix("cni-").unwrap_or(name);
            rest.len() == 36 && rest.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-')
        })
    }
}

/// The identities by namespace id. Ids are handed out again at once: [`Self::refresh`] before use.
#[derive(Debug, Default)]
pub struct NamespaceIndex {
    identities: BTreeMap<i32, NamespaceIdentity>,
    scanned: Option<Instant>,
}

impl NamespaceIndex {
    /// The namespace with an id.
    pub fn get(&self, nsid: i32) -> Option<&NamespaceIdentity> {
        self.identities.get(&nsid)
    }

    /// The namespaces that a container runtime has a record of.
    pub fn recorded(&self) -> BTreeSet<i32> {
        self.identities.iter().filter(|(_, identity)| identity.recorded).map(|(&nsid, _)| nsid).collect()
    }

    /// Finds out again who has the wanted ids.
    pub fn refresh(&mut self, connection: &mut Connection, wanted: &BTreeSet<i32>) {
        let before = std::mem::take(&mut self.identities);
        self.identities = wanted.iter().map(|&nsid| (nsid, NamespaceIdentity::default())).collect();
        if wanted.is_empty() {
            return;
        }
        self.read_files(connection);
        self.keep_processes(connection, &before);
        let unheard = wanted.iter().any(|nsid| !before.contains_key(nsid));
        let missing = self.identities.values().any(|identity| identity.pid.is_none());
        let due = self.scanned.is_none_or(|scanned| scanned.elapsed() >= SCAN_HOLDS);
        if missing && (unheard || due) {
            self.scan(connection);
        }
    }

    /// Opens the namespace with an id, after a check that it is still that one.
    pub fn open(&self, connection: &mut Connection, nsid: i32) -> Option<File> {
        let file = self.identities.get(&nsid)?.open()?;
        let found = namespace_id(connection, NamespaceHandle::File(file.as_fd())).ok()?;
        (found == Some(nsid)).then_some(file)
    }

    /// Namespaces of this machine that are bound to a file or hold a process and are neither ours nor behind our veths.
    /// Nothing says yet that they have to do with this node.
    pub fn strangers(&self, own_inode: u32) -> Vec<NamespaceIdentity> {
        let mut known: BTreeSet<u32> =
            self.identities.values().filter_map(|identity| identity.inode).collect();
        known.insert(own_inode);
        let mut found = Vec::new();
        for NamespaceFile { path, name, inode } in namespace_files() {
            if known.insert(inode) {
                let path = Some(path);
                found.push(NamespaceIdentity { inode: Some(inode), name, path, ..Default::default() });
            }
        }
        for pid in processes::process_ids() {
            let Some(inode) = processes::network_namespace(pid) else { continue };
            if known.insert(inode) {
                found.push(NamespaceIdentity { inode: Some(inode), pid: Some(pid), ..Default::default() });
            } else if let Some(identity) =
                found.iter_mut().find(|identity| identity.inode == Some(inode) && identity.pid.is_none())
            {
                identity.pid = Some(pid);
            }
        }
        found
    }

    fn read_files(&mut self, connection: &mut Connection) {
        for NamespaceFile { path, name, inode } in namespace_files() {
            // A file without a namespace bound to it is what `ip netns` leaves when it is interrupted.
            let Some(nsid) = File::open(&path).ok().and_then(|file| {
                namespace_id(connection, NamespaceHandle::File(file.as_fd())).ok().flatten()
            }) else {
                continue;
            };
            if let Some(identity) = self.identities.get_mut(&nsid) {
                identity.inode = Some(inode);
                identity.name = identity.name.take().or(name);
                identity.path.get_or_insert(path);
            }
        }
    }

    /// Keeps the processes found before that still are where they were.
    fn keep_processes(&mut self, connection: &mut Connection, before: &BTreeMap<i32, NamespaceIdentity>) {
        for (nsid, identity) in &mut self.identities {
            let Some(old) = before.get(nsid) else { continue };
            let Some(pid) = old.pid else { continue };
            if namespace_id(connection, NamespaceHandle::Process(pid)).ok().flatten() == Some(*nsid) {
                identity.pid = Some(pid);
                identity.inode = identity.inode.or_else(|| processes::network_namespace(pid));
                identity.recorded = old.recorded && identity.inode == old.inode;
            }
        }
    }

    /// Looks for a process in each namespace that has none yet.
    fn scan(&mut self, connection: &mut Connection) {
        self.scanned = Some(Instant::now());
        let ours = processes::own_control_group();
        let mut missing = self.identities.values().filter(|identity| identity.pid.is_none()).count();
        for pid in processes::process_ids() {
            if missing == 0 {
                break;
            }
            // By process id no other right is needed than to know the number.
            let Ok(Some(nsid)) = namespace_id(connection, NamespaceHandle::Process(pid)) else { continue };
            let Some(identity) = self.identities.get_mut(&nsid).filter(|identity| identity.pid.is_none())
            else {
                continue;
            };
            identity.pid = Some(pid);
            identity.inode = identity.inode.or_else(|| processes::network_namespace(pid));
            identity.recorded = processes::is_in_container(pid, &ours);
            missing -= 1;
        }
    }
}
