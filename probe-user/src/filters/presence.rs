//! Whether a namespace has an nftables table: most pods have none, and running a program for each would take long.
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use std::io;

/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE` (`include/uapi/linux/netfilter/nf_tables.h`).
const GET_TABLE: u16 = 10 << 8 | 1;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const FLAGS: u16 = 0x301;
/// `NLMSG_ERROR`, `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// Sizes of `struct nlmsghdr` and `struct nfgenmsg`.
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 4;

/// Asks the kernel (`CAP_NET_ADMIN`).
pub fn has_tables() -> io::Result<bool> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&request(), 0)?;
    let mut answer = vec![0; 32 * 1024];
    let length = socket.recv(&mut &mut answer[..], 0)?;
    first_message(answer.get(..length).unwrap_or_default())
}

/// All tables of all families.
fn request() -> [u8; REQUEST] {
    let mut bytes = [0; REQUEST];
    bytes[..4].copy_from_slice(&(REQUEST as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&GET_TABLE.to_ne_bytes());
    bytes[6..8].copy_from_slice(&FLAGS.to_ne_bytes());
    bytes
}

/// A table comes first, else the end, else an error.
fn first_message(answer: &[u8]) -> io::Result<bool> {
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let code = answer.get(HEADER..HEADER + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, code) {
        (Some(DONE | ERROR), Some(0) | None) => Ok(false),
        (Some(DONE | ERROR), Some(code)) => match code.checked_neg() {
            // Without the module there is no such subsystem.
            Some(libc::EINVAL | libc::EOPNOTSUPP | libc::ENOENT) => Ok(false),
            errno => Err(io::Error::from_raw_os_error(errno.unwrap_or(libc::EIO))),
        },
        (Some(_), _) => Ok(true),
        (None, _) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, code: i32) -> Vec<u8> {
        let mut bytes = vec![0; HEADER + 4];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[HEADER..].copy_from_slice(&code.to_ne_bytes());
        bytes
    }

    #[test]
    fn the_first_message_tells() {
        assert!(!first_message(&message(DONE, 0)).expect("an end"));
        assert!(first_message(&message(10 << 8, 0)).expect("a table"));
        assert!(!first_message(&message(ERROR, -libc::EINVAL)).expect("no such subsystem"));
        let refused = first_message(&message(ERROR, -libc::EPERM)).expect_err("refused");
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert!(first_message(&[]).is_err());
    }
}
