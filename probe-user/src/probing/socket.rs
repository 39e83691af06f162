//! Raw sockets in the calling thread's network namespace.
use super::wire::ip_header;
use probe_core::model::Time;
use probe_core::model::flow::Family;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Sends probes with their own IP header, whatever path MTU was learned: only the device's MTU refuses one.
pub fn sender(src: IpAddr) -> io::Result<UdpSocket> {
    let family = Family::of(src);
    let socket = Socket::new(domain(family), Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
    discover(&socket, family, libc::IP_PMTUDISC_PROBE)?;
    socket.bind(&SocketAddr::new(src, 0).into())?;
    Ok(as_datagrams(socket))
}

/// Hears what comes in of a protocol, and learns nothing from it for the kernel.
pub fn listener(family: Family, protocol: u8) -> io::Result<Socket> {
    let socket = Socket::new(domain(family), Type::RAW, Some(Protocol::from(i32::from(protocol))))?;
    discover(&socket, family, libc::IP_PMTUDISC_INTERFACE)?;
    Ok(socket)
}

/// A port of our own, which answers come to; its socket ignores errors about size.
pub fn datagrams(destination: SocketAddr) -> io::Result<UdpSocket> {
    let family = Family::of(destination.ip());
    let socket = Socket::new(domain(family), Type::DGRAM, None)?;
    discover(&socket, family, libc::IP_PMTUDISC_INTERFACE)?;
    socket.connect(&destination.into())?;
    Ok(as_datagrams(socket))
}

/// The standard library's type has receiving from and sending to addresses, which is all that is wanted of a raw socket.
pub fn as_datagrams(socket: Socket) -> UdpSocket {
    UdpSocket::from(OwnedFd::from(socket))
}

pub fn domain(family: Family) -> Domain {
    match family {
        Family::Ipv4 => Domain::IPV4,
        Family::Ipv6 => Domain::IPV6,
    }
}

/// The values have the same numbers in both families.
fn discover(socket: &impl AsRawFd, family: Family, value: libc::c_int) -> io::Result<()> {
    let (level, name) = match family {
        Family::Ipv4 => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
        Family::Ipv6 => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER),
    };
    // SAFETY: the pointer and the length are those of a local integer, which the call only reads.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Waits until one of the sockets has something, or for so many nanoseconds; true if `stop` has something to read.
pub fn wait(sockets: &[&UdpSocket], stop: BorrowedFd<'_>, nanoseconds: Time) -> io::Result<bool> {
    let descriptors = sockets.iter().map(|socket| socket.as_raw_fd()).chain([stop.as_raw_fd()]);
    let mut wanted: Vec<libc::pollfd> =
        descriptors.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
    let milliseconds = libc::c_int::try_from(nanoseconds.div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX);
    // SAFETY: the pointer and the number are those of the vector, which lives for the whole call.
    let ready = unsafe { libc::poll(wanted.as_mut_ptr(), wanted.len() as libc::nfds_t, milliseconds) };
    match ready {
        -1 if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted => {
            Err(io::Error::last_os_error())
        }
        _ => Ok(wanted.last().is_some_and(|stop| stop.revents != 0)),
    }
}

/// What a raw socket gave, without the IP header: over IPv4 the kernel leaves it on.
pub fn payload(family: Family, bytes: &[u8]) -> Option<&[u8]> {
    match family {
        Family::Ipv4 => {
            let header = usize::from(bytes.first()? & 0xf) * 4;
            bytes.get(header.max(ip_header(family))..)
        }
        Family::Ipv6 => Some(bytes),
    }
}
