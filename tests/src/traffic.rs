//! Real traffic between namespaces, and what became of it, as values.
//!
//! Sockets are made inside a namespace and then used from threads of this process: no program is needed in there,
//! and nothing outlives the process.
pub mod datagram;
pub mod echo;
pub mod flood;
pub mod reflector;
pub mod server;
mod socket_option;
pub mod stream;

pub use datagram::{Datagrams, Delivery, Df};
pub use echo::{Echo, Pings};
pub use flood::{flood, flood_uncut};
pub use reflector::Reflector;
pub use server::Server;
pub use stream::{Exchange, Ongoing, Transfer};

/// Port of every server, TCP and UDP.
pub const PORT: u16 = 7000;
