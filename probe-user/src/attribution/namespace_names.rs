//! Names of network namespaces: the files that `ip netns`, CNI runtimes and Docker bind them to.
use std::ffi::CString;
use std::fs;
use std::mem::MaybeUninit;
use std::os::linux::fs::MetadataExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Where `ip netns` and CNI runtimes keep them.
const NAMED: &str = "/run/netns";
/// Where Docker does; its file names are random and name nothing.
const UNNAMED: &str = "/run/docker/netns";
/// `include/uapi/linux/magic.h`
const NSFS_MAGIC: i64 = 0x6e73_6673;
/// More than any node has; a bound for a broken directory.
const FILES_READ: usize = 4096;

/// A file that a network namespace is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceFile {
    /// Its path.
    pub path: PathBuf,
    /// The file's name where it means something to a person.
    pub name: Option<String>,
    /// Inode number of the namespace.
    pub inode: u32,
}

/// The namespaces that are bound to files, by name.
pub fn namespace_files() -> Vec<NamespaceFile> {
    let mut files = read_directory(NAMED, true);
    files.extend(read_directory(UNNAMED, false));
    files
}

/// Inode number of the namespace that is bound to a file; `None` if none is.
pub fn namespace_inode(path: &Path) -> Option<u32> {
    let name = CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut found = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the name ends in a zero and the kernel writes one structure; both outlive the call.
    let result = unsafe { libc::statfs(name.as_ptr(), found.as_mut_ptr()) };
    // SAFETY: the call succeeded, so the kernel has filled it.
    let is_bound = result == 0 && unsafe { found.assume_init() }.f_type == NSFS_MAGIC;
    if is_bound { file_inode(path) } else { None }
}

fn file_inode(path: &Path) -> Option<u32> {
    u32::try_from(fs::metadata(path).ok()?.st_ino()).ok()
}

fn read_directory(directory: &str, named: bool) -> Vec<NamespaceFile> {
    // No such directory, or not readable: this source has nothing to say.
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut files: Vec<NamespaceFile> = entries
        .flatten()
        .take(FILES_READ)
        .filter_map(|entry| {
            let path = entry.path();
            let inode = file_inode(&path)?;
            let name = named.then(|| entry.file_name().to_string_lossy().into_owned());
            Some(NamespaceFile { path, name, inode })
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}
