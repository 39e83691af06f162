//! A network namespace of the calling thread's own, with routes to ask; it ends with the thread.
use anyhow::{Context as _, Result, bail};
use std::{fs, io, process::Command};

/// What the namespace holds.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// Device that packets come in by.
    pub incoming: u32,
    /// Device of the routes, of [`SMALL_MTU`].
    pub small: u32,
    /// Device of the other routes, of [`LARGE_MTU`].
    pub large: u32,
    /// Inode of the namespace.
    pub netns: u32,
}

/// MTU of the way to 10.244.2.0/24 and 2001:db8::3.
pub const SMALL_MTU: u32 = 1400;
/// MTU of the way to 10.244.3.0/24 and 2001:db8::4.
pub const LARGE_MTU: u32 = 9000;

/// Moves the calling thread into a new namespace and builds the network.
pub fn enter() -> Result<Network> {
    // SAFETY: no memory is involved.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error()).context("a new network namespace (needs root)");
    }
    for (name, mtu) in [("in0", LARGE_MTU), ("small0", SMALL_MTU), ("large0", LARGE_MTU)] {
        ip(&format!("link add {name} mtu {mtu} type veth peer name {name}p mtu {mtu}"))?;
        ip(&format!("link set {name}p up"))?;
        ip(&format!("link set {name} up"))?;
    }
    ip("link set lo up")?;
    ip("addr add 10.244.1.1/24 dev in0")?;
    ip("-6 addr add 2001:db8::1/128 dev in0 nodad")?;
    ip("route add 10.244.2.0/24 dev small0")?;
    ip("route add 10.244.3.0/24 dev large0")?;
    ip("-6 route add 2001:db8::3/128 dev small0")?;
    ip("-6 route add 2001:db8::4/128 dev large0")?;
    for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
        // The settings are those of the namespace of the thread that opens them.
        let path = format!("/proc/sys/net/{setting}");
        fs::write(&path, "1").with_context(|| format!("write {path}"))?;
    }
    Ok(Network {
        incoming: index("in0")?,
        small: index("small0")?,
        large: index("large0")?,
        netns: netns_inode()?,
    })
}

/// Runs `ip` in the calling thread's namespace.
pub fn ip(arguments: &str) -> Result<()> {
    let output =
        Command::new("ip").args(arguments.split(' ')).output().context("run ip (package iproute2)")?;
    if !output.status.success() {
        bail!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn index(name: &str) -> Result<u32> {
    let name = std::ffi::CString::new(name)?;
    // SAFETY: the name is terminated.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()).context("index of a device just made"),
        index => Ok(index),
    }
}

/// Inode of the calling thread's namespace.
pub fn netns_inode() -> Result<u32> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(fs::metadata("/proc/thread-self/ns/net").context("this thread's network namespace")?.ino() as u32)
}
