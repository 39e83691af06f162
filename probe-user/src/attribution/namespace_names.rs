//! Names of network namespaces: the files that `ip netns`, CNI runtimes and Docker bind them to.
use std::fs;
use std::os::linux::fs::MetadataExt as _;
use std::path::PathBuf;

/// Where `ip netns` and CNI runtimes keep them.
const NAMED: &str = "/run/netns";
/// Where Docker does; its file names are random and name nothing.
const UNNAMED: &str = "/run/docker/netns";
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

fn read_directory(directory: &str, named: bool) -> Vec<NamespaceFile> {
    // No such directory, or not readable: this source has nothing to say.
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut files: Vec<NamespaceFile> = entries
        .flatten()
        .take(FILES_READ)
        .filter_map(|entry| {
            let path = entry.path();
            let inode = u32::try_from(fs::metadata(&path).ok()?.st_ino()).ok()?;
            let name = named.then(|| entry.file_name().to_string_lossy().into_owned());
            Some(NamespaceFile { path, name, inode })
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}
