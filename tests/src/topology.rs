//! Networks made of namespaces: a node with pods, what is behind its uplink, and the faults.
//!
//! ```text
//!   pods, routed style ── vethNAME ─┐                            ┌── server
//!   pods on a bridge ── vethNAME ── cni0 ── node ─ eth0 ── fabric┤── node2 ── its pods
//!                                   └─ vxlan0 ══════════════════════╛
//!                                                                └── router ─[far MTU]─ gateway ── far
//! ```
//! A [`Plan`] says what is wanted, a [`Network`] is what was built. Everything goes when the network is dropped.
pub mod address;
pub mod firewall;
pub mod lab;
pub mod namespace;
pub mod network;
pub mod overlay;
pub mod plan;
pub mod script;
mod side;

pub use address::Family;
pub use lab::Lab;
pub use namespace::Namespace;
pub use network::Network;
pub use overlay::{Overlay, Wrapping};
pub use plan::{Ends, OuterDf, Plan, Pod, Style};
