//! TCP connections of the observed namespace and the pods'.
use super::pod_namespace;
use crate::datapath::links::visit;
use crate::datapath::sock_diag::tcp_sockets;
use crate::output::wall_clock::monotonic_now;
use probe_core::model::pod::Pod;
use probe_core::model::tcp_socket::NetnsSockets;
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

/// The connections to some addresses of a pod's namespace, which is entered for that (`CAP_SYS_ADMIN`), or of the calling
/// thread's own, whose inode is `own`. `None` of a pod whose namespace has no file and no process that we can open.
///
/// # Errors
/// The namespace cannot be entered, or the kernel does not tell.
pub fn connections(
    pod: Option<&Pod>,
    own: u32,
    remotes: &BTreeSet<IpAddr>,
) -> io::Result<Option<NetnsSockets>> {
    let began = Some(monotonic_now());
    let Some(pod) = pod else {
        return Ok(Some(NetnsSockets { netns: own, began, sockets: tcp_sockets(remotes)? }));
    };
    let (Some(netns), Some(file)) = (pod.netns_inode, pod_namespace(pod)) else { return Ok(None) };
    let sockets = visit(&file, || tcp_sockets(remotes)).flatten()?;
    Ok(Some(NetnsSockets { netns, began, sockets }))
}
