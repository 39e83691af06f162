//! The Kubernetes API: labels and owners of this node's pods, and whose addresses are at the other end of a flow.
//!
//! Lists and watches of a few fields over plain HTTP/1.1: this node's pods, and all services. Other nodes' pods are
//! looked up one by one, when a finding names their address: a node that watches all pods of a cluster is a burden.
pub mod access;
mod endpoint;
mod objects;
mod state;
#[cfg(test)]
mod tests;
mod watch;

pub use access::{Access, AccessError};
pub use endpoint::Endpoint;
pub use state::Party;

use crate::attribution::sources::{Moment, Unavailable};
use probe_core::identity::Record;
use state::State;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedSender};

/// A one-shot command waits so long for the first list.
const FIRST_PATIENCE: Duration = Duration::from_secs(3);

/// What is shared with the thread that watches.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The API server, watched on a thread of its own until this is dropped.
#[derive(Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
    lookups: Option<UnboundedSender<IpAddr>>,
}

impl Cluster {
    /// Begins to watch.
    pub fn start(access: &Access, node: &str) -> Self {
        let shared = Arc::<Shared>::default();
        let endpoint = match Endpoint::find(access) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                shared.change(|state| state.fail(error.into_unavailable()));
                return Self { shared, lookups: None };
            }
        };
        let (lookups, wanted) = mpsc::unbounded_channel();
        let (other, node) = (Arc::clone(&shared), node.to_owned());
        let started = std::thread::Builder::new().name("cluster".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(watch::all(&endpoint, &node, &other, wanted)),
                Err(error) => other.change(|state| state.fail(Unavailable::Silent(error.to_string()))),
            }
        });
        if let Err(error) = started {
            shared.change(|state| state.fail(Unavailable::Silent(format!("start a thread: {error}"))));
        }
        Self { shared, lookups: Some(lookups) }
    }

    /// What the cluster says of this node's pods.
    pub fn records(&self, moment: Moment) -> Result<Vec<Record>, Unavailable> {
        self.shared.read(|state| state.records(moment))
    }

    /// Waits until it has answered once, or will not.
    pub fn wait_for_first(&self) {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let _waited = self.shared.changed.wait_timeout_while(state, FIRST_PATIENCE, |state| state.is_new());
    }

    /// Whose address it is, as far as it is known; what is not known yet is looked up.
    pub fn party(&self, address: IpAddr) -> Option<Party> {
        let (found, is_known) = self.shared.read(|state| (state.party(address), state.knows(address)));
        if !is_known && let Some(lookups) = &self.lookups {
            // The thread has ended: names stay as they are.
            let _ended = lookups.send(address);
        }
        found
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
