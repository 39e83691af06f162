//! Socket options that the standard library lacks.
use crate::topology::Family;
use std::io::{Error, Result};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// What TCP says about a connection (`struct tcp_info`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpState {
    /// Largest segment that it sends, in bytes of payload.
    pub send_mss: u32,
    /// Path MTU that it believes in, in bytes at layer 3.
    pub path_mtu: u32,
    /// Segments sent again, over its whole life.
    pub retransmits: u32,
    /// Segments sent and not acknowledged.
    pub unacknowledged: u32,
}

/// Sets an option whose value is an integer.
pub fn set(socket: &impl AsRawFd, level: i32, name: i32, value: i32) -> Result<()> {
    // SAFETY: the pointer and the length are those of a local integer, which the call only reads.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

/// Has the kernel drop the connection's state at once when it is closed: an orphan that goes on retransmitting
/// into a black hole would keep its namespace alive.
pub fn abort_on_close(stream: &TcpStream) -> Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: the pointer and the length are those of a local value, which the call only reads.
    let done = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of_val(&linger) as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

/// Bounds how long unacknowledged data is kept, also after the owner was killed.
pub fn give_up_after(stream: &TcpStream, limit: Duration) -> Result<()> {
    let milliseconds = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
    set(stream, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, milliseconds)
}

/// State of a connection.
pub fn tcp_state(stream: &TcpStream) -> Result<TcpState> {
    // SAFETY: tcp_info is integers only, for which zeros are a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    get(stream, libc::IPPROTO_TCP, libc::TCP_INFO, &mut info)?;
    Ok(TcpState {
        send_mss: info.tcpi_snd_mss,
        path_mtu: info.tcpi_pmtu,
        retransmits: info.tcpi_total_retrans,
        unacknowledged: info.tcpi_unacked,
    })
}

/// Path MTU towards the peer of a connected socket, in bytes at layer 3.
pub fn path_mtu(socket: &impl AsRawFd, family: Family) -> Result<u32> {
    let (level, name) = match family {
        Family::V4 => (libc::IPPROTO_IP, libc::IP_MTU),
        Family::V6 => (libc::IPPROTO_IPV6, libc::IPV6_MTU),
    };
    let mut value: libc::c_int = 0;
    get(socket, level, name, &mut value)?;
    Ok(u32::try_from(value).unwrap_or(0))
}

fn get<T: Copy>(socket: &impl AsRawFd, level: i32, name: i32, value: &mut T) -> Result<()> {
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into the value, whose types here are made of integers.
    let done = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut *value).cast(), &raw mut length)
    };
    if done == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}
