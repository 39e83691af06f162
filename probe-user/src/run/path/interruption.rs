//! Ctrl-C during a search: the search ends, and what is known by then is told.
use crate::output::complaint::fail;
use crate::run::Verdict;
use crate::run::signals::Signals;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{process, thread};
use tokio::runtime::Builder;

/// Whether somebody wants the search to end.
#[derive(Debug)]
pub(super) struct Interruption {
    /// Has something to read from then on.
    told: UnixStream,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    came: AtomicBool,
    /// A search runs, or its result is not written yet.
    is_searching: AtomicBool,
}

impl Interruption {
    /// From now on the first signal ends a search, and the process at once where none runs; the second ends the process.
    pub fn listen() -> io::Result<Self> {
        let (told, mut teller) = UnixStream::pair()?;
        let state = Arc::new(State::default());
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let mut signals = {
            let _inside = runtime.enter();
            Signals::listen(false)?
        };
        let shared = Arc::clone(&state);
        let wait = async move {
            signals.next().await;
            shared.came.store(true, Ordering::SeqCst);
            if shared.is_searching.load(Ordering::SeqCst) {
                // Whoever does not wait any more needs not be woken.
                let _woken = teller.write_all(&[0]);
                signals.next().await;
            } else {
                fail(&"interrupted before anything was known");
            }
            process::exit(Verdict::Interrupted.exit_status().into());
        };
        thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(wait))?;
        Ok(Self { told, state })
    }

    /// Says whether a search runs.
    pub fn searching(&self, is_searching: bool) {
        self.state.is_searching.store(is_searching, Ordering::SeqCst);
    }

    /// Whether a signal came.
    pub fn came(&self) -> bool {
        self.state.came.load(Ordering::SeqCst)
    }

    /// Has something to read once a signal came.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}
