//! What mtuprobe decides, without any input or output: values and a time go in, values come out.
//!
//! # Layout
//! - [`decode`]: bytes from the kernel or the wire → [`model`] values; total, never panics.
//! - [`model`]: plain values: flows, packets, interfaces, pods, events, findings.
//! - [`path_search`]: the search of a path MTU by probing: which size next, and what the answers prove.
//! - [`diagnose`]: the [`diagnose::Diagnoser`], from events and snapshots to findings.
//! - [`identity`]: whose network namespace it is: what several sources say of pods, merged, and over time.
//! - [`reach`]: the largest packet that each pod can send, and mismatches, from the configuration alone.
//!
//! Sizes are bytes at layer 3; times are nanoseconds of a monotonic clock and always arguments.
#![forbid(unsafe_code)]

pub mod decode;
pub mod diagnose;
pub mod identity;
pub mod model;
pub mod path_search;
pub mod reach;
