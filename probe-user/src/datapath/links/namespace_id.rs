//! Ids that our namespace has for others (`net/core/net_namespace.c`): how netlink names the other end of a veth.
//!
//! An id is given back when its namespace dies and handed out again at once: it identifies nothing over time.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums grow with the kernel; what is not asked for is skipped"
)]
use super::connection::{Connection, NetlinkError};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Another namespace, by what we hold of it.
#[derive(Clone, Copy, Debug)]
pub enum NamespaceHandle<'a> {
    /// An open file of it (`/run/netns/NAME`, `/proc/PID/ns/net`).
    File(BorrowedFd<'a>),
    /// A process in it, as numbered in our process namespace.
    Process(u32),
}

impl NamespaceHandle<'_> {
    fn attribute(self) -> NsidAttribute {
        match self {
            Self::File(file) => NsidAttribute::Fd(file.as_raw_fd().cast_unsigned()),
            Self::Process(pid) => NsidAttribute::Pid(pid),
        }
    }
}

/// The id that we have for a namespace; `None` if it has none (our own before the first targeted read included).
pub fn namespace_id(
    connection: &mut Connection,
    namespace: NamespaceHandle<'_>,
) -> Result<Option<i32>, NetlinkError> {
    let mut request = NsidMessage::default();
    request.attributes.push(namespace.attribute());
    let object = format!("id of the namespace of {namespace:?}");
    let answer = connection.get(&object, RouteNetlinkMessage::GetNsId(request))?;
    let Some(RouteNetlinkMessage::NewNsId(message)) = answer else { return Ok(None) };
    let id = message.attributes.iter().find_map(|attribute| match attribute {
        NsidAttribute::Id(id) => Some(*id),
        _ => None,
    });
    Ok(id.filter(|&id| id >= 0))
}

/// Has the kernel choose an id for a namespace without one (`CAP_NET_ADMIN`); it goes with the namespace.
pub fn give_namespace_id(
    connection: &mut Connection,
    namespace: NamespaceHandle<'_>,
) -> Result<Option<i32>, NetlinkError> {
    let mut request = NsidMessage::default();
    request.attributes.push(namespace.attribute());
    request.attributes.push(NsidAttribute::Id(-1));
    let object = format!("an id for the namespace of {namespace:?}");
    match connection.apply(&object, RouteNetlinkMessage::NewNsId(request)) {
        Ok(()) => {}
        // Somebody was faster.
        Err(error) if error.errno() == Some(libc::EEXIST) => {}
        Err(error) => return Err(error),
    }
    namespace_id(connection, namespace)
}
