//! Records on their way from the kernel: user space looks into the ring by itself, nothing ever wakes it.
use aya::maps::{MapData, RingBuf};
use bytes::Bytes;

/// The ring of records.
pub struct Ring {
    ring: RingBuf<MapData>,
}

impl Ring {
    pub(super) fn new(ring: RingBuf<MapData>) -> Self {
        Self { ring }
    }

    /// Takes at most `max` records, oldest first. Fewer than `max` means that the ring is empty.
    pub fn drain(&mut self, max: usize) -> Vec<Bytes> {
        let mut records = Vec::new();
        while records.len() < max {
            let Some(record) = self.ring.next() else { break };
            records.push(Bytes::copy_from_slice(&record));
        }
        records
    }
}
