//! The bytes of a packet that a record brings along, for those who keep packets.
use super::record;
use crate::model::Time;
use crate::model::packet_too_big::HookDirection;
use bytes::Bytes;
use probe_common::oversize::OversizeRecord;
use probe_common::packet_too_big::PacketTooBigRecord;
use probe_common::record::{SNAP, direction, kind};
use probe_common::size_drop::SizeDropRecord;
use std::mem::offset_of;

/// Bytes of a packet that are ever there, from its network header on.
pub const MAX_CAPTURED: usize = SNAP;

/// The first bytes of a packet, as they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// When.
    pub time: Time,
    /// Which way it passed a hook; `None` where a tracepoint met it.
    pub direction: Option<HookDirection>,
    /// From the network header on.
    pub bytes: Bytes,
}

/// The packet of a record about a packet that is too big, that was dropped, or of an ICMP error.
pub fn captured(bytes: &Bytes) -> Option<Captured> {
    let header = record::header(bytes).ok()?;
    let at = match header.kind {
        kind::OVERSIZE => offset_of!(OversizeRecord, packet),
        kind::PACKET_TOO_BIG => offset_of!(PacketTooBigRecord, packet),
        kind::SIZE_DROP => offset_of!(SizeDropRecord, packet),
        _ => return None,
    };
    let end = at.checked_add(usize::try_from(header.captured).ok()?)?;
    if end > bytes.len() || end == at {
        return None;
    }
    let direction = match header.direction {
        direction::INGRESS => Some(HookDirection::Ingress),
        direction::EGRESS => Some(HookDirection::Egress),
        _ => None,
    };
    Some(Captured { time: header.time_ns, direction, bytes: bytes.slice(at..end) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::{FromZeros, IntoBytes};

    #[test]
    fn the_bytes_are_those_of_the_record_and_no_more() {
        let mut record = PacketTooBigRecord::new_zeroed();
        record.header.kind = kind::PACKET_TOO_BIG;
        record.header.captured = 3;
        record.packet[..4].copy_from_slice(&[0x45, 1, 2, 3]);
        let captured = |record: &PacketTooBigRecord| captured(&Bytes::copy_from_slice(record.as_bytes()));
        let expected = Captured {
            time: 0,
            direction: Some(HookDirection::Ingress),
            bytes: Bytes::from_static(&[0x45, 1, 2]),
        };
        assert_eq!(captured(&record), Some(expected));
        record.header.captured = 0;
        assert_eq!(captured(&record), None);
        record.header.captured = u32::MAX;
        assert_eq!(captured(&record), None);
    }
}
