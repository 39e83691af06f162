//! What the machine says of itself.
use std::fs;

/// Release of the running kernel.
pub fn kernel_release() -> String {
    read("/proc/sys/kernel/osrelease")
}

/// Name of the node.
pub fn node_name() -> String {
    read("/proc/sys/kernel/hostname")
}

/// Number of the capability to read links of other network namespaces.
pub const CAP_NET_ADMIN: u32 = 12;
/// Number of the capability to enter another network namespace (`include/uapi/linux/capability.h`).
pub const CAP_SYS_ADMIN: u32 = 21;

/// Whether the calling thread has a capability in effect.
pub fn has_capability(number: u32) -> bool {
    let status = read("/proc/thread-self/status");
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .is_some_and(|set| set >> number & 1 == 1)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}
