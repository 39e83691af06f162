//! A kernel with less in it than this one: what a program asks of bpf(2) is looked at first, and refused as a kernel would
//! refuse it that lacks the thing. What it asks of netlink is made a request for something that no kernel has.
//!
//! By a seccomp filter that hands each call to its supervisor (`SECCOMP_RET_USER_NOTIF`), who lets the rest go on.
use anyhow::{Context, Result, bail};
use std::io::{self, Error};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// bpf(2) itself.
    Bpf,
    /// A type of map, by its number in `enum bpf_map_type`.
    MapType(u32),
    /// A helper that this program calls: the verifier says so and refuses.
    Helper {
        /// Name of the program.
        program: &'static str,
    },
    /// Programs that read the kernel's structures (`BPF_PROG_TYPE_TRACING`).
    Tracing,
    /// TCX: the kernel does not know the type of attachment.
    Tcx,
    /// TCX, and the qdisc clsact too.
    Hooks,
}

/// The part of a request that is looked at: all that this needs lies in it.
const LOOKED_AT: usize = 72;

// `enum bpf_cmd`.
const MAP_CREATE: u64 = 0;
const PROG_LOAD: u64 = 5;
const LINK_CREATE: u64 = 28;
/// `BPF_PROG_TYPE_TRACING`.
const TRACING: u32 = 26;
/// `BPF_TCX_INGRESS` and `BPF_TCX_EGRESS`.
const TCX: [u32; 2] = [46, 47];
/// Names and places in `union bpf_attr` for loading a program.
const LOG_LEVEL: usize = 24;
const LOG_BUFFER: usize = 32;
const PROGRAM_NAME: usize = 48;

/// `RTM_NEWQDISC`, its place in a `struct nlmsghdr`, and as much of such a message as is looked at.
const NEW_QDISC: u16 = 36;
const MESSAGE_TYPE: usize = 4;
const MESSAGE: usize = 128;
/// The kind of a qdisc, and as long a one that no kernel has.
const KIND: &[u8] = b"clsact\0";
const NO_KIND: &[u8] = b"absent\0";

/// What the verifier says of a helper that it does not know.
const COMPLAINT: &[u8] = b"0: (85) call bpf_fib_lookup#69\nunknown func bpf_fib_lookup#69\n\0";

/// The descriptor under which the child leaves the supervisor's end: none of its own is that high.
const LISTENER: RawFd = 200;
/// For a call to come up.
const PATIENCE: Duration = Duration::from_secs(180);

/// `struct seccomp_notif`, with its `struct seccomp_data`.
#[repr(C)]
#[derive(Default)]
struct Notification {
    id: u64,
    pid: u32,
    flags: u32,
    number: i32,
    architecture: u32,
    instruction_pointer: u64,
    arguments: [u64; 6],
}

