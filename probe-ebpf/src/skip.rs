//! Why a packet or a record went unrecorded: counted, never silent.
use crate::maps;
use probe_common::skip::Skip;

/// Counts one.
#[inline(always)]
pub fn count(reason: Skip) {
    count_many(reason, 1);
}

/// Counts several.
#[inline(always)]
pub fn count_many(reason: Skip, number: u64) {
    if let Some(counter) = maps::skips(reason as u32) {
        // SAFETY: a value of this CPU alone.
        unsafe { *counter += number };
    }
}
