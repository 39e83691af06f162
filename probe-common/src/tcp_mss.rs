//! SYN and SYN-ACK packets at a pod's veth: the segment size that they announce.
use crate::record::{PacketBytes, RecordHeader};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A SYN or SYN-ACK.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TcpMssRecord {
    /// Interface and direction of the hook, time.
    pub header: RecordHeader,
    /// Size in bytes.
    pub length: u32,
    /// EtherType in host order.
    pub ethertype: u32,
    /// The packet from its network header on, options included.
    pub packet: PacketBytes,
}
const _: () = assert!(size_of::<TcpMssRecord>() == 24 + 8 + 192);
