//! What is attached to the TC hooks of a namespace, asked of the kernel itself, and a program that belongs to
//! somebody else.
mod bpf;

pub use bpf::{Hook, OtherProgram, ProgramInfo};

use crate::topology::Namespace;
use anyhow::{Context, Result};
use std::fs;

/// One program at a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Name of the interface.
    pub interface: String,
    /// Where.
    pub hook: Hook,
    /// The kernel's number of the program.
    pub program: u32,
}

/// The TCX programs at all interfaces of a namespace, in the order in which they run.
pub fn tcx(namespace: &Namespace) -> Result<Vec<Attachment>> {
    namespace.run(|| {
        let mut all = Vec::new();
        for (interface, index) in interfaces()? {
            for hook in Hook::ALL {
                // Where the kernel has no TCX, nothing is attached by it.
                let programs = bpf::query(index, hook).unwrap_or_default();
                all.extend(programs.into_iter().map(|program| Attachment {
                    interface: interface.clone(),
                    hook,
                    program,
                }));
            }
        }
        Ok(all)
    })?
}

/// What `--hook` can be told on this kernel, the one that it chooses by itself first.
pub fn hooks() -> &'static [&'static str] {
    if has_tcx() { &["tcx", "clsact"] } else { &["clsact"] }
}

/// Whether this kernel has TCX, which came with 6.6: one without refuses to be asked what is attached by it.
pub fn has_tcx() -> bool {
    // Every namespace has the loopback device, with this number.
    bpf::query(1, Hook::Ingress).is_ok()
}

/// The filters at clsact hooks, as `tc filter show` tells them: a line each, with interface and direction in front.
pub fn clsact(namespace: &Namespace) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for (interface, _) in namespace.run(interfaces)?? {
        for direction in ["ingress", "egress"] {
            let shown = namespace.output("tc", &["filter", "show", "dev", &interface, direction])?;
            all.extend(shown.lines().map(|line| format!("{interface} {direction} {line}")));
        }
    }
    Ok(all)
}

/// The queueing disciplines named clsact, by interface.
pub fn clsact_qdiscs(namespace: &Namespace) -> Result<Vec<String>> {
    let shown = namespace.output("tc", &["qdisc", "show"])?;
    Ok(shown.lines().filter(|line| line.starts_with("qdisc clsact ")).map(ToOwned::to_owned).collect())
}

/// Whether a program with this number still exists.
pub fn program_exists(program: u32) -> bool {
    bpf::program_exists(program)
}

/// The programs that this process has loaded.
pub fn own_programs() -> Result<Vec<ProgramInfo>> {
    let descriptors = fs::read_dir("/proc/self/fd").context("listing our descriptors")?;
    descriptors
        .flatten()
        .filter(|entry| {
            fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == "anon_inode:bpf-prog")
        })
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .map(bpf::program_info)
        .collect()
}

/// Names and numbers of the interfaces in the calling thread's namespace.
fn interfaces() -> Result<Vec<(String, u32)>> {
    let table = fs::read_to_string("/proc/thread-self/net/dev").context("reading net/dev")?;
    table
        .lines()
        .skip(2)
        .filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()))
        .map(|name| bpf::interface_index(&name).map(|index| (name, index)))
        .collect()
}
