//! Who a filter belongs to.
//!
//! A filter at a clsact qdisc outlives a killed process. Each instance therefore has a name that its filters carry, and
//! holds an abstract Unix socket of that name in its network namespace for as long as it lives: whoever finds a filter
//! whose socket is gone may remove it, and never another one's.
use std::fs::File;
use std::io::{self, Read};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What the names of all instances begin with.
const PREFIX: &str = "mtuprobe-";
/// Ends the name of a filter whose qdisc an instance made: the last filter takes it away.
const MADE_QDISC: &str = "+qdisc";

/// This instance.
#[derive(Debug)]
pub struct Owner {
    name: String,
    handle: u32,
    /// Tells others that we live; the kernel closes it with the process.
    _alive: UnixDatagram,
}

impl Owner {
    /// A new name, and the socket that says that its owner lives.
    pub fn new() -> io::Result<Self> {
        let mut random = [0; 4];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        // 0 would let the kernel choose the handle.
        let handle = u32::from_ne_bytes(random).max(1);
        let name = format!("{PREFIX}{handle:08x}");
        let alive = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        Ok(Self { name, handle, _alive: alive })
    }

    /// Handle of all our filters.
    pub fn handle(&self) -> u32 {
        self.handle
    }

    /// Name of our filters on an interface.
    pub fn filter_name(&self, made_qdisc: bool) -> String {
        format!("{}{}", self.name, if made_qdisc { MADE_QDISC } else { "" })
    }
}

/// A filter's name taken apart; `None` for somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterName<'a> {
    owner: &'a str,
    /// An instance of ours made the qdisc.
    pub made_qdisc: bool,
}

impl<'a> FilterName<'a> {
    /// Reads a name.
    pub fn parse(name: &'a str) -> Option<Self> {
        let owner = name.strip_suffix(MADE_QDISC).unwrap_or(name);
        owner.strip_prefix(PREFIX)?;
        Some(Self { owner, made_qdisc: owner.len() < name.len() })
    }

    /// Whether its owner is gone. What cannot be asked counts as alive.
    pub fn is_orphan(&self) -> bool {
        let Ok(address) = SocketAddr::from_abstract_name(self.owner) else { return false };
        let answer = UnixDatagram::unbound().and_then(|socket| socket.connect_addr(&address));
        matches!(answer, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_whether_the_owner_lives() {
        let owner = Owner::new().expect("a socket");
        let name = owner.filter_name(true);
        let parsed = FilterName::parse(&name).expect("ours");
        assert!(parsed.made_qdisc && !parsed.is_orphan());
        drop(owner);
        assert!(parsed.is_orphan());
    }

    #[test]
    fn names_of_others_are_not_ours() {
        assert_eq!(FilterName::parse("cil_from_container"), None);
        assert!(!FilterName::parse("mtuprobe-00000001").expect("ours").made_qdisc);
    }
}
