//! The kernel's own structures, as the tracepoint programs read them.
//!
//! Offsets are globals that user space sets from the running kernel's BTF. They lie in read-only data, so the verifier
//! knows their values: a field that this kernel does not have is a branch that it leaves out. A plain load through a
//! pointer of the tracepoint costs no helper call and gives 0 if it faults; everything else is read by helper.
use crate::window::bounded;
use aya_ebpf::{
    Global,
    helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str},
};
use core::mem::MaybeUninit;
use probe_common::{
    for_each_kernel_field,
    kernel_field::ABSENT,
    record::{PacketBytes, SNAP},
};

macro_rules! globals {
    ($($global:ident = $structure:literal, $path:literal;)*) => {
        /// Offsets of fields in bytes.
        pub mod offset {
            use aya_ebpf::Global;
            use probe_common::kernel_field::ABSENT;
            $(
                #[doc = concat!("`", $structure, ".", $path, "`")]
                #[unsafe(no_mangle)]
                pub static $global: Global<u32> = Global::new(ABSENT);
            )*
            /// Private area of a network device.
            #[unsafe(no_mangle)]
            pub static NET_DEVICE_PRIVATE: Global<u32> = Global::new(ABSENT);
        }
    };
}
for_each_kernel_field!(globals);

/// The address of something in the kernel; 0 is none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Address(pub u64);

impl Address {
    /// Reads a field by helper; zero if it is absent or can't be read.
    #[inline(always)]
    pub fn read<T: Copy>(self, field: &Global<u32>) -> T {
        let offset = field.load();
        let mut value = MaybeUninit::<T>::zeroed();
        if offset != ABSENT && self.0 != 0 {
            // SAFETY: the helper checks the source and writes zeros if it fails; the destination is as large as told.
            unsafe {
                bpf_probe_read_kernel(
                    value.as_mut_ptr().cast(),
                    size_of::<T>() as u32,
                    (self.0 + u64::from(offset)) as *const _,
                );
            }
        }
        // SAFETY: only used for integers and arrays of them.
        unsafe { value.assume_init() }
    }

    /// A field that holds an address.
    #[inline(always)]
    pub fn follow(self, field: &Global<u32>) -> Self {
        Self(self.read(field))
    }

    /// The address of a field; none if it is absent.
    #[inline(always)]
    pub fn at(self, field: &Global<u32>) -> Self {
        let offset = field.load();
        if offset == ABSENT || self.0 == 0 { Self(0) } else { Self(self.0 + u64::from(offset)) }
    }

    /// Reads into memory; false if it can't be read.
    #[inline(always)]
    pub fn copy<T>(self, into: *mut T) -> bool {
        // SAFETY: the helper checks the source; the destination is as large as told.
        let result =
            unsafe { bpf_probe_read_kernel(into.cast(), size_of::<T>() as u32, self.0 as *const _) };
        result == 0
    }

    /// Reads at most `len` and `MOST` bytes of a packet; gives their number.
    #[inline(always)]
    pub fn copy_packet<const MOST: u32>(self, into: *mut PacketBytes, len: u32) -> u32 {
        const { assert!(MOST as usize <= SNAP) };
        let Some(wanted) = bounded::<MOST>(len) else { return 0 };
        // SAFETY: the helper checks the source; `wanted` is at most the size of the destination.
        let result = unsafe { bpf_probe_read_kernel(into.cast(), wanted, self.0 as *const _) };
        if result == 0 { wanted } else { 0 }
    }

    /// The first eight bytes of a string.
    #[inline(always)]
    pub fn string(self) -> u64 {
        let mut text = 0u64;
        // SAFETY: the helper checks the source; the destination is eight bytes.
        unsafe { bpf_probe_read_kernel_str((&raw mut text).cast(), 8, self.0 as *const _) };
        text
    }
}

/// A pointer that the tracepoint vouches for: plain loads are allowed.
#[derive(Clone, Copy)]
pub struct Trusted(*const u8);

impl Trusted {
    /// An argument of the tracepoint.
    #[inline(always)]
    pub fn new(pointer: *const u8) -> Self {
        Self(pointer)
    }

    /// A field that holds a pointer.
    #[inline(always)]
    pub fn follow(self, field: &Global<u32>) -> Self {
        let offset = field.load();
        if offset == ABSENT || self.0.is_null() {
            return Self(core::ptr::null());
        }
        // SAFETY: the verifier checks that this is such a field; a load that faults gives 0.
        Self(unsafe { self.0.byte_add(offset as usize).cast::<*const u8>().read_volatile() })
    }

    /// A field that holds a number, of exactly this size.
    #[inline(always)]
    pub fn number<T: Copy + Default>(self, field: &Global<u32>) -> T {
        let offset = field.load();
        if offset == ABSENT || self.0.is_null() {
            return T::default();
        }
        // SAFETY: as above.
        unsafe { self.0.byte_add(offset as usize).cast::<T>().read_volatile() }
    }

    /// As an address, for reads by helper.
    #[inline(always)]
    pub fn address(self) -> Address {
        Address(self.0 as u64)
    }
}
