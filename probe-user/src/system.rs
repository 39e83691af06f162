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

fn read(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}
