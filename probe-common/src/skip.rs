//! Why a packet or a record went unrecorded: counted by name, never silent.

/// `PerCpuArray<u64>` of [`COUNT`], by [`Skip`].
pub const SKIPS: &str = "SKIPS";

macro_rules! skips {
    ($($(#[$doc:meta])* $variant:ident = $index:literal, $name:literal;)*) => {
        /// A reason to leave something unrecorded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Skip { $($(#[$doc])* $variant = $index,)* }

        impl Skip {
            /// All reasons in the order of their index.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in `lost` lines and metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

skips! {
    /// The ring had no room: a record is lost.
    RingFull = 0, "ring_full";
    /// The gate held back a record of a flow whose place another flow took.
    GateReplaced = 1, "gate_replaced";
    /// The interface's token bucket was empty.
    InterfaceRate = 2, "interface_rate";
    /// The CPU's token bucket was empty.
    CpuRate = 3, "cpu_rate";
    /// A packet met a program on an interface without configuration.
    UnknownInterface = 4, "unknown_interface";
    /// A packet is shorter than its own headers say.
    Truncated = 5, "truncated";
    /// More VLAN tags in line than are read.
    VlanDepth = 6, "vlan_depth";
    /// More IPv6 extension headers than are read.
    ExtensionHeaders = 7, "extension_headers";
    /// A segmentation-offload packet whose headers were not understood: counted by its segment payload alone.
    GsoHeaders = 8, "gso_headers";
    /// The IP version contradicts the EtherType.
    BadVersion = 9, "bad_version";
    /// A map had no room.
    MapFull = 10, "map_full";
    /// Kernel memory could not be read.
    ReadFailed = 11, "read_failed";
    /// Ordinary packets that a filter dropped, beyond the sample that is taken of them.
    FilterSample = 12, "filter_sample";
}

/// Number of reasons.
pub const COUNT: u32 = Skip::ALL.len() as u32;

#[cfg(test)]
mod tests {
    use super::Skip;

    #[test]
    fn indexes_are_dense() {
        for (index, skip) in Skip::ALL.iter().enumerate() {
            assert_eq!(*skip as usize, index);
        }
    }
}
