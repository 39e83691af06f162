//! Requests of `bpf(2)`, by hand: the tests must not judge the product by its own library.
use std::io::{Error, Result};
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

/// A command and its attribute, a prefix of `union bpf_attr`; pointers in it are to values that live in the caller.
pub fn call<T>(command: libc::c_long, attribute: &mut T) -> Result<libc::c_long> {
    // SAFETY: the attribute is as large as told, and what it points to outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attribute, size_of::<T>()) };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

/// A command that makes a descriptor.
pub fn descriptor<T>(command: libc::c_long, attribute: &mut T) -> Result<OwnedFd> {
    let number = call(command, attribute)?;
    // SAFETY: these commands return a new descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(number as RawFd) })
}
