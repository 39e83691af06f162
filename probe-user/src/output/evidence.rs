//! Recorded evidence: everything that goes into a diagnosis, in order and with its times, as JSON Lines.
//!
//! A recording replays to the same findings without privilege, on any machine. The first line is a header with the
//! version of the format; each further line is one input. A reader skips types and fields that it does not know, and
//! refuses a version that it does not know.
//!
//! # Layout
//! - [`recorder`] writes, [`reader`] reads; `line` is what both write and read, `header` its first line.
//! - `mirror`: how a wire type and its model value become each other; one file of wire types per noun of the model.
//! - `veil`: what redaction puts in the place of names and addresses.

mod counters;
mod device_counters;
mod event;
mod header;
mod interface;
mod line;
mod mirror;
mod packet;
mod pmtu_exception;
mod pod;
pub mod reader;
pub mod recorder;
mod session;
mod settings;
mod size_drop;
mod tcp;
mod tcp_socket;
mod topology;
mod veil;

#[cfg(test)]
mod tests;

pub use reader::{Entry, Reader, RecordingError};
pub use recorder::Recorder;
pub use veil::Veil;
