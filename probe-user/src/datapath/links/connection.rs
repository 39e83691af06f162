//! A route netlink socket that asks and waits for the answer.
//!
//! It blocks: use it from a thread of its own, never from an async task. A socket belongs to the network namespace of
//! the thread that opened it, for good.
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::fmt::Display;
use std::io;

/// `NLM_F_DUMP_INTR`: the table changed during the dump, so entries may be missing or double.
const DUMP_INTERRUPTED: u16 = 0x10;
/// How often an interrupted dump is asked for again before what there is must do.
const DUMP_ATTEMPTS: u32 = 8;
/// The kernel fills at most 32 KiB at a time (`netlink_recvmsg`); single answers may be larger.
const BUFFER_BYTES: usize = 64 * 1024;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The socket could not be opened or used.
    #[error("netlink: {operation}: {source}")]
    Socket {
        /// What was done.
        operation: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused the request.
    #[error("netlink: {operation}: {source}")]
    Refused {
        /// What was asked, of which object.
        operation: String,
        /// What the kernel said.
        source: io::Error,
    },
}

impl NetlinkError {
    /// The error number.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Socket { source, .. } | Self::Refused { source, .. } => source.raw_os_error(),
        }
    }

    /// The kernel refused for want of a capability.
    pub fn is_permission(&self) -> bool {
        matches!(self.errno(), Some(libc::EPERM | libc::EACCES))
    }
}

/// A request socket.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
    undecodable: u64,
}

/// What became of one attempt.
struct Answer {
    messages: Vec<RouteNetlinkMessage>,
    interrupted: bool,
}

impl Connection {
    /// A socket in the calling thread's network namespace.
    pub fn open() -> Result<Self, NetlinkError> {
        let failed =
            |operation: &str, source| NetlinkError::Socket { operation: operation.to_owned(), source };
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(|error| failed("open a socket", error))?;
        socket.bind_auto().map_err(|error| failed("bind a socket", error))?;
        socket.connect(&SocketAddr::new(0, 0)).map_err(|error| failed("connect to the kernel", error))?;
        // Without it the kernel ignores the filters of a dump, the target namespace among them (Linux 4.20).
        socket
            .set_netlink_get_strict_chk(true)
            .map_err(|error| failed("ask for strict checks (Linux 4.20 and later)", error))?;
        Ok(Self { socket, sequence: 0, buffer: vec![0; BUFFER_BYTES], undecodable: 0 })
    }

    /// Entries of a table that match `request`. `object` names it in errors.
    pub fn dump(
        &mut self,
        object: &dyn Display,
        request: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        let mut attempts = 1;
        loop {
            let answer = self.ask("list", object, request.clone(), NLM_F_DUMP);
            let again = match &answer {
                Ok(answer) => answer.interrupted,
                // The namespace's tables moved under the dump, or the answer outran us.
                Err(error) => matches!(error.errno(), Some(libc::EAGAIN | libc::ENOBUFS)),
            };
            if !again || attempts == DUMP_ATTEMPTS {
                return answer.map(|answer| answer.messages);
            }
            attempts += 1;
        }
    }

    /// The one object that matches `request`.
    pub fn get(
        &mut self,
        object: &dyn Display,
        request: RouteNetlinkMessage,
    ) -> Result<Option<RouteNetlinkMessage>, NetlinkError> {
        // With an acknowledgement every answer has an end, also an empty one.
        Ok(self.ask("read", object, request, NLM_F_ACK)?.messages.into_iter().next())
    }

    /// Makes an object that must not be there yet.
    pub fn create(&mut self, object: &dyn Display, request: RouteNetlinkMessage) -> Result<(), NetlinkError> {
        self.ask("make", object, request, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL).map(drop)
    }

    /// Sends a request that changes something and waits for its acknowledgement.
    pub fn apply(&mut self, object: &dyn Display, request: RouteNetlinkMessage) -> Result<(), NetlinkError> {
        self.ask("set", object, request, NLM_F_ACK).map(drop)
    }

    /// Messages that could not be decoded since the last call: newer kernels may say what the decoder does not know.
    pub fn take_undecodable(&mut self) -> u64 {
        std::mem::take(&mut self.undecodable)
    }

    fn ask(
        &mut self,
        verb: &str,
        object: &dyn Display,
        request: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Answer, NetlinkError> {
        let refused = |source| NetlinkError::Refused { operation: format!("{verb} {object}"), source };
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        retry_interrupted(|| self.socket.send(&bytes, 0)).map_err(refused)?;

        let mut answer = Answer { messages: Vec::new(), interrupted: false };
        loop {
            let socket = &self.socket;
            let buffer = &mut self.buffer;
            let length =
                retry_interrupted(|| socket.recv(&mut &mut buffer[..], libc::MSG_TRUNC)).map_err(refused)?;
            if length > self.buffer.len() {
                self.buffer.resize(length, 0);
                return Err(refused(io::Error::from_raw_os_error(libc::EAGAIN)));
            }
            if self.collect(length, &mut answer).map_err(refused)? {
                return Ok(answer);
            }
        }
    }

    /// Takes the messages of one read in; true when the answer is complete.
    fn collect(&mut self, length: usize, answer: &mut Answer) -> io::Result<bool> {
        for message in datagram_messages(&self.buffer[..length]) {
            let Ok(buffer) = NetlinkBuffer::new_checked(&message) else { continue };
            // Left over from an attempt that was given up.
            if buffer.sequence_number() != self.sequence {
                continue;
            }
            answer.interrupted |= buffer.flags() & DUMP_INTERRUPTED != 0;
            match NetlinkMessage::<RouteNetlinkMessage>::deserialize(message).map(|message| message.payload) {
                Ok(NetlinkPayload::InnerMessage(message)) => answer.messages.push(message),
                Ok(NetlinkPayload::Done(done)) if done.code < 0 => {
                    return Err(io::Error::from_raw_os_error(-done.code));
                }
                Ok(NetlinkPayload::Done(_)) => return Ok(true),
                Ok(NetlinkPayload::Error(error)) => {
                    return error.code.map_or(Ok(true), |code| {
                        Err(io::Error::from_raw_os_error(code.get().checked_neg().unwrap_or(libc::EIO)))
                    });
                }
                Ok(_) => {}
                Err(_) => self.undecodable += 1,
            }
        }
        Ok(false)
    }
}

/// The messages in one datagram, each with its header (`struct nlmsghdr`, aligned to 4 bytes).
pub(super) fn datagram_messages(mut datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(datagram.get(..4)?.try_into().ok()?) as usize;
        let message = datagram.get(..length).filter(|message| message.len() >= HEADER_BYTES)?;
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// Size of `struct nlmsghdr`.
pub(super) const HEADER_BYTES: usize = 16;

/// Repeats a system call that a signal interrupted.
fn retry_interrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::datagram_messages;

    #[test]
    fn datagrams_split_at_aligned_lengths() {
        let mut datagram = Vec::new();
        for length in [17_u32, 16] {
            let mut message = vec![0; length.next_multiple_of(4) as usize];
            message[..4].copy_from_slice(&length.to_ne_bytes());
            datagram.extend(message);
        }
        let lengths: Vec<usize> = datagram_messages(&datagram).map(<[u8]>::len).collect();
        assert_eq!(lengths, [17, 16]);
    }

    #[test]
    fn broken_lengths_end_the_datagram() {
        for length in [0_u32, 3, 15, 4000, u32::MAX] {
            let mut datagram = vec![0; 32];
            datagram[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(datagram_messages(&datagram).count(), 0, "{length}");
        }
        assert_eq!(datagram_messages(&[1, 2]).count(), 0);
    }
}
