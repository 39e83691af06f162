//! What the TCP tracepoints have in common: the addresses of a socket and its counters.
use crate::{
    flow::mix,
    kernel::{Address, Trusted, offset},
    owner::Owner,
};
use network_types::ip::{Ipv4Hdr, Ipv6Hdr};

const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;

/// An address, as two words: byte by byte would be a loop and a call.
pub type Words = [u64; 2];

/// The ends of a socket.
#[derive(Clone, Copy)]
pub struct Ends {
    /// 2 (AF_INET) or 10 (AF_INET6).
    pub family: u32,
    /// As the wire has it; IPv4 in the first four bytes.
    pub local: Words,
    /// As the wire has it; IPv4 in the first four bytes.
    pub remote: Words,
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
            (ipv4(socket.read(&offset::SOCK_LOCAL_IPV4)), ipv4(socket.read(&offset::SOCK_REMOTE_IPV4)))
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
        mix(mix(mix(salt, owner.netns.into()), self.remote[0]), self.remote[1])
    }

    /// A hash of the connection.
    #[inline(always)]
    pub fn hash(&self, owner: Owner, salt: u64) -> u64 {
        let ports = u64::from(self.local_port) << 16 | u64::from(self.remote_port);
        let hash = mix(self.hash_remote(owner, salt), ports);
        mix(mix(hash, self.local[0]), self.local[1])
    }

    /// Header bytes of a segment: network header, TCP header and options.
    #[inline(always)]
    pub fn header_len(&self, socket: Address) -> u32 {
        let network = if self.family == AF_INET6 { Ipv6Hdr::LEN } else { Ipv4Hdr::LEN };
        u32::from(socket.read::<u16>(&offset::TCP_HEADER_LEN)) + network as u32
    }
}

#[inline(always)]
fn ipv4(address: u32) -> Words {
    if cfg!(target_endian = "little") { [address.into(), 0] } else { [u64::from(address) << 32, 0] }
}

/// Writes an address into a record.
///
/// # Safety
/// The place has to be valid and aligned to words.
#[inline(always)]
pub unsafe fn write_address(place: *mut [u8; 16], address: Words) {
    // SAFETY: the caller's.
    unsafe { place.cast::<Words>().write(address) };
}
