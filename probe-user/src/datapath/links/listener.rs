//! A socket that hears of changes in our namespace and, where the kernel lets it, in those that we have ids for.
use super::connection::NetlinkError;
use super::notification::{Notification, notifications};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd as _, RawFd};

/// Multicast groups (`RTNLGRP_*`): links, addresses, routes and rules of both families, namespace ids.
const GROUPS: [u32; 8] = [1, 5, 7, 8, 9, 11, 19, 28];
/// A notification is a few KiB.
const BUFFER_BYTES: usize = 64 * 1024;
/// One control message with a namespace id is 24 bytes.
const CONTROL_BYTES: usize = 64;

/// What one reading brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// Changes in a namespace: ours, or the one with an id.
    Changes {
        /// The other namespace's id.
        nsid: Option<i32>,
        /// What changed.
        notifications: Vec<Notification>,
    },
    /// The socket's buffer overflowed: changes were lost, everything must be read again.
    Overflow,
    /// Nothing more at present.
    Nothing,
}

/// The socket. It never blocks.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    buffer: Vec<u8>,
    hears_others: bool,
}

impl Listener {
    /// Listens from now on in the calling thread's namespace, with a buffer of some bytes in the kernel.
    pub fn open(receive_buffer: i32) -> Result<Self, NetlinkError> {
        let failed =
            |operation: &str, source| NetlinkError::Socket { operation: operation.to_owned(), source };
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(|error| failed("open a socket", error))?;
        socket.bind_auto().map_err(|error| failed("bind a socket", error))?;
        set_receive_buffer(socket.as_raw_fd(), receive_buffer)
            .map_err(|error| failed("set the size of the receive buffer", error))?;
        // Needs CAP_NET_BROADCAST; without it, changes inside pods are found by reading again.
        let hears_others = socket.set_listen_all_namespaces(true).is_ok();
        for group in GROUPS {
            socket
                .add_membership(group)
                .map_err(|error| failed("join the notifications of changes", error))?;
        }
        Ok(Self { socket, buffer: vec![0; BUFFER_BYTES], hears_others })
    }

    /// Changes in other namespaces are heard as well.
    pub fn hears_others(&self) -> bool {
        self.hears_others
    }

    /// Takes the next datagram without waiting.
    pub fn hear(&mut self) -> Result<Heard, NetlinkError> {
        loop {
            match receive(self.socket.as_raw_fd(), &mut self.buffer) {
                Ok((length, nsid)) => {
                    let notifications = notifications(&self.buffer[..length]).collect();
                    return Ok(Heard::Changes { nsid, notifications });
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN) => return Ok(Heard::Nothing),
                    Some(libc::ENOBUFS) => return Ok(Heard::Overflow),
                    _ => {
                        let operation = "hear of changes".to_owned();
                        return Err(NetlinkError::Socket { operation, source: error });
                    }
                },
            }
        }
    }
}

impl std::os::fd::AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Beyond the system's ordinary maximum where we may (`CAP_NET_ADMIN`), else up to it.
fn set_receive_buffer(socket: RawFd, bytes: i32) -> io::Result<()> {
    let set = |option| {
        // SAFETY: the kernel reads one int at the given address, which outlives the call.
        let result = unsafe {
            libc::setsockopt(
                socket,
                libc::SOL_SOCKET,
                option,
                (&raw const bytes).cast(),
                size_of::<i32>() as libc::socklen_t,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    set(libc::SO_RCVBUFFORCE).or_else(|_| set(libc::SO_RCVBUF))
}

/// One datagram, cut to the buffer, and the id of the namespace that it comes from if that is not ours.
fn receive(socket: RawFd, buffer: &mut [u8]) -> io::Result<(usize, Option<i32>)> {
    let mut control = [0_u64; CONTROL_BYTES / 8];
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: msghdr is a plain C structure; all zero is an empty one.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_BYTES as _;
    // SAFETY: header points at buffers of the lengths it names; all outlive the call.
    let received = unsafe { libc::recvmsg(socket, &raw mut header, libc::MSG_DONTWAIT) };
    let length = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: header is as recvmsg left it and control is still there: the macros stay within msg_controllen.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    let mut nsid = None;
    // SAFETY: a message that the macros return is valid until control is dropped; its data is not aligned.
    while let Some(found) = unsafe { message.as_ref() } {
        if found.cmsg_level == libc::SOL_NETLINK && found.cmsg_type == libc::NETLINK_LISTEN_ALL_NSID {
            // SAFETY: the kernel puts one int there (`netlink_cmsg_listen_all_nsid`).
            nsid = Some(unsafe { libc::CMSG_DATA(message).cast::<i32>().read_unaligned() });
        }
        // SAFETY: as above.
        message = unsafe { libc::CMSG_NXTHDR(&raw const header, message) };
    }
    Ok((length.min(buffer.len()), nsid))
}
