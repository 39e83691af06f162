//! The interface between mtuprobe's kernel side and its user side.
//!
//! Everything that crosses the border is defined here once: the layouts of map values and ring records, the names of
//! maps and globals, and the arithmetic of size buckets. Types hold integers and byte arrays only, padding is explicit,
//! and each has a `const` assertion on its size beside it. Sizes are bytes at layer 3 (the IP packet); times are
//! nanoseconds of `CLOCK_MONOTONIC`.
//!
//! One thing observed has one stem everywhere: `packet_too_big` is a file here, in probe-ebpf and in the decoder.
#![no_std]
#![forbid(unsafe_code)]

pub mod fragment;
pub mod gate;
pub mod icmp_send;
pub mod interface;
pub mod kernel_field;
pub mod location;
pub mod oversize;
pub mod packet_too_big;
pub mod pod_settings;
pub mod record;
pub mod size_bucket;
pub mod size_drop;
pub mod skip;
pub mod tcp_close;
pub mod tcp_hole;
pub mod tcp_mss;
pub mod tcp_retransmit;

/// Names of globals that user space sets before loading (offsets of struct fields come from the running kernel's BTF).
pub mod global {
    /// `u32`: inode number of the network namespace that is observed.
    pub const OUR_NETNS: &str = "OUR_NETNS";
    /// `u32`: 1 holds the event gate open (bench only).
    pub const GATE_OPEN: &str = "GATE_OPEN";
    /// `u32`: length of a jiffy in nanoseconds (the resolution of `CLOCK_MONOTONIC_COARSE`).
    pub const TICK_NS: &str = "TICK_NS";
}
