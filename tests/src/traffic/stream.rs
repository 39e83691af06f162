//! TCP: a number of rounds of request and response, with byte counts and a time limit.
use super::datagram::set_df;
use super::server::TICK;
use super::{Df, PORT, socket_option};
use crate::probe::PATIENCE;
use crate::topology::namespace::Task;
use crate::topology::{Family, Namespace};
use anyhow::{Context, Result};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use super::socket_option::TcpState;

/// Longer than any exchange here; ends what a killed lab leaves behind.
const GIVE_UP: Duration = PATIENCE;
const CHUNK: usize = 256 << 10;

/// What one connection shall carry.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    request: u32,
    response: u32,
    rounds: u32,
    pause: Duration,
    limit: Duration,
    df: Option<Df>,
}

impl Exchange {
    /// Rounds of a request and a response, in bytes of payload. A request up to the MSS is one segment.
    pub const fn rounds(request: u32, response: u32, rounds: u32) -> Self {
        Self { request, response, rounds, pause: Duration::ZERO, limit: Duration::from_secs(10), df: None }
    }

    /// An upload.
    pub const fn push(bytes: u32) -> Self {
        Self::rounds(bytes, 1, 1)
    }

    /// A download.
    pub const fn pull(bytes: u32) -> Self {
        Self::rounds(1, bytes, 1)
    }

    /// Time between the rounds.
    pub const fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Time after which it counts as stalled.
    pub const fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Path MTU discovery of the sender's socket, if not the default.
    pub const fn df(mut self, df: Df) -> Self {
        self.df = Some(df);
        self
    }

    /// Payload in both directions together.
    pub const fn bytes(&self) -> u64 {
        (self.request as u64 + self.response as u64) * self.rounds as u64
    }

    /// Connects from a namespace and goes through the rounds.
    pub fn run(self, from: &Namespace, to: IpAddr) -> Result<Transfer> {
        self.start(from, to)?.join()?
    }

    /// The same, beside the caller.
    pub fn start(self, from: &Namespace, to: IpAddr) -> Result<Task<Result<Transfer>>> {
        from.spawn(move || self.connect(to, &AtomicBool::new(false)))
    }

    /// The same, until the caller has seen what it waits for: however long that takes, the traffic is still there.
    pub fn keep_up(self, from: &Namespace, to: IpAddr) -> Result<Ongoing> {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let task = from.spawn(move || self.limit(PATIENCE).connect(to, &flag))?;
        Ok(Ongoing { task, stop })
    }

    fn connect(self, to: IpAddr, stop: &AtomicBool) -> Result<Transfer> {
        let begin = Instant::now();
        let mut transfer = Transfer::default();
        let Ok(mut stream) = TcpStream::connect_timeout(&SocketAddr::new(to, PORT), self.limit) else {
            transfer.took = begin.elapsed();
            return Ok(transfer);
        };
        transfer.connected = true;
        socket_option::give_up_after(&stream, GIVE_UP).context("setting a time limit")?;
        if let Some(df) = self.df {
            let family = if to.is_ipv4() { Family::V4 } else { Family::V6 };
            set_df(&stream, family, df).context("setting path MTU discovery")?;
        }
        stream.set_nodelay(true).context("setting TCP_NODELAY")?;
        transfer.complete = self.go(&mut stream, End { at: begin + self.limit, stop }, &mut transfer).is_ok();
        transfer.took = begin.elapsed();
        transfer.tcp = socket_option::tcp_state(&stream).context("asking for the state of a connection")?;
        if !transfer.complete {
            socket_option::abort_on_close(&stream).context("setting SO_LINGER")?;
        }
        Ok(transfer)
    }

    fn go(self, stream: &mut TcpStream, end: End<'_>, transfer: &mut Transfer) -> std::io::Result<()> {
        let header = [self.request, self.response, self.rounds].map(u32::to_be_bytes).concat();
        write(stream, &header, end)?;
        // Wait until the header is through, so that a request is a packet of its own.
        read(stream, 1, end)?;
        let request = vec![0x55; CHUNK.min(self.request as usize)];
        for round in 0..self.rounds {
            if round > 0 {
                std::thread::sleep(self.pause);
            }
            let mut left = self.request as usize;
            while left > 0 {
                let piece = left.min(request.len());
                write(stream, &request[..piece], end)?;
                left -= piece;
            }
            read(stream, self.response, end)?;
            transfer.rounds += 1;
        }
        Ok(())
    }
}

