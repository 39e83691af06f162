//! Path MTUs that the observed namespace and the pods' have learned, and routes on which they learn nothing.
use super::pod_namespace;
use crate::datapath::links::{Connection, NetlinkError, locked_routes, pmtu_exceptions, visit};
use probe_core::model::pmtu_exception::NetnsExceptions;
use probe_core::model::pod::Pod;
use std::io;

/// Why they could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ExceptionsError {
    /// Neither a process in it nor a file of it is known.
    #[error("PMTU exceptions of pod {0}: its network namespace has no file and no process that we can open")]
    Unreachable(String),
    /// Entering is not allowed, say.
    #[error("PMTU exceptions of pod {pod}: enter its network namespace: {source} (needs CAP_SYS_ADMIN)")]
    NotEntered {
        /// The pod.
        pod: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused to list them.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
}

/// What a pod's namespace has learned, or the calling thread's own, whose inode is `own`. A pod's is entered for that:
/// `RTM_GETROUTE` has no target namespace.
///
/// # Errors
/// The namespace cannot be entered, or the kernel refuses.
pub fn learned_exceptions(pod: Option<&Pod>, own: u32) -> Result<NetnsExceptions, ExceptionsError> {
    let netns = pod.map_or(Some(own), |pod| pod.netns_inode);
    let read = |netns| {
        let mut connection = Connection::open()?;
        Ok::<_, NetlinkError>((pmtu_exceptions(&mut connection, netns)?, locked_routes(&mut connection)?))
    };
    let (exceptions, locked) = match (pod, netns) {
        (None, _) => read(own)?,
        (Some(pod), Some(inode)) => {
            let file = pod_namespace(pod).ok_or_else(|| ExceptionsError::Unreachable(pod.display_name()))?;
            let refused = |source| ExceptionsError::NotEntered { pod: pod.display_name(), source };
            visit(&file, || read(inode)).map_err(refused)??
        }
        (Some(pod), None) => return Err(ExceptionsError::Unreachable(pod.display_name())),
    };
    Ok(NetnsExceptions { netns: netns.unwrap_or(own), exceptions, locked })
}
