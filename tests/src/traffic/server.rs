//! Answers TCP exchanges and datagrams in a namespace, both families.
use super::datagram::{self, Request};
use super::{PORT, socket_option, stream};
use crate::topology::{Family, Namespace};
use anyhow::{Context, Result};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a server waits before it looks whether it shall stop.
pub const TICK: Duration = Duration::from_millis(50);

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    namespace: String,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Listens in a namespace on [`PORT`]; it can be reached when this returns.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        let (listener, datagrams) = namespace
            .run(|| -> std::io::Result<_> {
                // The listener of the standard library takes both families on this address.
                let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT))?;
                listener.set_nonblocking(true)?;
                let v6 = bind_v6_only()?;
                let v4 = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
                Ok((listener, [(Family::V4, v4), (Family::V6, v6)]))
            })?
            .with_context(|| format!("listening in {}", namespace.name()))?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        let flag = Arc::clone(&stop);
        threads.push(thread::spawn(move || accept(&listener, &flag)));
        for (family, socket) in datagrams {
            socket.set_read_timeout(Some(TICK)).context("setting a time limit")?;
            let flag = Arc::clone(&stop);
            threads.push(thread::spawn(move || acknowledge(&socket, family, &flag)));
        }
        Ok(Self { namespace: namespace.name().to_owned(), stop, threads })
    }

    /// Full name of the namespace that it listens in.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic in a server shows as missing answers in the test.
            let _panicked = thread.join();
        }
    }
}

fn bind_v6_only() -> std::io::Result<UdpSocket> {
    use std::os::fd::{FromRawFd, OwnedFd};
    // SAFETY: socket takes three integers.
    let descriptor = unsafe { libc::socket(libc::AF_INET6, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if descriptor < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open and nobody else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
    socket_option::set(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
    // SAFETY: sockaddr_in6 is integers only, for which zeros are a value: the unspecified address.
    let mut address: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
    address.sin6_family = libc::AF_INET6 as libc::sa_family_t;
    address.sin6_port = PORT.to_be();
    // SAFETY: the pointer and the length are those of a local value, which the call only reads.
    let bound = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_in6>() as libc::socklen_t,
        )
    };
    if bound != 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(UdpSocket::from(socket))
}

fn accept(listener: &TcpListener, stop: &Arc<AtomicBool>) {
    let mut connections = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if !readable(listener) {
            continue;
        }
        match listener.accept() {
            Ok((connection, _)) => {
                let flag = Arc::clone(stop);
                connections.push(thread::spawn(move || stream::answer(&connection, &flag)));
            }
            // The client was gone before we came.
            Err(error) if error.kind() != ErrorKind::WouldBlock => continue,
            Err(_) => {}
        }
    }
    for connection in connections {
        let _panicked = connection.join();
    }
}

fn readable(listener: &TcpListener) -> bool {
    let mut wanted = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let tick = TICK.as_millis() as libc::c_int;
    // SAFETY: one pollfd, as said.
    unsafe { libc::poll(&raw mut wanted, 1, tick) > 0 }
}

fn acknowledge(socket: &UdpSocket, family: Family, stop: &AtomicBool) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    while !stop.load(Ordering::Relaxed) {
        // Errors are time limits and ICMP errors about earlier answers: both are no end.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        if let Some(request) = Request::read(&buffer[..length]) {
            answer(socket, family, from, request);
        }
    }
}

fn answer(socket: &UdpSocket, family: Family, to: SocketAddr, request: Request) {
    // What cannot be sent shows as a missing answer at the client.
    let _unsent = datagram::set_df(socket, family, request.reply_df);
    let _unsent = socket.send_to(&request.reply(), to);
}
