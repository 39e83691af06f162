//! A connection of the kernel's whose peer is made to answer by old segments, sent beside it.
//!
//! Such a segment lies before the window: the peer acknowledges it at once and gives nothing of it to the application,
//! and our own kernel takes no ICMP error about it, because its sequence number is not one that is under way
//! (`tcp_v4_err`). So the size is probed where only this port is open, without a byte of data and without a trace.
use super::answer::{Heard, be16, be32, byte};
use super::wire::Position;
use super::{Ends, Method, socket};
use probe_core::model::Time;
use probe_core::model::flow::Family;
use socket2::{SockFilter, SockRef, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const SYN: u8 = 0x02;
const FIN: u8 = 0x01;
const RST: u8 = 0x04;
/// One of the timestamps of Linux and most others: a millisecond.
const TICK: Time = 1_000_000;

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    /// Both ends, as they are on the wire in this namespace.
    pub ends: Ends,
    /// Hears all segments that come to our port.
    pub listener: UdpSocket,
    /// Keeps it open.
    _stream: Socket,
    position: Position,
    opened: Time,
    /// Probes by their sequence number.
    sent: BTreeMap<u32, u16>,
}

/// What a segment of the peer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// It acknowledges a probe; `None` if it does not tell which.
    Answer(Option<u16>),
    /// The connection is gone.
    Reset,
    /// It has to do with no probe.
    Other,
}

impl Connection {
    /// Connects from `src` to `destination` at `now`.
    pub fn open(src: IpAddr, destination: SocketAddr, now: Time) -> io::Result<Self> {
        let family = Family::of(src);
        let stream = Socket::new(socket::domain(family), Type::STREAM, None)?;
        stream.bind(&SocketAddr::new(src, 0).into())?;
        let port = stream.local_addr()?.as_socket().map_or(0, |address| address.port());
        let listener = socket::listener(family, Method::Tcp.number(family))?;
        // Other connections of the namespace are not ours to read, and would fill the buffer.
        SockRef::from(&listener).attach_filter(&only_port(family, port))?;
        let listener = socket::as_datagrams(listener);
        listener.set_read_timeout(Some(CONNECT_TIMEOUT))?;
        stream.connect_timeout(&destination.into(), CONNECT_TIMEOUT)?;
        let mut buffer = vec![0; usize::from(u16::MAX)];
        loop {
            let (length, from) = listener.recv_from(&mut buffer)?;
            let opening = socket::payload(family, &buffer[..length]).and_then(synchronized);
            let Some((position, peer_port)) = opening else { continue };
            listener.set_read_timeout(None)?;
            listener.set_nonblocking(true)?;
            let ends = Ends { method: Method::Tcp, src, src_port: port, dst: from.ip(), dst_port: peer_port };
            let sent = BTreeMap::new();
            return Ok(Self { ends, listener, _stream: stream, position, opened: now, sent });
        }
    }

    /// Where a probe stands that is sent now.
    pub fn position(&mut self, now: Time, probe: u16, size: u32) -> Position {
        let elapsed = u32::try_from(now.saturating_sub(self.opened) / TICK).unwrap_or(0);
        let timestamps = self.position.timestamps.map(|(ours, theirs)| (ours.wrapping_add(elapsed), theirs));
        let options = if timestamps.is_some() { 32 } else { 20 };
        let headers = super::wire::ip_header(self.ends.family()) + options;
        let payload = (size as usize).saturating_sub(headers);
        self.sent.insert(self.position.sequence(probe, payload), probe);
        Position { timestamps, ..self.position }
    }

    /// What a segment means.
    pub fn hear(&self, segment: &[u8]) -> Option<Segment> {
        let flags = byte(segment, 13)?;
        let header = usize::from(byte(segment, 12)? >> 4) * 4;
        if flags & RST != 0 {
            return Some(Segment::Reset);
        }
        // What carries data or opens and closes is no bare acknowledgement.
        if flags & (SYN | FIN) != 0 || segment.len() > header || be32(segment, 8)? != self.position.next {
            return Some(Segment::Other);
        }
        // A duplicate is named by the first selective acknowledgement (RFC 2883).
        let left = option(segment.get(20..header)?, 5).and_then(|option| be32(option, 0));
        Some(Segment::Answer(left.and_then(|left| self.sent.get(&left).copied())))
    }
}

impl Segment {
    /// As what the search is told, if it is an answer.
    pub fn heard(self) -> Option<Heard> {
        match self {
            Self::Answer(probe) => Some(Heard::Answer(probe)),
            Self::Reset | Self::Other => None,
        }
    }
}

/// Where the connection begins, out of the peer's SYN, and the peer's port.
fn synchronized(segment: &[u8]) -> Option<(Position, u16)> {
    if byte(segment, 13)? & SYN == 0 {
        return None;
    }
    let header = usize::from(byte(segment, 12)? >> 4) * 4;
    let timestamps = option(segment.get(20..header)?, 8);
    let timestamps = timestamps.and_then(|option| Some((be32(option, 4)?, be32(option, 0)?)));
    let position =
        Position { next: be32(segment, 8)?, expected: be32(segment, 4)?.wrapping_add(1), timestamps };
    Some((position, be16(segment, 0)?))
}

/// The value of a TCP option.
fn option(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        match byte(options, 0)? {
            0 => return None,
            1 => options = options.get(1..)?,
            kind => {
                let length = usize::from(byte(options, 1)?).max(2);
                if kind == wanted {
                    return options.get(2..length);
                }
                options = options.get(length..)?;
            }
        }
    }
}

/// A classic BPF program that lets segments to one port pass. A raw IPv4 socket sees the IP header, an IPv6 one does not.
fn only_port(family: Family, port: u16) -> Vec<SockFilter> {
    let step = |code: u32, jt, jf, k| SockFilter::new(code as u16, jt, jf, k);
    let half_word = libc::BPF_LD | libc::BPF_H;
    let load = match family {
        Family::Ipv4 => vec![
            step(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0, 0, 0),
            step(half_word | libc::BPF_IND, 0, 0, 2),
        ],
        Family::Ipv6 => vec![step(half_word | libc::BPF_ABS, 0, 0, 2)],
    };
    let decide = [
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, port.into()),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ];
    load.into_iter().chain(decide).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_and_bounded() {
        let options = [1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 5, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2];
        assert_eq!(option(&options, 8).and_then(|option| be32(option, 4)), Some(5));
        assert_eq!(option(&options, 5).and_then(|option| be32(option, 0)), Some(1));
        for end in 0..options.len() {
            let _total = option(&options[..end], 5);
        }
        assert_eq!(option(&[5, 0], 5), Some(&[][..]));
    }

    #[test]
    fn a_syn_tells_where_both_begin() {
        let mut segment = vec![0x01, 0xbb, 0x9c, 0x40];
        segment.extend(41_u32.to_be_bytes());
        segment.extend(1000_u32.to_be_bytes());
        segment.extend([0x50, 0x12, 0, 0, 0, 0, 0, 0]);
        let (position, port) = synchronized(&segment).expect("a SYN");
        assert_eq!((position.next, position.expected, position.timestamps, port), (1000, 42, None, 443));
    }
}
