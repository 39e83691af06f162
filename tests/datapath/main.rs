//! The kernel side in the kernel: TC programs by test runs on frames by name, tracepoint programs by real drops.
//! Needs root.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it has to be")]

mod elsewhere;
mod events;
mod hook;
mod pod_settings;
mod sizes;
mod structure;
mod tcp_hole;
mod tracepoints;
