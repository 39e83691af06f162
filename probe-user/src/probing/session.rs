//! Carries out a search, and what follows it, with raw sockets.
use super::answer::{self, Heard};
use super::tcp::{Connection, Segment};
use super::{Ends, Method, socket, wire};
use crate::output::wall_clock::monotonic_now;
use probe_core::model::flow::Family;
use probe_core::model::{SECOND, Time};
use probe_core::path_search::{Action, Search, Trace, TraceAction};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::BorrowedFd;

/// How old a probe may be that an answer without a number is about.
const HORIZON: Time = 3 * SECOND;
/// Packets that ask for an error, and the time between them.
pub const ASKED: u16 = 5;
const POLITE: Time = SECOND / 50;
/// Connections opened at most, one after the other.
const CONNECTIONS: u32 = 4;

/// Why a search could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ProbingError {
    /// No raw sockets.
    #[error("open a raw socket: {0} (needs CAP_NET_RAW)")]
    NoRawSocket(io::Error),
    /// There is no way to the destination.
    #[error("reach {destination}: {cause}")]
    Unreachable {
        /// The destination.
        destination: IpAddr,
        /// What the kernel said.
        cause: io::Error,
    },
    /// No connection.
    #[error("connect to {destination}: {cause}")]
    NoConnection {
        /// The destination.
        destination: SocketAddr,
        /// What the kernel said.
        cause: io::Error,
    },
    /// A socket failed.
    #[error("{operation}: {cause}")]
    Socket {
        /// What was done.
        operation: &'static str,
        /// What the kernel said.
        cause: io::Error,
    },
}

/// Sockets for probes to one destination.
#[derive(Debug)]
pub struct Session {
    ends: Ends,
    destination: SocketAddr,
    sender: UdpSocket,
    icmp: UdpSocket,
    /// Keeps the port ours, and hears datagrams.
    port: UdpSocket,
    connection: Option<Connection>,
    connections: u32,
    buffer: Vec<u8>,
}

impl Session {
    /// Opens what a method needs, in the calling thread's namespace.
    ///
    /// # Errors
    /// A right is missing, there is no route, or no connection can be made.
    pub fn open(method: Method, destination: SocketAddr) -> Result<Self, ProbingError> {
        let family = Family::of(destination.ip());
        let unreachable = |cause| ProbingError::Unreachable { destination: destination.ip(), cause };
        let port = socket::datagrams(destination).map_err(unreachable)?;
        let local = port.local_addr().map_err(unreachable)?;
        let sender = socket::sender(local.ip()).map_err(raw_socket)?;
        let icmp = socket::listener(family, Method::Icmp.number(family)).map_err(raw_socket)?;
        let icmp = socket::as_datagrams(icmp);
        for socket in [&icmp, &port] {
            socket
                .set_nonblocking(true)
                .map_err(|cause| ProbingError::Socket { operation: "set up a socket", cause })?;
        }
        let dst_port = if method.is_echo() { 0 } else { destination.port() };
        let ends = Ends { method, src: local.ip(), src_port: local.port(), dst: destination.ip(), dst_port };
        let buffer = vec![0; usize::from(u16::MAX)];
        let mut session =
            Self { ends, destination, sender, icmp, port, connection: None, connections: 0, buffer };
        if method == Method::Tcp {
            session.connect()?;
        }
        Ok(session)
    }

    /// The two ends of the probes.
    pub fn ends(&self) -> &Ends {
        &self.ends
    }

    /// Searches to the end, or until `stop` has something to read; `progress` looks on after each probe.
    ///
    /// # Errors
    /// The destination cannot be reached any more, or a socket fails.
    pub fn run(
        &mut self,
        search: &mut Search,
        stop: BorrowedFd<'_>,
        mut progress: impl FnMut(&Search),
    ) -> Result<(), ProbingError> {
        loop {
            let now = monotonic_now();
            match search.poll(now) {
                Action::Done => return Ok(()),
                Action::Wait(until) => {
                    let is_stopped = self.wait(until.saturating_sub(now), stop)?;
                    for (heard, from) in self.hear()? {
                        tell(search, heard, from);
                    }
                    if is_stopped {
                        search.stop();
                    }
                }
                Action::Send { probe, size } => {
                    if !self.send(probe, size, wire::HOP_LIMIT)? {
                        search.handle_refused(probe);
                    }
                    progress(search);
                }
            }
        }
    }

    /// Sends so many probes of a size that does not pass, and gives who says that it is too big, and which next-hop MTU. The
    /// probes have numbers from `first` on.
    ///
    /// # Errors
    /// The destination cannot be reached any more, or a socket fails.
    pub fn ask(
        &mut self,
        size: u32,
        first: u16,
        stop: BorrowedFd<'_>,
    ) -> Result<Vec<(IpAddr, u32)>, ProbingError> {
        let mut said = Vec::new();
        let mut until = monotonic_now();
        for number in 0..ASKED {
            self.send(first.wrapping_add(number), size, wire::HOP_LIMIT)?;
            until += if number + 1 < ASKED { POLITE } else { SECOND };
            while monotonic_now() < until && said.len() < usize::from(number + 1) {
                if self.wait(until.saturating_sub(monotonic_now()), stop)? {
                    return Ok(said);
                }
                said.extend(self.hear()?.into_iter().filter_map(|(heard, from)| match heard {
                    Heard::TooBig { length, next_hop_mtu, .. } if length == size => {
                        Some((from, next_hop_mtu))
                    }
                    Heard::TooBig { .. }
                    | Heard::Answer(_)
                    | Heard::Expired { .. }
                    | Heard::Unreachable { .. } => None,
                }));
            }
        }
        Ok(said)
    }

