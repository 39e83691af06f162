//! What a container runtime may refuse: requests of bpf(2), by a seccomp filter.
use std::io::{Error, Result};

/// `BPF_RAW_TRACEPOINT_OPEN` of `enum bpf_cmd`: what attaches a program to a tracepoint.
const RAW_TRACEPOINT_OPEN: u32 = 17;

/// Offsets of the number of the call and of its first argument in `struct seccomp_data`.
const NUMBER: u32 = 0;
const FIRST_ARGUMENT: u32 = 16;

const fn statement(code: u32, operand: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k: operand }
}

/// Goes on if the value is equal, else leaves out so many.
const fn unless_equal(operand: u32, skip: u8) -> libc::sock_filter {
    let code = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    libc::sock_filter { code: code as u16, jt: 0, jf: skip, k: operand }
}

/// Refuses this process, and what it becomes, to attach to tracepoints. Calls nothing that is not safe after fork.
pub fn tracepoints() -> Result<()> {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let mut instructions = [
        statement(LOAD, NUMBER),
        unless_equal(libc::SYS_bpf as u32, 3),
        statement(LOAD, FIRST_ARGUMENT),
        unless_equal(RAW_TRACEPOINT_OPEN, 1),
        statement(RETURN, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        statement(RETURN, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: instructions.len() as u16, filter: instructions.as_mut_ptr() };
    // SAFETY: the program and its instructions live during the call, which copies them.
    match unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}
