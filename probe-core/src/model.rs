//! Plain values: what is observed and what is concluded.
//!
//! Nothing here can be serialised: each output owns its wire types, so that formats change without touching logic.

pub mod amount;
pub mod change;
pub mod coverage;
pub mod event;
pub mod filters;
pub mod finding;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod flow;
pub mod interface;
pub mod limits;
pub mod nat;
pub mod overhead;
pub mod packet;
pub mod packet_too_big;
pub mod pmtu_exception;
pub mod pod;
pub mod roles;
pub mod route;
pub mod rule;
pub mod settings;
pub mod size_drop;
pub mod size_histogram;
pub mod survey;
pub mod tcp;
pub mod tcp_socket;
pub mod topology;
pub mod vswitch;

/// Nanoseconds of a monotonic clock.
pub type Time = u64;

/// One second in [`Time`].
pub const SECOND: Time = 1_000_000_000;
