//! SIGINT, SIGTERM and SIGHUP (a terminal that is gone).
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for signals that end an observation in good order.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` where it is somebody else's.
    hang_up: Option<Signal>,
}

impl Signals {
    pub fn listen(hang_up_is_taken: bool) -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: if hang_up_is_taken { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// Waits for any of them.
    pub async fn next(&mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hang_up => {}
        }
    }
}
