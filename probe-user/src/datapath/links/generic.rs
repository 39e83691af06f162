//! Generic netlink: what a kernel module says of its own objects.
use super::connection::{HEADER_BYTES, NetlinkError, datagram_messages};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC};
use std::io;

/// `struct genlmsghdr`: command, version, reserved.
const GENERIC_HEADER_BYTES: usize = 4;
/// The kernel fills at most 32 KiB at a time (`netlink_recvmsg`).
const BUFFER_BYTES: usize = 64 * 1024;
/// The two upper bits of an attribute's type (`NLA_F_NESTED`, `NLA_F_NET_BYTEORDER`).
const TYPE_MASK: u16 = 0x3fff;

/// Message types (`include/uapi/linux/netlink.h`).
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;

/// `GENL_ID_CTRL`, `CTRL_CMD_GETFAMILY` and attributes (`include/uapi/linux/genetlink.h`).
mod control {
    pub const ID: u16 = 0x10;
    pub const GET_FAMILY: u8 = 3;
    pub const FAMILY_ID: u16 = 1;
    pub const FAMILY_NAME: u16 = 2;
}

/// A socket for one generic family.
#[derive(Debug)]
pub struct Generic {
    socket: Socket,
    name: &'static str,
    id: u16,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Generic {
    /// A socket in the calling thread's network namespace; `None` if the kernel has no such family (the module is not
    /// loaded).
    pub fn open(name: &'static str) -> Result<Option<Self>, NetlinkError> {
        let failed =
            |operation: &str, source| NetlinkError::Socket { operation: operation.to_owned(), source };
        let mut socket = Socket::new(NETLINK_GENERIC).map_err(|error| failed("open a socket", error))?;
        socket.bind_auto().map_err(|error| failed("bind a socket", error))?;
        socket.connect(&SocketAddr::new(0, 0)).map_err(|error| failed("connect to the kernel", error))?;
        let mut generic = Self { socket, name, id: control::ID, sequence: 0, buffer: vec![0; BUFFER_BYTES] };
        let mut wanted = name.as_bytes().to_vec();
        wanted.push(0);
        let request = attribute(control::FAMILY_NAME, &wanted);
        let answer = generic.ask(control::GET_FAMILY, NLM_F_REQUEST | NLM_F_ACK, &request, usize::MAX);
        let id = match answer {
            Ok(messages) => messages.unwrap_or_default().iter().find_map(|message| {
                let found = attributes(message).find(|(kind, _)| *kind == control::FAMILY_ID)?;
                Some(u16::from_ne_bytes(found.1.try_into().ok()?))
            }),
            Err(error) if error.errno() == Some(libc::ENOENT) => None,
            Err(error) => return Err(error),
        };
        Ok(id.map(|id| Self { id, ..generic }))
    }

    /// The attributes of each object that a command lists; `request` are attributes that narrow it down.
    pub fn dump(&mut self, command: u8, request: &[u8]) -> Result<Vec<Vec<u8>>, NetlinkError> {
        Ok(self.ask(command, NLM_F_REQUEST | NLM_F_DUMP, request, usize::MAX)?.unwrap_or_default())
    }

    /// The same of a command that may list more than anybody wants: `None` if there are more than this many.
    pub fn dump_at_most(
        mut self,
        command: u8,
        request: &[u8],
        limit: usize,
    ) -> Result<Option<Vec<Vec<u8>>>, NetlinkError> {
        self.ask(command, NLM_F_REQUEST | NLM_F_DUMP, request, limit)
    }

    /// `None` leaves the rest of the answer unread, after which this can be asked nothing more.
    fn ask(
        &mut self,
        command: u8,
        flags: u16,
        request: &[u8],
        limit: usize,
    ) -> Result<Option<Vec<Vec<u8>>>, NetlinkError> {
        let operation = format!("list {}", self.name);
        let refused = |source| NetlinkError::Refused { operation: operation.clone(), source };
        self.sequence = self.sequence.wrapping_add(1);
        let length = HEADER_BYTES + GENERIC_HEADER_BYTES + request.len();
        let mut bytes = Vec::with_capacity(length);
        bytes.extend(u32::try_from(length).unwrap_or(0).to_ne_bytes());
        bytes.extend(self.id.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(self.sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend([command, 1, 0, 0]);
        bytes.extend(request);
        self.socket.send(&bytes, 0).map_err(refused)?;
        let mut messages = Vec::new();
        loop {
            let buffer = &mut self.buffer;
            let length = self.socket.recv(&mut &mut buffer[..], 0).map_err(refused)?;
            if collect(&self.buffer[..length], self.sequence, &mut messages).map_err(refused)? {
                return Ok(Some(messages));
            }
            if messages.len() > limit {
                return Ok(None);
            }
        }
    }
}

/// Takes the messages of one read in; true when the answer is complete.
fn collect(datagram: &[u8], sequence: u32, messages: &mut Vec<Vec<u8>>) -> io::Result<bool> {
    for message in datagram_messages(datagram) {
        let number = |at: usize| {
            message.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes)
        };
        if number(8) != Some(sequence.cast_signed()) {
            continue;
        }
        let kind = message.get(4..6).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_ne_bytes);
        match kind {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => match number(HEADER_BYTES) {
                Some(0) => return Ok(true),
                Some(code) => {
                    return Err(io::Error::from_raw_os_error(code.checked_neg().unwrap_or(libc::EIO)));
                }
                None => return Err(io::Error::from_raw_os_error(libc::EIO)),
            },
            _ => messages.extend(message.get(HEADER_BYTES + GENERIC_HEADER_BYTES..).map(<[u8]>::to_vec)),
        }
    }
    Ok(false)
}

/// One attribute as the kernel wants it: length, type, value, filled up to 4 bytes.
pub fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The attributes in a message or in another attribute: type and value.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?) & TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_are_written() {
        let bytes = [attribute(1, &[7]), attribute(0x8002, &[1, 2, 3, 4])].concat();
        let found: Vec<_> = attributes(&bytes).collect();
        assert_eq!(found, [(1, &[7][..]), (2, &[1, 2, 3, 4][..])]);
    }

    #[test]
    fn what_is_cut_ends_the_list() {
        for bytes in [&[][..], &[3, 0, 1, 0], &[9, 0, 1, 0, 5], &[0, 0, 0, 0]] {
            assert_eq!(attributes(bytes).count(), 0, "{bytes:?}");
        }
    }
}
