//! What the kernel sees: loading, attaching, reading rings and maps, and netlink. The only module that names aya.
//!
//! - [`load`]: the maps, [`Datapath`](load::Datapath) is the handle to them; [`classifiers`]: the programs; `floor`: what
//!   a kernel must have
//! - [`attach`]: programs on interfaces, and off again; [`interfaces`]: how each interface is treated
//! - [`ring`]: records on their way up; [`counters`]: sizes and skips; [`tcp_holes`]: what receivers in pods miss
//! - [`btf`]: the running kernel's structures; [`locations`]: what drop reasons and places mean
//! - [`pod_settings`]: settings of all network namespaces, by an iterator program
//! - [`links`]: interfaces and routes over netlink; [`conntrack`]: translated flows; [`sock_diag`]: TCP sockets
pub mod attach;
pub mod btf;
pub mod classifiers;
pub mod conntrack;
pub mod counters;
#[cfg(feature = "debug-log")]
mod debug_log;
mod error;
pub mod floor;
pub mod interfaces;
mod iterator;
pub mod links;
pub mod load;
pub mod locations;
pub mod pod_settings;
pub mod ring;
pub mod sock_diag;
pub mod socket_owner;
pub mod tcp_holes;
