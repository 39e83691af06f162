//! UDP as fast as it goes, each datagram to another port: as many flows as packets.
use crate::topology::Namespace;
use crate::topology::namespace::Task;
use crate::traffic::socket_option::set;
use anyhow::{Context, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Payload in bytes of what is small.
const SMALL: usize = 100;
/// Datagrams between two looks at the clock.
const BURST: u16 = 1024;

/// Sends from a namespace for a time, beside the caller; gives the number of datagrams that the kernel took.
pub fn flood(from: &Namespace, to: IpAddr, time: Duration) -> Result<Task<Result<u64>>> {
    from.spawn(move || send(to, SMALL, time))
}

/// The same with datagrams of a length at layer 3 in bytes that are never cut, whatever errors come back.
pub fn flood_uncut(from: &Namespace, to: IpAddr, length: usize, time: Duration) -> Result<Task<Result<u64>>> {
    let headers = if to.is_ipv4() { 28 } else { 48 };
    from.spawn(move || send(to, length - headers, time))
}

fn send(to: IpAddr, payload: usize, time: Duration) -> Result<u64> {
    let any = match to {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).context("making a UDP socket")?;
    let (level, name) = match to {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER),
    };
    if payload != SMALL {
        set(&socket, level, name, libc::IP_PMTUDISC_PROBE).context("sending whole")?;
    }
    let packet = vec![0; payload];
    let begin = Instant::now();
    let (mut sent, mut port) = (0, 1_u16);
    while begin.elapsed() < time {
        for _ in 0..BURST {
            // A full queue or a filter on the way out refuses; the next one is tried all the same.
            sent += u64::from(socket.send_to(&packet, SocketAddr::new(to, port)).is_ok());
            port = port.wrapping_add(1).max(1);
        }
    }
    Ok(sent)
}
