//! Snapshots that follow the changes of links, addresses and routes.
use super::connection::NetlinkError;
use super::discovery::Discovery;
use super::listener::{Heard, Listener};
use super::notification::Notification;
use super::pace::Pace;
use probe_core::model::topology::Topology;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, RawFd};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Updates that wait for a slow reader before the monitor waits as well.
const QUEUE: usize = 8;

/// How often a full channel is tried again.
const FULL_WAIT: Duration = Duration::from_millis(10);
/// What poll skips.
const NO_FILE: RawFd = -1;
/// Every how many refreshes other namespaces are read again although no change in them was heard of.
const SAFEGUARD: u64 = 5;

/// How to follow changes.
#[derive(Clone, Copy, Debug)]
pub struct MonitorOptions {
    /// How often everything is read again without a cause: counters move, and not all changes are told of.
    pub refresh: Duration,
    /// Bytes of notifications that the kernel keeps for us.
    pub receive_buffer: i32,
}

impl Default for MonitorOptions {
    fn default() -> Self {
        Self { refresh: Duration::from_secs(2), receive_buffer: 4 << 20 }
    }
}

/// A new state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinksUpdate {
    /// All of it.
    pub topology: Topology,
    /// When its reading began: no counter in it is older.
    pub began: Instant,
    /// Links that went since the update before. One of these indexes may be in `topology` again: it is another link.
    pub removed: BTreeSet<u32>,
    /// How often notifications were lost: `topology` is right all the same, but any index may have gone and come back.
    pub overflows: u64,
    /// Netlink messages that could not be decoded.
    pub undecodable: u64,
}

/// Follows changes on a thread of its own until it is dropped.
#[derive(Debug)]
pub struct Monitor {
    stop: File,
    thread: Option<JoinHandle<()>>,
}

/// What the reader of the channel gets. A reading that failed is told and tried again; the channel ends when changes
/// can no longer be heard of.
pub type LinksResult = Result<LinksUpdate, NetlinkError>;

