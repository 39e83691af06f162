//! The first bytes of a packet, read with bounds: whatever the packet says, no read leaves the window.
use crate::flow::Flow;
use core::{marker::PhantomData, mem::MaybeUninit};

/// Bytes of a packet, from its first one on, that the slow path looks at; a power of two. Room for Ethernet with two
/// tags, an IPv6 outer header, UDP, Geneve with options, and the inner Ethernet, IPv6 and TCP headers.
pub const WINDOW: usize = 256;

/// The memory of a window.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Memory {
    /// Copy of the packet's first bytes.
    pub bytes: [u8; WINDOW],
    /// A word may begin at the last byte.
    beyond: u64,
    /// See [`Window::forget`].
    cell: u64,
    /// The flow of the packet.
    flow: Flow,
}

impl Memory {
    /// All zero.
    #[cfg(test)]
    pub const ZERO: Self = Self { bytes: [0; WINDOW], beyond: 0, cell: 0, flow: Flow::NONE };
}

/// The first bytes of a packet.
#[derive(Clone, Copy)]
pub struct Window<'a> {
    memory: *mut Memory,
    len: usize,
    lifetime: PhantomData<&'a mut Memory>,
}

impl<'a> Window<'a> {
    /// The first `len` bytes of the memory are the packet's.
    #[inline(always)]
    pub fn new(memory: &'a mut Memory, len: usize) -> Self {
        Self { memory, len, lifetime: PhantomData }
    }

    /// Number of bytes that can be read.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The byte at an offset.
    #[inline(always)]
    pub fn u8(&self, at: usize) -> Option<u8> {
        (at < self.len).then(|| u8::from_be_bytes(self.masked(at)))
    }

    /// The big-endian 16-bit number at an offset.
    #[inline(always)]
    pub fn be16(&self, at: usize) -> Option<u16> {
        (at + 1 < self.len).then(|| u16::from_be_bytes(self.masked(at)))
    }

    /// The four bytes at an offset in the order of the wire; anything where the window ends before: for what is known to
    /// be there, or does no harm, like a hash. A condition each would multiply the paths that the verifier follows.
    #[inline(always)]
    pub fn word(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.masked(at))
    }

    /// The same value, of which the verifier knows nothing any more: it follows every combination of what it knows, and
    /// a million instructions are its limit. It tracks the stack, hence the detour through the memory of a map.
    #[inline(always)]
    pub fn forget(&self, value: u64) -> u64 {
        // SAFETY: the memory is alive and this window's alone.
        unsafe {
            let cell = &raw mut (*self.memory).cell;
            cell.write_volatile(value);
            cell.read_volatile()
        }
    }

    /// Where the packet's flow is kept: in the memory of a map, for the same reason.
    #[inline(always)]
    pub fn flow(&self) -> &'a mut Flow {
        // SAFETY: the memory is alive and this window's alone.
        unsafe { &mut (*self.memory).flow }
    }

    /// The verifier of 6.1 does not learn from a comparison of two variables: it wants a mask directly before the read,
    /// which the compiler would optimise away if it saw through.
    #[inline(always)]
    fn masked<const SIZE: usize>(&self, at: usize) -> [u8; SIZE] {
        const { assert!(SIZE <= 8) };
        let at = opaque(at) & (WINDOW - 1);
        // SAFETY: the memory is alive, and the offset at most at the last of `bytes`, with eight more behind.
        unsafe { self.memory.cast::<u8>().add(at).cast::<[u8; SIZE]>().read() }
    }
}

/// Clears a structure of plain numbers by words: for the compiler's own way the linker has a loop over bytes and a call,
/// 40 ns for 64 bytes.
///
/// # Safety
/// The place has to be writable, aligned to words and a multiple of them; all zero has to be a value of the type.
#[inline(always)]
pub unsafe fn clear<T: Copy>(place: *mut T) {
    const { assert!(size_of::<T>().is_multiple_of(8)) };
    let mut word = 0;
    while word < size_of::<T>() / 8 {
        // SAFETY: within the structure, and the caller's.
        unsafe { place.cast::<u64>().add(word).write_volatile(0) };
        word += 1;
    }
}

/// Copies a structure by words, for the same reason.
///
/// # Safety
/// Both places have to be valid, aligned to words and a multiple of them.
#[inline(always)]
pub unsafe fn copy<T: Copy>(from: *const T, to: *mut T) {
    const { assert!(size_of::<T>().is_multiple_of(8)) };
    let mut word = 0;
    while word < size_of::<T>() / 8 {
        // SAFETY: within the structures, and the caller's.
        unsafe {
            let value = from.cast::<u64>().add(word).read();
            to.cast::<u64>().add(word).write_volatile(value);
        }
        word += 1;
    }
}

/// A length between 1 and `MOST`, cut to it, in a form whose bounds the verifier sees on the very number that a helper
/// gets; none for 0. Kernels before 6.8 take from an addition that it is not zero, and from no comparison with zero.
#[inline(always)]
pub fn bounded<const MOST: u32>(length: u32) -> Option<u32> {
    let last = opaque(if length > MOST { MOST } else { length }.wrapping_sub(1));
    if last < MOST { Some(last + 1) } else { None }
}

/// A value whose range the compiler forgets.
#[inline(always)]
pub fn opaque<T: Copy>(value: T) -> T {
    let place = MaybeUninit::new(value);
    // SAFETY: `place` is initialised, aligned and alive.
    unsafe { core::ptr::read_volatile(place.as_ptr()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_length_is_neither_nothing_nor_too_much() {
        assert_eq!(
            [0, 1, 191, 192, 193, u32::MAX].map(bounded::<192>),
            [None, Some(1), Some(191), Some(192), Some(192), Some(192)]
        );
    }
}
