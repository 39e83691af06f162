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

/// Runs `work` in one namespace after the other, on one thread: on a busy machine each change of thread costs more than the
/// work. What cannot be opened is `None`.
pub fn tour<S: Sync, T: Send>(
    stops: &[S],
    open: impl Fn(&S) -> Option<File> + Send,
    work: impl Fn(&S) -> T + Send,
) -> io::Result<Vec<Option<io::Result<T>>>> {
    let look = move |stop: &S| open(stop).map(|namespace| enter(&namespace).map(|()| work(stop)));
    thread::scope(|scope| {
        let visitor = thread::Builder::new()
            .name("netns-tour".to_owned())
            .spawn_scoped(scope, move || stops.iter().map(look).collect())?;
        visitor.join().map_err(|_| io::Error::other("a tour of namespaces panicked"))
    })
}

fn enter(namespace: &File) -> io::Result<()> {
    // SAFETY: setns reads no memory of ours; the descriptor is open for the whole call.
    match unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
