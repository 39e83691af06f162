//! A set of namespaces with one owner: unique names, and removal whatever happens to the owner.
use super::namespace::{self, Namespace};
use anyhow::{Context, Result, ensure};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where each lab has a file, locked as long as its owner lives. The kernel drops the lock of a killed owner.
const RUN_DIRECTORY: &str = "/run/mtuprobe-lab";
/// Every namespace of a lab starts with this, then the lab's own mark and a dash.
const NAME_PREFIX: &str = "mtp";

/// Names of the labs of this process; held locked while a namespace is made, so that none is made after a signal
/// began to remove them.
static OWN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A set of network namespaces that are removed when this value is dropped, when the process gets SIGINT or
/// SIGTERM, and, after a `kill -9`, when the next lab is made.
#[derive(Debug)]
pub struct Lab {
    name: String,
    lock_path: PathBuf,
    /// Open as long as the lab lives: the lock is what says so to others.
    _lock: File,
}

impl Lab {
    /// Makes an empty lab with a name of its own, after removing what dead owners left behind.
    pub fn new() -> Result<Self> {
        // SAFETY: geteuid has no precondition and cannot fail.
        ensure!(unsafe { libc::geteuid() } == 0, "network namespaces need root: run this as root");
        remove_on_signal()?;
        let directory = lock_directory()?;
        remove_abandoned()?;
        let (name, lock_path, lock) = take_name()?;
        drop(directory);
        own().push(name.clone());
        Ok(Self { name, lock_path, _lock: lock })
    }

    /// The mark that all namespaces of this lab start with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Full name of the namespace that is called `short` within this lab.
    pub fn full_name(&self, short: &str) -> String {
        format!("{}-{short}", self.name)
    }

    /// Makes the namespaces, in one go.
    pub fn add(&self, short_names: &[&str]) -> Result<Vec<Namespace>> {
        let full: Vec<String> = short_names.iter().map(|short| self.full_name(short)).collect();
        let script: String = full.iter().map(|name| format!("netns add {name}\n")).collect();
        {
            let _none_removes = own();
            namespace::ip_batch(None, &script)?;
        }
        full.into_iter().map(Namespace::open).collect()
    }

    /// Removes namespaces with the processes in them, in one go.
    pub fn remove_all(&self, namespaces: Vec<Namespace>) -> Result<()> {
        let names: Vec<String> = namespaces.iter().map(|namespace| namespace.name().to_owned()).collect();
        drop(namespaces);
        remove_namespaces(&names)
    }

    /// Removes one namespace with the processes in it.
    pub fn remove(&self, namespace: Namespace) -> Result<()> {
        let name = namespace.name().to_owned();
        drop(namespace);
        remove_namespaces(&[name])
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let mut own = own();
        let mark = format!("{}-", self.name);
        let removed = namespaces_with(&mark).and_then(|names| remove_namespaces(&names));
        if let Err(error) = removed {
            complain(&format!("removing lab {}: {error:#}", self.name));
            return;
        }
        // Without its file the lab is forgotten, so the file goes last.
        let _gone_already = fs::remove_file(&self.lock_path);
        own.retain(|name| *name != self.name);
    }
}

/// The marks of all labs that are there, living or not.
pub fn present() -> Result<Vec<String>> {
    if !Path::new(RUN_DIRECTORY).exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(RUN_DIRECTORY).with_context(|| format!("reading {RUN_DIRECTORY}"))?;
    Ok(entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(NAME_PREFIX))
        .collect())
}

/// Full names of the namespaces whose name starts with `mark`.
pub fn namespaces_with(mark: &str) -> Result<Vec<String>> {
    if !Path::new(namespace::DIRECTORY).exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(namespace::DIRECTORY).context("listing the namespaces")?;
    Ok(entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(mark))
        .collect())
}

fn own() -> MutexGuard<'static, Vec<String>> {
    // A panic of another thread leaves the list as it was: still right.
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two labs that start at the same time take names and clean up one after the other.
fn lock_directory() -> Result<File> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(RUN_DIRECTORY)
        .with_context(|| format!("creating {RUN_DIRECTORY}"))?;
    let path = Path::new(RUN_DIRECTORY).join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    file.lock().with_context(|| format!("locking {}", path.display()))?;
    Ok(file)
}

