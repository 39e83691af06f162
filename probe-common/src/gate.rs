//! How many events may leave the kernel.
//!
//! Each flow's first few packets pass ([`FLOW_BURST`]: enough to tell a loss from a probe) and then one packet per
//! [`FLOW_INTERVAL_NS`]; each interface has a bucket of tokens
//! per [`class`] on each CPU, so that neither one pod's flood nor one kind of event takes the others' place, and each
//! CPU has one bucket over all. An interface that was quiet for a second is let through even if that one is empty. What
//! is held back is counted: in the next record of its flow, or in [`crate::skip`].
//!
//! Time is `jiffies`, which costs no helper call; [`crate::global::TICK_NS`] tells how long one lasts.
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `PerCpuArray<FlowGate>` of [`FLOW_SLOTS`], by flow hash.
pub const FLOW_GATES: &str = "FLOW_GATES";
/// `PerCpuArray<TokenBucket>` of [`BUCKETS`], see [`bucket_index`]; the last is the CPU's own.
pub const TOKEN_BUCKETS: &str = "TOKEN_BUCKETS";

/// Flows told apart at a time; a power of two.
pub const FLOW_SLOTS: u32 = 1024;
/// Interfaces with buckets of their own; a power of two.
pub const INTERFACE_BUCKETS: u32 = 256;
/// One flow sends at most one record in this time, after its first few.
pub const FLOW_INTERVAL_NS: u64 = 200_000_000;
/// A flow's first records, that need not wait: a deliberate probe repeats a size three times (RFC 8899), the fourth packet
/// is none.
pub const FLOW_BURST: u32 = 4;
/// A flow that was quiet for so long may send its first records again.
pub const FLOW_QUIET_NS: u64 = 5_000_000_000;
/// Records a second that one CPU may send in all, and as many at once.
pub const CPU_RATE: u64 = 1_000;

/// What shares a bucket of one interface.
pub mod class {
    /// [`crate::oversize`].
    pub const OVERSIZE: u32 = 0;
    /// [`crate::packet_too_big`] and [`crate::icmp_send`].
    pub const PACKET_TOO_BIG: u32 = 1;
    /// [`crate::fragment`].
    pub const FRAGMENT: u32 = 2;
    /// [`crate::tcp_mss`].
    pub const TCP_MSS: u32 = 3;
    /// [`crate::size_drop`] and [`crate::location`].
    pub const SIZE_DROP: u32 = 4;
    /// [`crate::tcp_retransmit`] and [`crate::tcp_close`].
    pub const SOCKET: u32 = 5;
    /// Ordinary packets that filters drop ([`crate::size_drop::class::FILTER`]).
    pub const FILTERED: u32 = 6;
    /// Number of classes.
    pub const COUNT: u32 = 7;
}

/// Records a second that one interface may cause on one CPU, and as many at once, by [`class`].
pub const RATES: [u64; class::COUNT as usize] = [100, 100, 50, 20, 100, 100, 50];

/// Places in [`TOKEN_BUCKETS`].
pub const BUCKETS: u32 = class::COUNT * INTERFACE_BUCKETS + 1;

/// The place of the CPU's own bucket.
pub const CPU_BUCKET: u32 = BUCKETS - 1;

/// The place of an interface's bucket for a class of events.
#[inline(always)]
pub const fn bucket_index(class: u32, ifindex: u32) -> u32 {
    class * INTERFACE_BUCKETS + (ifindex & (INTERFACE_BUCKETS - 1))
}

/// What the gate remembers of the last flow with this hash.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FlowGate {
    /// The whole hash, compared because the place is shared.
    pub hash: u32,
    /// Packets held back since the last record.
    pub held: u32,
    /// When the last record was sent, in jiffies (the lower half).
    pub last_tick: u32,
    /// The limit that the last record told, in bytes: only larger packets are known to be too big; 0 where it does not
    /// matter.
    pub limit: u32,
    /// Records sent without waiting.
    pub burst: u32,
}
const _: () = assert!(size_of::<FlowGate>() == 20);

/// A token bucket in units of nanoseconds: a record costs `1 s / rate`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TokenBucket {
    /// Credit in nanoseconds, at most one second.
    pub credit_ns: u64,
    /// When it was last filled, in jiffies.
    pub last_tick: u64,
}
const _: () = assert!(size_of::<TokenBucket>() == 16);

/// Credit that a bucket holds at most.
const FULL_NS: u64 = 1_000_000_000;

impl TokenBucket {
    /// Fills the bucket for the time since it was last filled; says whether it was untouched for as long as it takes to
    /// fill it.
    #[inline(always)]
    pub fn fill(&mut self, tick: u64, tick_ns: u64) -> bool {
        let passed = tick.wrapping_sub(self.last_tick).wrapping_mul(tick_ns);
        self.last_tick = tick;
        if passed >= FULL_NS {
            self.credit_ns = FULL_NS;
            return true;
        }
        let credit = self.credit_ns + passed;
        self.credit_ns = if credit > FULL_NS { FULL_NS } else { credit };
        false
    }

    /// Whether there is a token at this rate.
    #[inline(always)]
    pub fn has_token(&self, rate: u64) -> bool {
        self.credit_ns >= FULL_NS / rate
    }

    /// Takes a token that is there.
    #[inline(always)]
    pub fn take(&mut self, rate: u64) {
        self.credit_ns = self.credit_ns.saturating_sub(FULL_NS / rate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK_NS: u64 = 4_000_000;

    #[test]
    fn a_bucket_gives_its_rate_and_no_more() {
        let mut bucket = TokenBucket::default();
        let mut passed = 0;
        for tick in 1_000_000..1_000_000 + 10 * 250 {
            bucket.fill(tick, TICK_NS);
            for _ in 0..5 {
                if bucket.has_token(100) {
                    bucket.take(100);
                    passed += 1;
                }
            }
        }
        assert!((1_090..=1_110).contains(&passed), "{passed} in ten seconds with one second's burst");
    }

    #[test]
    fn a_quiet_bucket_says_so() {
        let mut bucket = TokenBucket::default();
        assert!(bucket.fill(1_000_000, TICK_NS));
        assert!(!bucket.fill(1_000_001, TICK_NS));
        assert!(bucket.fill(1_000_251, TICK_NS));
    }

    #[test]
    fn classes_and_the_cpu_do_not_share() {
        assert_ne!(bucket_index(class::OVERSIZE, 7), bucket_index(class::PACKET_TOO_BIG, 7));
        assert!(bucket_index(class::COUNT - 1, u32::MAX) < CPU_BUCKET);
    }
}
