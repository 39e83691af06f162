//! The thread that talks to others: its work must never delay the reading of the ring.
use super::board::Board;
use super::confinement::confine_network;
use super::http::{self, Token};
use super::post::Courier;
use anyhow::Context as _;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// What the thread works with.
#[derive(Debug)]
pub struct Network {
    /// Where HTTP is listened at.
    pub listener: TcpListener,
    /// What is told.
    pub board: Arc<Board>,
    /// Who may read findings.
    pub token: Arc<Token>,
    /// Carries notices.
    pub courier: Courier,
    /// Directories and files that it may read beside what every such thread may.
    pub readable: Vec<PathBuf>,
    /// Set by SIGHUP.
    pub hang_up: Arc<AtomicBool>,
}

impl Network {
    /// Starts it; it ends with the process.
    ///
    /// # Errors
    /// There are no threads left, or no signals.
    pub fn start(self) -> anyhow::Result<()> {
        let (sender, started) = mpsc::channel();
        thread::Builder::new()
            .name("network".to_owned())
            .spawn(move || {
                if let Err(error) = confine_network(&self.readable) {
                    // Nobody waits any more only if the process ends.
                    return drop(sender.send(Err(error)));
                }
                let runtime = Builder::new_current_thread().enable_all().build();
                match runtime.context("start the asynchronous runtime") {
                    Ok(runtime) => self.run(&runtime, &sender),
                    // As above.
                    Err(error) => drop(sender.send(Err(error))),
                }
            })
            .context("start the thread for the network")?;
        started.recv().context("start the thread for the network")?
    }

    fn run(self, runtime: &Runtime, started: &mpsc::Sender<anyhow::Result<()>>) {
        runtime.block_on(async move {
            let begun = self.hang_ups().and_then(|()| tokio::net::TcpListener::from_std(self.listener));
            match begun.context("start the thread for the network") {
                Ok(listener) => {
                    // As above.
                    let _ = started.send(Ok(()));
                    self.courier.start();
                    http::serve(listener, self.board, self.token).await;
                }
                Err(error) => drop(started.send(Err(error))),
            }
        });
    }

    fn hang_ups(&self) -> io::Result<()> {
        let mut hang_ups = signal(SignalKind::hangup())?;
        let flag = Arc::clone(&self.hang_up);
        tokio::spawn(async move {
            while hang_ups.recv().await.is_some() {
                flag.store(true, Ordering::Release);
            }
        });
        Ok(())
    }
}
