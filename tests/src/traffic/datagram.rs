//! UDP: datagrams of a given IP length and don't-fragment mode, each acknowledged by the server.
use super::{PORT, socket_option};
use crate::topology::Family;
use crate::topology::Namespace;
use crate::topology::namespace::Task;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

const MARK: u32 = 0x6d74_7570;
const UDP_HEADER: u32 = 8;
const REQUEST_LENGTH: usize = 12;
/// How long answers are waited for where some came: what is late on a busy machine is not lost.
const LATE: Duration = Duration::from_secs(5);

/// Path MTU discovery of a socket (`IP_MTU_DISCOVER`, `IPV6_MTU_DISCOVER`; see ip(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Df {
    /// Never DF; what is too big is fragmented.
    Dont,
    /// DF as long as it fits the known path, else fragmented by the sender.
    Want,
    /// Always DF; what exceeds the known path is refused with EMSGSIZE.
    Do,
    /// Always DF, and only the device's own MTU is respected.
    Probe,
}

impl Df {
    const ALL: [Self; 4] = [Self::Dont, Self::Want, Self::Do, Self::Probe];

    // IPv6 has the same numbers.
    const fn option(self) -> i32 {
        match self {
            Self::Dont => libc::IP_PMTUDISC_DONT,
            Self::Want => libc::IP_PMTUDISC_WANT,
            Self::Do => libc::IP_PMTUDISC_DO,
            Self::Probe => libc::IP_PMTUDISC_PROBE,
        }
    }

    const fn code(self) -> u8 {
        self.option() as u8
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|df| df.code() == code)
    }
}

pub(super) fn set_df(socket: &impl AsRawFd, family: Family, df: Df) -> std::io::Result<()> {
    match family {
        Family::V4 => socket_option::set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, df.option()),
        Family::V6 => socket_option::set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, df.option()),
    }
}

/// Datagrams to send.
#[derive(Clone, Debug)]
pub struct Datagrams {
    /// In turn; in bytes at layer 3.
    lengths: Vec<u32>,
    count: u32,
    df: Df,
    interval: Duration,
    wait: Duration,
    lasting: Option<Duration>,
    reply_length: u32,
    reply_df: Df,
}

impl Datagrams {
    /// Ten datagrams of this length in bytes at layer 3 (IP header included), with a small answer to each.
    pub fn of(length: u32, df: Df) -> Self {
        Self {
            lengths: vec![length],
            count: 10,
            df,
            interval: Duration::from_millis(20),
            wait: Duration::from_millis(500),
            lasting: None,
            reply_length: 68,
            reply_df: Df::Want,
        }
    }

    /// One datagram of each length, in this order.
    pub fn stepped(lengths: &[u32], df: Df) -> Self {
        Self { lengths: lengths.to_vec(), count: lengths.len() as u32, ..Self::of(0, df) }
    }

    /// How many.
    pub fn count(mut self, count: u32) -> Self {
        self.count = count;
        self
    }

    /// Time between two.
    pub fn every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How long to wait after the last for a first answer.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Send for this time at most.
    pub fn lasting(mut self, time: Duration) -> Self {
        self.lasting = Some(time);
        self
    }

    /// Length of the answers, in bytes at layer 3.
    pub fn reply(mut self, length: u32, df: Df) -> Self {
        self.reply_length = length;
        self.reply_df = df;
        self
    }

    /// Sends from a namespace and collects the answers.
    pub fn run(self, from: &Namespace, to: IpAddr) -> Result<Delivery> {
        self.start(from, to)?.join()?
    }

    /// The same, beside the caller.
    pub fn start(self, from: &Namespace, to: IpAddr) -> Result<Task<Result<Delivery>>> {
        from.spawn(move || self.send(to))
    }

