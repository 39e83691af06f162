//! Counting packets by size.
use crate::segments::Segments;
use probe_common::{
    interface::{InterfaceStats, protocol_class},
    size_bucket::{BUCKETS, TABLE, table_index},
};

/// Counts one packet of `size` bytes at layer 3.
#[inline(always)]
pub fn add_one(stats: &mut InterfaceStats, size: u32, class: usize, df: bool) {
    add_bucket(stats, size, 1);
    add_totals(stats, 1, size.into(), size, class, df);
}

/// Counts the packets that a segmentation-offload packet becomes.
#[inline(always)]
pub fn add_segments(stats: &mut InterfaceStats, segments: Segments, class: usize, df: bool) {
    add_bucket(stats, segments.full, u64::from(segments.count) - 1);
    add_bucket(stats, segments.last, 1);
    add_totals(stats, segments.count.into(), segments.bytes(), segments.largest(), class, df);
}

#[inline(always)]
fn add_bucket(stats: &mut InterfaceStats, size: u32, count: u64) {
    // SAFETY: `table_index` is below the table's length.
    let bucket = usize::from(unsafe { *TABLE.get_unchecked(table_index(size)) });
    // The verifier knows nothing of the table's values.
    if bucket < BUCKETS {
        // SAFETY: just compared.
        unsafe { *stats.buckets.get_unchecked_mut(bucket) += count };
    }
}

#[inline(always)]
fn add_totals(stats: &mut InterfaceStats, count: u64, bytes: u64, largest: u32, class: usize, df: bool) {
    if class < protocol_class::COUNT {
        // SAFETY: just compared.
        unsafe { *stats.by_protocol.get_unchecked_mut(class) += count };
    }
    stats.bytes += bytes;
    if df {
        stats.df += count;
    }
    if u64::from(largest) > stats.largest {
        stats.largest = largest.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_common::size_bucket::bucket_of;

    #[test]
    fn segments_count_as_packets() {
        let mut stats = InterfaceStats::ZERO;
        add_segments(&mut stats, Segments::of(52 + 3000, 52, 1448, 0), protocol_class::TCP, true);
        assert_eq!(stats.packets(), 3);
        assert_eq!(stats.buckets[bucket_of(1500)], 2);
        assert_eq!(stats.buckets[bucket_of(52 + 104)], 1);
        assert_eq!(stats.bytes, 3 * 52 + 3000);
        assert_eq!((stats.df, stats.largest, stats.by_protocol[protocol_class::TCP]), (3, 1500, 3));
    }
}