/// `struct seccomp_notif_resp`.
#[repr(C)]
#[derive(Default)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// `SECCOMP_IOCTL_NOTIF_RECV` and `SECCOMP_IOCTL_NOTIF_SEND`: `_IOWR('!', 0 and 1, …)`.
const RECEIVE: libc::c_ulong = request(0, size_of::<Notification>());
const SEND: libc::c_ulong = request(1, size_of::<Response>());
/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`.
const GO_ON: u32 = 1;

const fn request(number: libc::c_ulong, size: usize) -> libc::c_ulong {
    3 << 30 | (size as libc::c_ulong) << 16 | (b'!' as libc::c_ulong) << 8 | number
}

/// Runs a command to its end on a kernel that lacks something.
pub fn run(mut command: Command, lack: Lack) -> Result<Output> {
    // SAFETY: between fork and exec only system calls are made.
    unsafe { command.pre_exec(install) };
    let child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("starting the command")?;
    let listener = take_listener(child.id())?;
    let over = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&over);
    let supervisor = std::thread::spawn(move || supervise(&listener, lack, &ended));
    let output = child.wait_with_output().context("waiting for the command")?;
    over.store(true, Ordering::Relaxed);
    supervisor.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    Ok(output)
}

/// Puts the filter on the calling process: each bpf(2) and each sendto(2) goes to the supervisor.
fn install() -> io::Result<()> {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let mut filter = [
        // The number of the call, the first member of `struct seccomp_data`.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        libc::sock_filter {
            jt: 1,
            ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_bpf as u32)
        },
        libc::sock_filter {
            jf: 1,
            ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_sendto as u32)
        },
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_USER_NOTIF),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program is a local variable, which the calls only read; the rest are integers.
    unsafe {
        let listener = libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        );
        let listener = listener as RawFd;
        if listener < 0 || libc::dup2(listener, LISTENER) < 0 || libc::close(listener) < 0 {
            return Err(Error::last_os_error());
        }
    }
    Ok(())
}

/// The supervisor's end, out of the child.
fn take_listener(pid: u32) -> Result<OwnedFd> {
    // SAFETY: integers only; the descriptors that come back are nobody else's.
    let process = unsafe {
        let process = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        if process < 0 {
            return Err(Error::last_os_error()).context("opening the child");
        }
        OwnedFd::from_raw_fd(process as RawFd)
    };
    // SAFETY: as above.
    let listener = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), LISTENER, 0) };
    if listener < 0 {
        return Err(Error::last_os_error()).context("taking the child's listener");
    }
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(listener as RawFd) })
}

/// Answers until the command has ended.
fn supervise(listener: &OwnedFd, lack: Lack, over: &AtomicBool) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    let mut poll = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    while !over.load(Ordering::Relaxed) {
        if Instant::now() > end {
            bail!("the command did not end within {PATIENCE:?}");
        }
        // SAFETY: one structure, which is a local variable.
        let ready = unsafe { libc::poll(&raw mut poll, 1, 20) };
        if ready <= 0 || poll.revents & libc::POLLIN == 0 {
            continue;
        }
        let mut call = Notification::default();
        // SAFETY: the structure that this request fills.
        if unsafe { libc::ioctl(listener.as_raw_fd(), RECEIVE, &raw mut call) } < 0 {
            // The caller died meanwhile.
            continue;
        }
        let mut response = Response { id: call.id, ..Response::default() };
        match refusal(&call, lack) {
            Some(number) => response.error = -number,
            None => response.flags = GO_ON,
        }
        // SAFETY: the structure that this request reads. It fails if the caller died meanwhile.
        let _gone = unsafe { libc::ioctl(listener.as_raw_fd(), SEND, &raw mut response) };
    }
    Ok(())
}

/// The error number with which a call is answered; `None` if the kernel is to answer.
fn refusal(call: &Notification, lack: Lack) -> Option<i32> {
    if i64::from(call.number) == libc::SYS_sendto {
        if lack == Lack::Hooks {
            ask_for_nothing(call);
        }
        return None;
    }
    let [command, address, ..] = call.arguments;
    if lack == Lack::Bpf {
        return Some(libc::ENOSYS);
    }
    let mut attributes = [0_u8; LOOKED_AT];
    copy(call.pid, address, &mut attributes, Direction::Read);
    let word = |at: usize| u32::from_ne_bytes([at, at + 1, at + 2, at + 3].map(|at| attributes[at]));
    let lacks = match lack {
        Lack::Bpf => true,
        Lack::MapType(number) => command == MAP_CREATE && word(0) == number,
        Lack::Helper { program } => {
            let is_it = command == PROG_LOAD && attributes[PROGRAM_NAME..].starts_with(program.as_bytes());
            if is_it && word(LOG_LEVEL) > 0 {
                let low = u64::from(word(LOG_BUFFER));
                let buffer = u64::from(word(LOG_BUFFER + 4)) << 32 | low;
                copy(call.pid, buffer, &mut COMPLAINT.to_vec(), Direction::Write);
            }
            is_it
        }
        Lack::Tracing => command == PROG_LOAD && word(0) == TRACING,
        Lack::Tcx | Lack::Hooks => command == LINK_CREATE && TCX.contains(&word(8)),
    };
    lacks.then_some(libc::EINVAL)
}

/// Has a request for a qdisc clsact ask for one that no kernel has.
fn ask_for_nothing(call: &Notification) {
    let [_, address, length, ..] = call.arguments;
    let mut message = [0_u8; MESSAGE];
    let message = &mut message[..MESSAGE.min(length as usize)];
    copy(call.pid, address, message, Direction::Read);
    let is_new_qdisc =
        message.get(MESSAGE_TYPE..).is_some_and(|rest| rest.starts_with(&NEW_QDISC.to_ne_bytes()));
    let kind = message.windows(KIND.len()).position(|window| window == KIND);
    if let Some(kind) = kind.filter(|_| is_new_qdisc) {
        copy(call.pid, address + kind as u64, &mut NO_KIND.to_vec(), Direction::Write);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Read,
    Write,
}

/// Copies out of another process's memory, or into it; what is not there is left out.
fn copy(pid: u32, address: u64, bytes: &mut [u8], direction: Direction) {
    let here = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let there = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: bytes.len() };
    let function = match direction {
        Direction::Read => libc::process_vm_readv,
        Direction::Write => libc::process_vm_writev,
    };
    // SAFETY: `here` is a slice of ours, and the kernel checks the address in the other process.
    let _copied = unsafe { function(pid.cast_signed(), &raw const here, 1, &raw const there, 1, 0) };
}
