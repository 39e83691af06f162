//! What the kernel sees: loading, attaching, reading rings and maps, and netlink.
pub mod conntrack;
pub mod links;
