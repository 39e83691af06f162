//! Iterator programs: the kernel walks over something and the program writes what there is to know of it.
//!
//! The library gives an iterator's link away with the first reading; this reads again and again.
use aya::programs::{Iter, ProgramError, ProgramFd};
use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};

/// `BPF_LINK_CREATE` and `BPF_ITER_CREATE` of `enum bpf_cmd`.
const LINK_CREATE: libc::c_long = 28;
const ITER_CREATE: libc::c_long = 33;
/// `BPF_TRACE_ITER` of `enum bpf_attach_type`.
const TRACE_ITER: u32 = 28;

/// A loaded iterator program; it runs only while somebody reads.
#[derive(Debug)]
pub(super) struct Iterator {
    program: ProgramFd,
}

/// The first members of `union bpf_attr` for both commands; what is behind them is zero.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    /// Descriptor of the program, or of the link.
    descriptor: u32,
    /// Nothing for this kind of program, or flags.
    target: u32,
    attach_type: u32,
    flags: u32,
    /// Address and length of what is to be walked over, where it is something in particular.
    iter_info: u64,
    iter_info_len: u32,
    unused: u32,
}

impl Iterator {
    pub fn of(program: &Iter) -> Result<Self, ProgramError> {
        Ok(Self { program: program.fd()?.try_clone()? })
    }

    /// Begins a walk: the file holds what the program writes.
    pub fn walk(&self) -> io::Result<File> {
        let program = self.program.as_fd().as_raw_fd();
        let attach = Attributes { attach_type: TRACE_ITER, ..Attributes::of(program)? };
        let link = call(LINK_CREATE, attach, size_of::<Attributes>())?;
        // This command knows descriptor and flags only.
        let file =
            call(ITER_CREATE, Attributes::of(link.as_raw_fd())?, mem::offset_of!(Attributes, attach_type))?;
        Ok(File::from(file))
    }
}

impl Attributes {
    fn of(descriptor: i32) -> io::Result<Self> {
        let descriptor = u32::try_from(descriptor).map_err(io::Error::other)?;
        Ok(Self { descriptor, ..Self::default() })
    }
}

fn call(command: libc::c_long, mut attributes: Attributes, size: usize) -> io::Result<OwnedFd> {
    // SAFETY: the attributes live through the call and are at least as large as told.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut attributes, size) };
    let descriptor = i32::try_from(result).map_err(io::Error::other)?;
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
