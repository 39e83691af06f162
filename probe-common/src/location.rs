//! Where in the kernel a packet was freed.
//!
//! `kfree_skb` reports the caller's address. Under three capabilities `/proc/kallsyms` is all zeros, so the program
//! itself prints the symbol (`bpf_snprintf` with `%ps`) the first time it meets an address, user space says what the
//! symbol means, and from then on the address alone decides.
use crate::record::RecordHeader;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `HashMap<u64, u32>`: address → [`class`].
pub const LOCATIONS: &str = "LOCATIONS";

/// What the kernel side does with a drop at this place when the reason alone does not say.
pub mod class {
    /// Asked user space, no answer yet: reported meanwhile.
    pub const ASKED: u32 = 0;
    /// Not about size: ignored.
    pub const IGNORED: u32 = 1;
    /// May be about size (veth, bridge, `ip_fragment`, tunnel, vswitch): reported.
    pub const SIZE: u32 = 2;
    /// A filter or somebody's program that gives no reason: sampled as those that do.
    pub const FILTER: u32 = 3;
}

/// Longest symbol that fits, with the terminating zero.
pub const SYMBOL_LEN: usize = 64;

/// An address met for the first time.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct LocationRecord {
    /// Time.
    pub header: RecordHeader,
    /// The address.
    pub address: u64,
    /// Its symbol, zero-terminated; empty where it could not be had.
    pub symbol: [u8; SYMBOL_LEN],
}
const _: () = assert!(size_of::<LocationRecord>() == 24 + 8 + 64);
