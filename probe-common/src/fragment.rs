//! First fragments at a TC hook.
use crate::record::{PacketBytes, RecordHeader};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A first fragment; it alone carries the ports, or the inner headers of a tunnel.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FragmentRecord {
    /// Interface and direction of the hook, time, packets.
    pub header: RecordHeader,
    /// Size in bytes of this fragment.
    pub length: u32,
    /// EtherType in host order.
    pub ethertype: u32,
    /// The fragment from its network header on.
    pub packet: PacketBytes,
}
const _: () = assert!(size_of::<FragmentRecord>() == 24 + 8 + 192);
