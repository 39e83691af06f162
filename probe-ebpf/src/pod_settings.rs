//! Settings of all network namespaces, from the kernel's list of them.
use crate::kernel::{Address, offset};
use aya_ebpf::{
    bindings::seq_file,
    helpers::{
        bpf_get_current_task,
        generated::{bpf_loop, bpf_seq_write},
    },
};
use core::ffi::c_void;
use probe_common::{
    for_each_pod_setting,
    pod_settings::{NAMESPACES_AT_A_TIME, PodSettingsRecord},
};

macro_rules! globals {
    ($($global:ident = $path:literal;)*) => {
        mod setting {
            use aya_ebpf::Global;
            use probe_common::kernel_field::ABSENT;
            $(
                #[doc = concat!("Offset of `net.", $path, "`.")]
                #[unsafe(no_mangle)]
                pub static $global: Global<u32> = Global::new(ABSENT);
            )*
        }

        /// Reads all settings of a namespace.
        #[inline(always)]
        fn read(netns: Namespace) -> PodSettingsRecord {
            PodSettingsRecord {
                netns: netns.inode(),
                values: [$(netns.0.read(&setting::$global)),*],
            }
        }
    };
}
for_each_pod_setting!(globals);

/// What an iterator's program is called with (`struct bpf_iter_meta`, `include/linux/bpf.h`).
#[repr(C)]
pub struct Meta {
    file: *mut seq_file,
    session: u64,
    /// How many objects came before.
    number: u64,
}

/// A `struct net`, or what would be one where the list begins.
#[derive(Clone, Copy)]
struct Namespace(Address);

impl Namespace {
    /// That of the process that reads.
    #[inline(always)]
    fn current() -> Self {
        // SAFETY: the helper has no preconditions.
        let task = Address(unsafe { bpf_get_current_task() });
        Self(task.follow(&offset::TASK_NSPROXY).follow(&offset::NSPROXY_NET))
    }

    #[inline(always)]
    fn inode(self) -> u32 {
        self.0.read(&offset::NET_INUM)
    }

    /// What tells a namespace from the head of the list, which lies in no namespace.
    #[inline(always)]
    fn operations(self) -> u64 {
        self.0.read(&offset::NET_OPS)
    }

    #[inline(always)]
    fn next(self) -> Self {
        let entry = self.0.follow(&offset::NET_LIST);
        if entry.0 == 0 { Self(entry) } else { Self(Address(entry.0.wrapping_sub(offset::NET_LIST.load().into()))) }
    }
}

/// The way around the list, which is a ring with its head somewhere in it. Numbers only, and the file first: it lies on
/// the stack, where the verifier follows each word by itself.
#[repr(C)]
struct Walk {
    file: *mut seq_file,
    first: u64,
    operations: u64,
    /// Where it is; 0 when it is over.
    at: u64,
    /// Places to pass over before anything is written.
    pass_over: u64,
}

/// One step, as `bpf_loop` wants it; not 0 ends the loop.
extern "C" fn step(_number: u64, walk: *mut Walk) -> i64 {
    // SAFETY: it is the one on the stack of `observe`, which waits meanwhile.
    let walk = unsafe { &mut *walk };
    let place = Namespace(Address(walk.at));
    if walk.pass_over > 0 {
        walk.pass_over -= 1;
    } else if place.operations() == walk.operations {
        write(walk.file, &read(place));
    }
    let next = place.next().0.0;
    walk.at = if next == walk.first { 0 } else { next };
    i64::from(walk.at == 0)
}

/// Writes the namespaces that are due at this object of the iterator. The kernel holds the RCU lock meanwhile, so what is
/// in the list stays.
#[inline(always)]
pub fn observe(meta: *const Meta) {
    let first = Namespace::current();
    if first.0.0 == 0 {
        return;
    }
    // SAFETY: the verifier knows what the context points to.
    let (file, number) =
        unsafe { ((&raw const (*meta).file).read_volatile(), (&raw const (*meta).number).read_volatile()) };
    let pass_over = number.saturating_mul(NAMESPACES_AT_A_TIME.into());
    let mut walk =
        Walk { file, first: first.0.0, operations: first.operations(), at: first.0.0, pass_over };
    let steps = u32::try_from(pass_over.saturating_add(NAMESPACES_AT_A_TIME.into())).unwrap_or(0);
    // SAFETY: the callback gets the address of what it takes for it.
    unsafe { bpf_loop(steps, step as *mut c_void, (&raw mut walk).cast(), 0) };
    if walk.at == 0 {
        write(file, &PodSettingsRecord { netns: 0, values: [[0; 4]; _] });
    }
}

#[inline(always)]
fn write(file: *mut seq_file, record: &PodSettingsRecord) {
    let record: *const PodSettingsRecord = record;
    // SAFETY: the file is the iterator's; the record is as large as told.
    unsafe { bpf_seq_write(file, record.cast::<c_void>(), size_of::<PodSettingsRecord>() as u32) };
}
