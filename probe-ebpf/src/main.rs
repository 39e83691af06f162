//! The kernel side of mtuprobe: entry points only.
//!
//! On the host this is an ordinary crate: what is pure (headers, segments, flows) has its unit tests there.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(not(target_arch = "bpf"), expect(dead_code, reason = "the programs exist in the kernel only"))]

mod flow;
mod packet;
mod segments;
mod size_histogram;
mod window;

#[cfg(target_arch = "bpf")]
mod event;
#[cfg(target_arch = "bpf")]
mod fragment;
#[cfg(target_arch = "bpf")]
mod gate;
#[cfg(target_arch = "bpf")]
mod hook;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod oversize;
#[cfg(target_arch = "bpf")]
mod packet_too_big;
#[cfg(target_arch = "bpf")]
mod program;
#[cfg(target_arch = "bpf")]
mod ring;
#[cfg(target_arch = "bpf")]
mod skip;
#[cfg(target_arch = "bpf")]
mod tcp_mss;

#[cfg(not(target_arch = "bpf"))]
fn main() {}
