//! Packet sizes are counted in buckets whose edges are the MTUs that occur.
//!
//! One table, size → bucket, is built from [`EDGES`] at compile time and used by both sides: one load, no search. A
//! logarithmic histogram is dearer in BPF and cannot tell 1450 from 1500.

/// Upper bounds, inclusive, in bytes at layer 3; what is larger than the last falls into one more bucket.
pub const EDGES: [u32; 18] =
    [64, 128, 256, 512, 576, 1024, 1280, 1400, 1420, 1440, 1450, 1460, 1480, 1492, 1500, 8951, 9000, 9001];

/// Number of buckets: one per edge and one for everything larger.
pub const BUCKETS: usize = EDGES.len() + 1;

/// Length of [`TABLE`]: every size up to the last edge, and one for everything larger.
pub const TABLE_LEN: usize = EDGES[EDGES.len() - 1] as usize + 2;

/// Size in bytes → bucket; index with [`table_index`].
pub static TABLE: [u8; TABLE_LEN] = build();

const fn build() -> [u8; TABLE_LEN] {
    let mut table = [0; TABLE_LEN];
    let mut size = 0;
    let mut bucket = 0;
    while size < TABLE_LEN {
        if bucket < EDGES.len() && size as u32 > EDGES[bucket] {
            bucket += 1;
        }
        table[size] = bucket as u8;
        size += 1;
    }
    table
}

/// Index into [`TABLE`] for a packet of `size` bytes.
#[inline(always)]
pub const fn table_index(size: u32) -> usize {
    if size as usize >= TABLE_LEN { TABLE_LEN - 1 } else { size as usize }
}

/// The bucket of a packet of `size` bytes.
pub const fn bucket_of(size: u32) -> usize {
    TABLE[table_index(size)] as usize
}

/// The upper bound of a bucket; `None` for the last one, which has none.
pub fn upper_bound(bucket: usize) -> Option<u32> {
    EDGES.get(bucket).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_edge_is_the_last_size_of_its_bucket() {
        for (bucket, edge) in EDGES.iter().enumerate() {
            assert_eq!(bucket_of(*edge), bucket);
            assert_eq!(bucket_of(edge + 1), bucket + 1);
        }
        assert_eq!(bucket_of(0), 0);
        assert_eq!(bucket_of(u32::MAX), BUCKETS - 1);
    }
}
