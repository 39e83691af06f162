//! What the TCP tracepoints have in common: the addresses of a socket and its counters.
use crate::{
    flow::mix,
    kernel::{Address, Trusted, offset},
    owner::Owner,
};
use network_types::ip::{Ipv4Hdr, Ipv6Hdr};

const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;

/// The ends of a socket.
#[derive(Clone, Copy)]
pub struct Ends {
    /// 2 (AF_INET) or 10 (AF_INET6).
    pub family: u32,
    /// IPv4 in the first word.
    pub local: [u32; 4],
    /// IPv4 in the first word.
    pub remote: [u32; 4],
    /// Host order.
    pub local_port: u16,
    /// Host order.
    pub remote_port: u16,
}

impl Ends {
    /// The ends of an IP socket; `None` for any other.
    #[inline(always)]
    pub fn of(socket: Trusted) -> Option<Self> {
        let socket = socket.address();
        let family = u32::from(socket.read::<u16>(&offset::SOCK_FAMILY));
        let (local, remote) = if family == AF_INET6 {
            (socket.read(&offset::SOCK_LOCAL_IPV6), socket.read(&offset::SOCK_REMOTE_IPV6))
        } else if family == AF_INET {
            let (local, remote) = (socket.read(&offset::SOCK_LOCAL_IPV4), socket.read(&offset::SOCK_REMOTE_IPV4));
            ([local, 0, 0, 0], [remote, 0, 0, 0])
        } else {
            return None;
        };
        Some(Self {
            family,
            local,
            remote,
            local_port: socket.read(&offset::SOCK_LOCAL_PORT),
            remote_port: u16::from_be(socket.read(&offset::SOCK_REMOTE_PORT)),
        })
    }

    /// A hash of the owner and the remote address.
    #[inline(always)]
    pub fn hash_remote(&self, owner: Owner, salt: u64) -> u64 {
        let hash = mix(salt, u64::from(owner.netns) << 32 | u64::from(self.remote[0]));
        let hash = mix(hash, u64::from(self.remote[1]) << 32 | u64::from(self.remote[2]));
        mix(hash, u64::from(self.remote[3]))
    }

    /// A hash of the connection.
    #[inline(always)]
    pub fn hash(&self, owner: Owner, salt: u64) -> u64 {
        let ports = u64::from(self.local_port) << 16 | u64::from(self.remote_port);
        mix(self.hash_remote(owner, salt), ports << 32 | u64::from(self.local[0] ^ self.local[3]))
    }

    /// Header bytes of a segment: network header, TCP header and options.
    #[inline(always)]
    pub fn header_len(&self, socket: Address) -> u32 {
        let network = if self.family == AF_INET6 { Ipv6Hdr::LEN } else { Ipv4Hdr::LEN };
        u32::from(socket.read::<u16>(&offset::TCP_HEADER_LEN)) + network as u32
    }
}

/// An address as a record has it.
#[inline(always)]
pub fn address_bytes(words: [u32; 4]) -> [u8; 16] {
    // SAFETY: both are sixteen bytes without padding.
    unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(words) }
}