    /// Follows large packets along the hops to the end, or until `stop` has something to read.
    ///
    /// # Errors
    /// The destination cannot be reached any more, or a socket fails.
    pub fn follow(&mut self, trace: &mut Trace, stop: BorrowedFd<'_>) -> Result<(), ProbingError> {
        loop {
            let now = monotonic_now();
            match trace.poll(now) {
                TraceAction::Done => return Ok(()),
                TraceAction::Wait(until) => {
                    if self.wait(until.saturating_sub(now), stop)? {
                        trace.stop();
                    }
                    for (heard, from) in self.hear()? {
                        match heard {
                            Heard::Answer(probe) => trace.handle_arrived(monotonic_now(), probe, from),
                            Heard::Expired { probe } => trace.handle_expired(monotonic_now(), probe, from),
                            // The search has judged what is announced.
                            Heard::TooBig { .. } | Heard::Unreachable { .. } => {}
                        }
                    }
                }
                TraceAction::Send { probe, size, hops } => {
                    self.send(probe, size, hops)?;
                }
            }
        }
    }

    fn connect(&mut self) -> Result<(), ProbingError> {
        self.connections += 1;
        let destination = self.destination;
        let connection = Connection::open(self.ends.src, destination, monotonic_now())
            .map_err(|cause| ProbingError::NoConnection { destination, cause })?;
        self.ends = connection.ends;
        self.connection = Some(connection);
        Ok(())
    }

    /// False if our own kernel refuses the size.
    fn send(&mut self, probe: u16, size: u32, hops: u8) -> Result<bool, ProbingError> {
        let position =
            self.connection.as_mut().map(|connection| connection.position(monotonic_now(), probe, size));
        let packet = wire::probe(&self.ends, probe, size, hops, position.as_ref());
        let mut to = self.destination;
        to.set_ip(self.ends.dst);
        // A port would be taken for a protocol.
        to.set_port(0);
        let Err(error) = self.sender.send_to(&packet, to) else { return Ok(true) };
        match error.raw_os_error() {
            Some(libc::EMSGSIZE) => Ok(false),
            // A device of our own dropped it, or a filter did: lost like any other.
            Some(libc::ENOBUFS | libc::EPERM) => Ok(true),
            _ => Err(ProbingError::Unreachable { destination: self.ends.dst, cause: error }),
        }
    }

    fn wait(&self, nanoseconds: Time, stop: BorrowedFd<'_>) -> Result<bool, ProbingError> {
        let third = self.connection.as_ref().map_or(&self.port, |connection| &connection.listener);
        socket::wait(&[&self.icmp, third], stop, nanoseconds)
            .map_err(|cause| ProbingError::Socket { operation: "wait for answers", cause })
    }

    /// What came in since, and from whom.
    fn hear(&mut self) -> Result<Vec<(Heard, IpAddr)>, ProbingError> {
        let family = self.ends.family();
        let mut all = Vec::new();
        while let Some((length, from)) = receive(&self.icmp, &mut self.buffer) {
            let heard = socket::payload(family, &self.buffer[..length])
                .and_then(|message| answer::heard(&self.ends, from, message));
            all.extend(heard.map(|heard| (heard, from)));
        }
        while receive(&self.port, &mut self.buffer).is_some() {
            if self.ends.method == Method::Udp {
                all.push((Heard::Answer(None), self.ends.dst));
            }
        }
        let mut is_reset = false;
        if let Some(connection) = &self.connection {
            while let Some((length, from)) = receive(&connection.listener, &mut self.buffer) {
                let segment = socket::payload(family, &self.buffer[..length])
                    .filter(|_| from == self.ends.dst)
                    .and_then(|segment| connection.hear(segment));
                is_reset |= segment == Some(Segment::Reset);
                all.extend(segment.and_then(Segment::heard).map(|heard| (heard, from)));
            }
        }
        if is_reset && self.connections < CONNECTIONS {
            self.connect()?;
        }
        Ok(all)
    }
}

fn raw_socket(error: io::Error) -> ProbingError {
    if error.kind() == ErrorKind::PermissionDenied {
        ProbingError::NoRawSocket(error)
    } else {
        ProbingError::Socket { operation: "open a raw socket", cause: error }
    }
}

/// The next one that waits. Errors are those of packets sent earlier, and say nothing that ICMP does not.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, IpAddr)> {
    loop {
        match socket.recv_from(buffer) {
            Ok((length, from)) => return Some((length, from.ip())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

fn tell(search: &mut Search, heard: Heard, from: IpAddr) {
    let now = monotonic_now();
    match heard {
        Heard::Answer(probe) => {
            if let Some(probe) = probe.or_else(|| search.unnumbered(now.saturating_sub(HORIZON))) {
                search.handle_answer(now, probe);
            }
        }
        // A quote of another length is of no probe of this search.
        Heard::TooBig { probe, length, next_hop_mtu } if search.size_of(probe) == Some(length) => {
            search.handle_too_big(probe, from, next_hop_mtu);
        }
        Heard::TooBig { .. } => {}
        Heard::Expired { probe } => {
            search.handle_unreachable(probe, from, "says that it is too many hops away");
        }
        Heard::Unreachable { probe, what } => search.handle_unreachable(probe, from, what),
    }
}