impl Monitor {
    /// Follows the changes of the calling thread's network namespace. The first update is the state at the start.
    pub fn start(options: MonitorOptions) -> Result<(Self, mpsc::Receiver<LinksResult>), NetlinkError> {
        let failed =
            |source| NetlinkError::Socket { operation: "start to follow changes".to_owned(), source };
        // Listening comes first: what happens between it and the first reading is heard.
        let listener = Listener::open(options.receive_buffer)?;
        let discovery = Discovery::new()?;
        let stop = event_file().map_err(failed)?;
        let (updates, receiver) = mpsc::channel(QUEUE);
        let mut watch = Watch {
            listener,
            discovery,
            stop: stop.try_clone().map_err(failed)?,
            pace: Pace::new(options.refresh, Instant::now()),
            removed: BTreeSet::new(),
            overflows: 0,
            refreshes: 0,
            last: None,
        };
        let thread = std::thread::Builder::new()
            .name("links".to_owned())
            .spawn(move || while !updates.is_closed() && watch.step(&updates) {});
        Ok((Self { stop, thread: Some(thread.map_err(failed)?) }, receiver))
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // Adding one to an eventfd cannot fail before 2^64 of them.
        let _ = self.stop.write_all(&1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's state.
struct Watch {
    listener: Listener,
    discovery: Discovery,
    stop: File,
    pace: Pace,
    removed: BTreeSet<u32>,
    overflows: u64,
    refreshes: u64,
    last: Option<Topology>,
}

impl Watch {
    /// Waits for changes and reads once they pause; false at the end.
    fn step(&mut self, updates: &mpsc::Sender<LinksResult>) -> bool {
        let wait = self.pace.next().saturating_duration_since(Instant::now());
        match wait_for(self.listener.as_raw_fd(), self.stop.as_raw_fd(), wait) {
            Ok(Woken { stopped: true, .. }) => return false,
            Ok(Woken { heard, .. }) => {
                if heard && let Err(error) = self.hear() {
                    self.send(updates, Err(error));
                    return false;
                }
            }
            Err(source) => {
                let operation = "wait for changes".to_owned();
                // Without waiting there is no following: the reader learns why the channel ends.
                self.send(updates, Err(NetlinkError::Socket { operation, source }));
                return false;
            }
        }
        let now = Instant::now();
        if now < self.pace.next() {
            return true;
        }
        let refreshed = self.pace.is_refresh(now);
        if refreshed {
            self.refreshes = self.refreshes.wrapping_add(1);
            // Where the kernel tells of changes in the pods as well, looking again is a safeguard only.
            if !self.listener.hears_others() || self.refreshes.is_multiple_of(SAFEGUARD) {
                self.discovery.forget_all();
            }
        } else if let Some(last) = &self.last {
            self.discovery.forget_undecided(last);
        }
        let result = self.read(refreshed);
        self.pace.read(now, Instant::now(), self.last.as_ref().is_some_and(Discovery::has_undecided));
        result.is_none_or(|result| self.send(updates, result))
    }

    /// Takes in all that is told.
    fn hear(&mut self) -> Result<(), NetlinkError> {
        loop {
            match self.listener.hear()? {
                Heard::Changes { nsid: None, notifications } => {
                    for notification in notifications {
                        self.note(notification);
                    }
                }
                Heard::Changes { nsid: Some(nsid), .. } => {
                    if !self.discovery.forget_namespace(nsid) {
                        // A namespace that no veth of ours leads to.
                        continue;
                    }
                }
                Heard::Overflow => {
                    self.overflows += 1;
                    self.discovery.forget_all();
                }
                Heard::Nothing => return Ok(()),
            }
            self.pace.change(Instant::now());
        }
    }

    fn note(&mut self, notification: Notification) {
        match notification {
            Notification::Link(ifindex) => self.discovery.forget_behind(ifindex),
            Notification::LinkGone(ifindex) => {
                // Nobody was told of a link that came and went between two readings.
                if self.last.as_ref().is_some_and(|last| last.interfaces.contains_key(&ifindex)) {
                    self.removed.insert(ifindex);
                }
                self.discovery.forget_behind(ifindex);
            }
            Notification::NamespaceId(nsid) => {
                self.discovery.forget_namespace(nsid);
            }
            Notification::Table => {}
        }
    }

    /// Hands an update over; false at the end. While a slow reader has its channel full, the kernel's buffer fills: what
    /// does not fit is told as an overflow.
    fn send(&self, updates: &mpsc::Sender<LinksResult>, mut result: LinksResult) -> bool {
        loop {
            match updates.try_send(result) {
                Ok(()) => return true,
                Err(TrySendError::Closed(_)) => return false,
                Err(TrySendError::Full(kept)) => result = kept,
            }
            // Not `blocking_send`: the end must be noticed, and whoever drops the monitor may still hold the receiver.
            match wait_for(NO_FILE, self.stop.as_raw_fd(), FULL_WAIT) {
                Ok(Woken { stopped: false, .. }) => {}
                Ok(_) | Err(_) => return false,
            }
        }
    }

    /// Reads; `None` if nothing changed and nobody waits for fresh counters.
    fn read(&mut self, refreshed: bool) -> Option<LinksResult> {
        let began = Instant::now();
        let topology = match self.discovery.snapshot() {
            Ok(topology) => topology,
            Err(error) => return Some(Err(error)),
        };
        // What is missing has gone, whether its notification was read already or not.
        let missing = self.last.iter().flat_map(|last| last.interfaces.keys());
        self.removed.extend(missing.filter(|ifindex| !topology.interfaces.contains_key(ifindex)));
        let undecodable = self.discovery.take_undecodable();
        let same = self.last.as_ref().is_some_and(|last| is_same(last, &topology));
        self.last = Some(topology.clone());
        if same && !refreshed && self.removed.is_empty() && self.overflows == 0 && undecodable == 0 {
            return None;
        }
        let removed = std::mem::take(&mut self.removed);
        let overflows = std::mem::take(&mut self.overflows);
        Some(Ok(LinksUpdate { topology, began, removed, overflows, undecodable }))
    }
}

/// Equal but for the counters, which always move.
fn is_same(a: &Topology, b: &Topology) -> bool {
    a.routes == b.routes
        && a.rules == b.rules
        && a.vswitches == b.vswitches
        && a.pods == b.pods
        && a.interfaces.len() == b.interfaces.len()
        && a.interfaces.values().zip(b.interfaces.values()).all(|(a, b)| {
            let mut a = a.clone();
            a.counters = b.counters;
            a == *b
        })
}

/// A descriptor that becomes readable when something is written to it.
fn event_file() -> io::Result<File> {
    // SAFETY: eventfd takes no pointers.
    let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

struct Woken {
    heard: bool,
    stopped: bool,
}

fn wait_for(listener: RawFd, stop: RawFd, time: Duration) -> io::Result<Woken> {
    let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut entries = [entry(listener), entry(stop)];
    // One more: poll counts whole milliseconds and must not return before the time.
    let milliseconds = i32::try_from(time.as_millis()).unwrap_or(i32::MAX - 1) + 1;
    // SAFETY: the kernel writes to two entries, which outlive the call.
    let ready = unsafe { libc::poll(entries.as_mut_ptr(), 2, milliseconds) };
    if ready < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(Woken { heard: entries[0].revents != 0, stopped: entries[1].revents != 0 })
}