    fn send(self, to: IpAddr) -> Result<Delivery> {
        let (family, any) = match to {
            IpAddr::V4(_) => (Family::V4, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            IpAddr::V6(_) => (Family::V6, IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        };
        let socket = UdpSocket::bind((any, 0)).context("making a UDP socket")?;
        set_df(&socket, family, self.df).context("setting MTU discovery")?;
        socket.connect(SocketAddr::new(to, PORT)).context("connecting a UDP socket")?;
        let headers = family.header() + UDP_HEADER;
        let shortest = self.lengths.iter().copied().min().unwrap_or(0).min(self.reply_length);
        ensure!(shortest >= headers + REQUEST_LENGTH as u32, "datagrams too short");
        let reply_length = (self.reply_length - headers) as u16;
        let begin = Instant::now();
        let mut delivery = Delivery::default();
        let mut missing = BTreeSet::new();
        for (number, length) in (0..self.count).zip(self.lengths.iter().cycle()) {
            if self.lasting.is_some_and(|time| begin.elapsed() > time) {
                break;
            }
            let mut payload = vec![0x55; (length - headers) as usize];
            let request = Request { number, reply_length, reply_df: self.reply_df };
            payload[..REQUEST_LENGTH].copy_from_slice(&request.write());
            delivery.sent += 1;
            match socket.send(&payload) {
                Ok(_) => drop(missing.insert(number)),
                Err(error) => delivery.book(&error),
            }
            collect(&socket, &mut missing, &mut delivery, Instant::now() + self.interval, false);
        }
        let last = Instant::now();
        collect(&socket, &mut missing, &mut delivery, last + self.wait, true);
        if !delivery.none() {
            collect(&socket, &mut missing, &mut delivery, last + self.wait.max(LATE), true);
        }
        delivery.path_mtu = socket_option::path_mtu(&socket, family).context("asking for the path MTU")?;
        Ok(delivery)
    }
}

/// What became of [`Datagrams`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Handed to the kernel, or tried to.
    pub sent: u32,
    /// Answered.
    pub answered: u32,
    /// Refused by the sender's own kernel as too long (EMSGSIZE), or an error about size that came back.
    pub refused: u32,
    /// Path MTU that the sender believes in at the end, in bytes at layer 3.
    pub path_mtu: u32,
}

impl Delivery {
    /// Every datagram was answered.
    pub const fn all(&self) -> bool {
        self.answered == self.sent
    }

    /// None was.
    pub const fn none(&self) -> bool {
        self.answered == 0
    }

    fn book(&mut self, error: &std::io::Error) {
        // Anything else is not about size: it shows as a missing answer.
        if error.raw_os_error() == Some(libc::EMSGSIZE) {
            self.refused += 1;
        }
    }
}

/// Takes answers until `end`, or until none is missing if that is enough.
fn collect(
    socket: &UdpSocket,
    missing: &mut BTreeSet<u32>,
    delivery: &mut Delivery,
    end: Instant,
    until_complete: bool,
) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    while !(until_complete && missing.is_empty()) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || socket.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match socket.recv(&mut buffer) {
            Ok(length) => {
                if Request::read(&buffer[..length]).is_some_and(|reply| missing.remove(&reply.number)) {
                    delivery.answered += 1;
                }
            }
            Err(error) => delivery.book(&error),
        }
    }
}

/// What a datagram says at its beginning; an answer repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    number: u32,
    reply_length: u16,
    pub(super) reply_df: Df,
}

impl Request {
    fn write(self) -> [u8; REQUEST_LENGTH] {
        let mut bytes = [0; REQUEST_LENGTH];
        bytes[0..4].copy_from_slice(&MARK.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.number.to_be_bytes());
        bytes[8..10].copy_from_slice(&self.reply_length.to_be_bytes());
        bytes[10] = self.reply_df.code();
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let field = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        if field(0)? != MARK {
            return None;
        }
        Some(Self {
            number: field(4)?,
            reply_length: u16::from_be_bytes(bytes.get(8..10)?.try_into().ok()?),
            reply_df: Df::from_code(*bytes.get(10)?)?,
        })
    }

    pub(super) fn reply(self) -> Vec<u8> {
        let mut bytes = vec![0xaa; usize::from(self.reply_length).max(REQUEST_LENGTH)];
        bytes[..REQUEST_LENGTH].copy_from_slice(&self.write());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let request = Request { number: 7, reply_length: 1472, reply_df: Df::Probe };
        assert_eq!(Request::read(&request.write()), Some(request));
        assert_eq!(request.reply().len(), 1472);
        assert_eq!(Request::read(&[0; REQUEST_LENGTH]), None);
    }
}
