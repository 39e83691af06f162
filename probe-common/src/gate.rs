//! How many events may leave the kernel.
//!
//! Each flow's first packet passes and then one packet per [`FLOW_INTERVAL_NS`]; each interface has a bucket of tokens
//! on each CPU, so that one pod's flood leaves the others their events, and each CPU has one over all. What is held
//! back is counted: in the next record of its flow, or in [`crate::skip`].
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `PerCpuArray<FlowGate>` of [`FLOW_SLOTS`], by flow hash.
pub const FLOW_GATES: &str = "FLOW_GATES";
/// `PerCpuArray<TokenBucket>` of `INTERFACE_BUCKETS + 1`: by `ifindex & (INTERFACE_BUCKETS - 1)`; the last is the CPU's own.
pub const TOKEN_BUCKETS: &str = "TOKEN_BUCKETS";

/// Flows told apart at a time; a power of two.
pub const FLOW_SLOTS: u32 = 1024;
/// Interfaces with a bucket of their own; a power of two.
pub const INTERFACE_BUCKETS: u32 = 1024;
/// One flow sends at most one record in this time.
pub const FLOW_INTERVAL_NS: u64 = 200_000_000;
/// Records a second that one interface may cause on one CPU, and as many at once.
pub const INTERFACE_RATE: u64 = 100;
/// Records a second that one CPU may send in all, and as many at once.
pub const CPU_RATE: u64 = 1_000;

/// What the gate remembers of the last flow with this hash.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FlowGate {
    /// The whole hash, compared because the place is shared.
    pub hash: u32,
    /// Packets held back since the last record.
    pub held: u32,
    /// When the last record was sent, in nanoseconds.
    pub last_ns: u64,
}
const _: () = assert!(size_of::<FlowGate>() == 16);

/// A token bucket in units of nanoseconds: a record costs `1 s / rate`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TokenBucket {
    /// Credit in nanoseconds, at most one second.
    pub credit_ns: u64,
    /// When it was last filled.
    pub last_ns: u64,
}
const _: () = assert!(size_of::<TokenBucket>() == 16);
