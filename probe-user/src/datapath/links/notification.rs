//! What the kernel says of changes, as far as it decides what to read again.
//!
//! Notifications are hints only: one about a bridge port leaves out what another carries, so that nothing is learned
//! from their content but which object to read.
use super::connection::{HEADER_BYTES, datagram_messages};

/// A change of links, addresses, routes or namespace ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notification {
    /// A link came or changed.
    Link(u32),
    /// A link is gone.
    LinkGone(u32),
    /// A namespace id was given or taken away.
    NamespaceId(i32),
    /// An address, a route or a rule changed.
    Table,
}

/// Message types (`include/uapi/linux/rtnetlink.h`).
mod kind {
    pub const NEW_LINK: u16 = 16;
    pub const DELETE_LINK: u16 = 17;
    pub const NEW_ADDRESS: u16 = 20;
    pub const DELETE_ADDRESS: u16 = 21;
    pub const NEW_ROUTE: u16 = 24;
    pub const DELETE_ROUTE: u16 = 25;
    pub const NEW_RULE: u16 = 32;
    pub const DELETE_RULE: u16 = 33;
    pub const NEW_NAMESPACE_ID: u16 = 88;
    pub const DELETE_NAMESPACE_ID: u16 = 89;
}

/// Family of link messages that a bridge sends about its ports; a deletion among them is no end of the link.
const AF_BRIDGE: u8 = 7;
/// `NETNSA_NSID`.
const NETNSA_NSID: u16 = 1;

/// The notifications in one datagram.
pub fn notifications(datagram: &[u8]) -> impl Iterator<Item = Notification> {
    datagram_messages(datagram).filter_map(notification)
}

fn notification(message: &[u8]) -> Option<Notification> {
    let payload = message.get(HEADER_BYTES..)?;
    match u16::from_ne_bytes(message.get(4..6)?.try_into().ok()?) {
        kind::NEW_LINK => Some(Notification::Link(link_index(payload)?)),
        kind::DELETE_LINK => {
            let ifindex = link_index(payload)?;
            let of_bridge = payload.first() == Some(&AF_BRIDGE);
            Some(if of_bridge { Notification::Link(ifindex) } else { Notification::LinkGone(ifindex) })
        }
        kind::NEW_NAMESPACE_ID | kind::DELETE_NAMESPACE_ID => {
            namespace_id(payload).map(Notification::NamespaceId)
        }
        kind::NEW_ADDRESS
        | kind::DELETE_ADDRESS
        | kind::NEW_ROUTE
        | kind::DELETE_ROUTE
        | kind::NEW_RULE
        | kind::DELETE_RULE => Some(Notification::Table),
        _ => None,
    }
}

/// `struct ifinfomsg`: family, padding, type, index.
fn link_index(payload: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(payload.get(4..8)?.try_into().ok()?))
}

/// `struct rtgenmsg`, padded, then attributes: length, type, value.
fn namespace_id(payload: &[u8]) -> Option<i32> {
    let mut attributes = payload.get(4..)?;
    loop {
        let length = usize::from(u16::from_ne_bytes(attributes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(attributes.get(2..4)?.try_into().ok()?);
        if kind == NETNSA_NSID {
            return Some(i32::from_ne_bytes(attributes.get(4..8)?.try_into().ok()?));
        }
        attributes = attributes.get(length.max(4).next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut message = vec![0; HEADER_BYTES];
        message[..4].copy_from_slice(&u32::try_from(HEADER_BYTES + payload.len()).unwrap().to_ne_bytes());
        message[4..6].copy_from_slice(&kind.to_ne_bytes());
        message.extend(payload);
        message
    }

    fn link(family: u8, ifindex: u32) -> Vec<u8> {
        let mut payload = vec![family, 0, 0, 0];
        payload.extend(ifindex.to_ne_bytes());
        payload.extend([0; 8]);
        payload
    }

    #[test]
    fn leaving_a_bridge_is_not_the_end_of_a_link() {
        let mut datagram = message(kind::DELETE_LINK, &link(AF_BRIDGE, 7));
        datagram.extend(message(kind::DELETE_LINK, &link(0, 7)));
        datagram.extend(message(kind::NEW_LINK, &link(0, 7)));
        let found: Vec<_> = notifications(&datagram).collect();
        assert_eq!(found, [Notification::Link(7), Notification::LinkGone(7), Notification::Link(7)]);
    }

    #[test]
    fn namespace_ids_are_found_behind_other_attributes() {
        let mut payload = vec![0; 4];
        payload.extend([8, 0, 5, 0, 0, 0, 0, 0]);
        payload.extend([8, 0, 1, 0]);
        payload.extend(42_i32.to_ne_bytes());
        let found: Vec<_> = notifications(&message(kind::DELETE_NAMESPACE_ID, &payload)).collect();
        assert_eq!(found, [Notification::NamespaceId(42)]);
    }

    #[test]
    fn any_bytes_are_survived() {
        for kind in [16, 17, 20, 88, 89, 999] {
            for length in 0..12 {
                for fill in [0, 1, 0xff] {
                    let _ = notifications(&message(kind, &vec![fill; length])).count();
                }
            }
        }
    }
}
