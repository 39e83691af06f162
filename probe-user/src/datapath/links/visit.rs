//! Work inside another network namespace.
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::thread;

/// Runs `work` on a thread of its own that has entered `namespace` (`CAP_SYS_ADMIN`). The thread ends there: no other
/// work of this process ever runs in a foreign namespace.
pub fn visit<T: Send>(namespace: &File, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let visitor = thread::Builder::new().name("netns-visit".to_owned()).spawn_scoped(scope, || {
            enter(namespace)?;
            Ok(work())
        })?;
        visitor.join().unwrap_or_else(|_| Err(io::Error::other("the visit of a namespace panicked")))
    })
}

fn enter(namespace: &File) -> io::Result<()> {
    // SAFETY: setns reads no memory of ours; the descriptor is open for the whole call.
    match unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
