//! A datagram service that answers whatever comes.
use super::server::TICK;
use crate::topology::Namespace;
use anyhow::{Context, Result};
use std::net::{Ipv6Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Bytes of an answer at most.
const ANSWER: usize = 32;

/// A service that sends the first bytes of each datagram back, over both families, until it is dropped.
#[derive(Debug)]
pub struct Reflector {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reflector {
    /// Listens in a namespace; it can be reached when this returns.
    pub fn start(namespace: &Namespace, port: u16) -> Result<Self> {
        // The kernel's default takes IPv4 on this address too.
        let socket = namespace
            .run(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)))?
            .with_context(|| format!("listening in {}", namespace.name()))?;
        socket.set_read_timeout(Some(TICK)).context("setting a time limit")?;
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = std::thread::spawn(move || reflect(&socket, &flag));
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Reflector {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A panic there shows as missing answers in the test.
        let _panicked = self.thread.take().map(JoinHandle::join);
    }
}

fn reflect(socket: &UdpSocket, stop: &AtomicBool) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    while !stop.load(Ordering::Relaxed) {
        // Errors are time limits and ICMP errors about earlier answers: both are no end.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let _unsent = socket.send_to(&buffer[..length.min(ANSWER)], from);
    }
}