/// An [`Exchange`] that goes on until it is told to end.
#[derive(Debug)]
pub struct Ongoing {
    task: Task<Result<Transfer>>,
    stop: Arc<AtomicBool>,
}

impl Ongoing {
    /// Ends it, and waits for that.
    pub fn end(self) -> Result<Transfer> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.join()?
    }
}

/// What became of an [`Exchange`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transfer {
    /// The handshake came through.
    pub connected: bool,
    /// Everything arrived within the limit.
    pub complete: bool,
    /// Rounds that were completed.
    pub rounds: u32,
    /// Time that it took, also when it failed.
    pub took: Duration,
    /// The sender's view at the end.
    pub tcp: TcpState,
}

impl Transfer {
    /// Connected, then nothing more: what a black hole looks like to an application.
    pub const fn stalled(&self) -> bool {
        self.connected && !self.complete
    }
}

/// The server's side of one connection.
pub(super) fn answer(mut stream: &TcpStream, stop: &AtomicBool) {
    let served = serve(&mut stream, stop);
    if served.is_err() {
        // The client reports what is missing; here only nothing shall stay behind.
        let _closed_already = socket_option::abort_on_close(stream);
    }
}

fn serve(stream: &mut &TcpStream, stop: &AtomicBool) -> std::io::Result<()> {
    socket_option::give_up_after(stream, GIVE_UP)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TICK))?;
    stream.set_write_timeout(Some(TICK))?;
    let mut header = [0; 12];
    patiently(stop, header.len(), |done| stream.read(&mut header[done..]))?;
    let [request, response, rounds] =
        [0, 4, 8].map(|at| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]));
    patiently(stop, 1, |_| stream.write(&[1]))?;
    let mut buffer = vec![0xaa; CHUNK];
    for _ in 0..rounds {
        patiently(stop, request as usize, |done| {
            let wanted = CHUNK.min(request as usize - done);
            stream.read(&mut buffer[..wanted])
        })?;
        patiently(stop, response as usize, |done| {
            stream.write(&buffer[..CHUNK.min(response as usize - done)])
        })?;
    }
    Ok(())
}

/// Repeats a read or write with a short time limit until all is done or the server stops.
fn patiently(
    stop: &AtomicBool,
    length: usize,
    mut step: impl FnMut(usize) -> std::io::Result<usize>,
) -> std::io::Result<()> {
    let mut done = 0;
    while done < length {
        match step(done) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(more) => done += more,
            Err(error) if is_time_limit(&error) => {
                if stop.load(Ordering::Relaxed) {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// When a client stops trying.
#[derive(Clone, Copy)]
struct End<'flag> {
    at: Instant,
    stop: &'flag AtomicBool,
}

impl End<'_> {
    /// How long to wait until the next look at it.
    fn left(self) -> std::io::Result<Duration> {
        let left = self.at.saturating_duration_since(Instant::now());
        if left.is_zero() || self.stop.load(Ordering::Relaxed) {
            Err(ErrorKind::TimedOut.into())
        } else {
            Ok(left.min(TICK))
        }
    }
}

fn write(stream: &mut TcpStream, data: &[u8], end: End<'_>) -> std::io::Result<()> {
    let mut rest = data;
    while !rest.is_empty() {
        stream.set_write_timeout(Some(end.left()?))?;
        match stream.write(rest) {
            Ok(written) => rest = &rest[written..],
            Err(error) if is_time_limit(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn read(stream: &mut TcpStream, length: u32, end: End<'_>) -> std::io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut missing = length as usize;
    while missing > 0 {
        stream.set_read_timeout(Some(end.left()?))?;
        let wanted = CHUNK.min(missing);
        match stream.read(&mut buffer[..wanted]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(got) => missing -= got,
            Err(error) if is_time_limit(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_time_limit(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
