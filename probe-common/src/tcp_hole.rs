//! TCP connections towards a pod whose receiver reports a hole: later data arrived, earlier did not (RFC 2018).
//!
//! What a remote sender loses on its way here is seen by nobody but the receiver. Its acknowledgements without data say
//! so, and do so at the host's end of the pod's veth; those of the node itself, and of pods on a device that sits on an
//! uplink, at the uplink. The connection is kept in [`HOLES`]; from then on, and for
//! [`WATCH_NS`], the interface is watched: whether the hole is filled, and in [`ARRIVALS`] which sizes come from that
//! address. User space reads both; no record is sent.
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `LruHashMap<u64, TcpHole>` of [`HOLE_PLACES`], by hash of the connection.
pub const HOLES: &str = "TCP_HOLES";
/// `Array<TcpArrivals>` of [`ARRIVAL_PLACES`], by hash of interface and addresses.
pub const ARRIVALS: &str = "TCP_ARRIVALS";
/// Connections remembered.
pub const HOLE_PLACES: u32 = 512;
/// Pairs of addresses whose arrivals are told apart; a power of two.
pub const ARRIVAL_PLACES: u32 = 128;
/// An interface is watched for so long after the last acknowledgement with a hole.
pub const WATCH_NS: u64 = 20_000_000_000;

/// `TcpHole::state`.
pub mod state {
    /// The hole is open as far as is known.
    pub const OPEN: u32 = 0;
    /// The receiver has acknowledged more.
    pub const FILLED: u32 = 1;
    /// The pod has reset the connection.
    pub const RESET: u32 = 2;
}

/// One connection with a hole.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TcpHole {
    /// When the hole was reported first, in nanoseconds of `CLOCK_MONOTONIC`.
    pub since_ns: u64,
    /// Addresses of the acknowledgements in the order of the wire, the pod's first; IPv4 in the first word of each half.
    pub addresses: [u32; 8],
    /// Their ports in the order of the wire.
    pub ports: u32,
    /// EtherType in host order.
    pub ethertype: u32,
    /// The host's end of the pod's veth, or the uplink.
    pub ifindex: u32,
    /// Hash of interface and addresses, see [`TcpArrivals::pair`].
    pub pair: u32,
    /// When the hole was reported first, in jiffies (the lower half).
    pub since_tick: u32,
    /// When a packet of the pod said so last, in jiffies.
    pub last_tick: u32,
    /// One of [`state`].
    pub state: u32,
    /// The first missing sequence number.
    pub ack: u32,
    /// Bytes from there to the first that arrived.
    pub missing: u32,
    /// Bytes of the block that was reported first: what arrived just then.
    pub first: u32,
    /// Bytes that arrived beyond the hole.
    pub beyond: u32,
    /// Acknowledgements that reported it.
    pub reports: u32,
    /// TCP header bytes of a segment with data: 20, or 32 with timestamps.
    pub header_len: u32,
    /// Zero.
    pub reserved: u32,
}
const _: () = assert!(size_of::<TcpHole>() == 8 + 32 + 14 * 4);

/// Sizes told apart by [`TcpArrivals`].
pub const SIZES: usize = 64;
/// Each place is for sizes of so many bits less.
pub const SIZE_SHIFT: u32 = 7;

/// TCP packets of a watched interface that came from one address to its pod.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TcpArrivals {
    /// Hash of interface and addresses; 0 is none.
    pub pair: u32,
    /// Zero.
    pub reserved: u32,
    /// When a packet of such a size came last, in jiffies (the lower half).
    pub ticks: [u32; SIZES],
    /// Its size in bytes at layer 3; 0 if none came.
    pub sizes: [u32; SIZES],
}
const _: () = assert!(size_of::<TcpArrivals>() == 8 + SIZES * 8);

/// The place of a size.
#[inline(always)]
pub const fn size_place(size: u32) -> usize {
    let place = (size >> SIZE_SHIFT) as usize;
    if place >= SIZES { SIZES - 1 } else { place }
}