fn take_name() -> Result<(String, PathBuf, File)> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
    let mut seed = nanos ^ std::process::id().rotate_left(16);
    loop {
        seed = seed.wrapping_mul(0x9e37_79b1).wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        let name = format!("{NAME_PREFIX}{:04x}", seed >> 16);
        let path = Path::new(RUN_DIRECTORY).join(&name);
        match OpenOptions::new().create_new(true).write(true).open(&path) {
            Ok(lock) => {
                lock.lock().with_context(|| format!("locking {}", path.display()))?;
                return Ok((name, path, lock));
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("creating {}", path.display())),
        }
    }
}

/// Removes the labs whose owner holds no lock any more. The directory must be locked.
fn remove_abandoned() -> Result<()> {
    for name in present()? {
        let path = Path::new(RUN_DIRECTORY).join(&name);
        let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {
                remove_namespaces(&namespaces_with(&format!("{name}-"))?)?;
                fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("locking {}", path.display()));
            }
        }
    }
    Ok(())
}

fn remove_namespaces(names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    namespace::kill_processes_in(names);
    let script: String = names.iter().map(|name| format!("netns del {name}\n")).collect();
    namespace::ip_batch(None, &script)
}

/// Has SIGINT and SIGTERM remove every lab of this process before it ends with 128 + signal.
fn remove_on_signal() -> Result<()> {
    static INSTALLED: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        let mut pipe = [0; 2];
        // SAFETY: pipe2 writes two descriptors into an array of two.
        if unsafe { libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
            return Err(std::io::Error::last_os_error().to_string());
        }
        SIGNAL_PIPE.store(pipe[1], Ordering::Release);
        let [read, _] = pipe;
        std::thread::Builder::new()
            .name("lab-signals".to_owned())
            .spawn(move || wait_for_signal(read))
            .map_err(|error| error.to_string())?;
        for signal in [libc::SIGINT, libc::SIGTERM] {
            // SAFETY: the handler calls only write(2), which is async-signal-safe.
            unsafe { libc::signal(signal, on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t) };
        }
        Ok(())
    });
    installed.clone().map_err(|error| anyhow::anyhow!("preparing for signals: {error}"))
}

/// Write end of the pipe from the signal handler to the thread that removes.
static SIGNAL_PIPE: std::sync::atomic::AtomicI32 = std::sync::atomic::AtomicI32::new(-1);

extern "C" fn on_signal(signal: libc::c_int) {
    let byte = signal as u8;
    // SAFETY: one byte that lives on this stack; write(2) is async-signal-safe. A full pipe loses nothing: the
    // first byte was enough.
    unsafe { libc::write(SIGNAL_PIPE.load(Ordering::Acquire), (&raw const byte).cast(), 1) };
}

fn wait_for_signal(read: libc::c_int) {
    let mut byte = 0_u8;
    loop {
        // SAFETY: reads at most one byte into one byte.
        let got = unsafe { libc::read(read, (&raw mut byte).cast(), 1) };
        if got == 1 {
            break;
        }
    }
    // Never unlocked again: no namespace is made from here on.
    let own = own();
    for name in own.iter() {
        let removed = namespaces_with(&format!("{name}-")).and_then(|names| remove_namespaces(&names));
        match removed {
            Ok(()) => drop(fs::remove_file(Path::new(RUN_DIRECTORY).join(name))),
            Err(error) => complain(&format!("removing lab {name}: {error:#}")),
        }
    }
    // SAFETY: ends the process at once; nothing of it is used afterwards. Destructors of other threads must not
    // run: they would remove the same labs again.
    unsafe { libc::_exit(128 + i32::from(byte)) };
}

#[expect(clippy::print_stderr, reason = "a destructor and a signal have no other way to tell")]
fn complain(text: &str) {
    eprintln!("lab: {text}");
}
