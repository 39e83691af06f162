//! The floor: what a kernel must have for an observation. It is found by trying and never by the kernel's version, because
//! kernels are configured, patched and locked down.
use super::btf::BtfError;
use super::error::DatapathError;
use aya::EbpfError;
use aya::maps::MapError;
use std::io;

/// What is needed, and what works without.
pub const NEEDED: &str = "Observing needs Linux 6.1 or later, built with CONFIG_BPF_SYSCALL, CONFIG_BPF_JIT, \
    CONFIG_DEBUG_INFO_BTF and CONFIG_NET_CLS_ACT (and CONFIG_NET_CLS_BPF before 6.6); `mtuprobe check` and `mtuprobe path` \
    need none of these";

/// `BPF_MAP_CREATE` of `enum bpf_cmd`.
const MAP_CREATE: libc::c_long = 0;

/// A type of map that the kernel side is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MapType {
    /// Of `enum bpf_map_type`.
    number: u32,
    name: &'static str,
    /// Sizes of key and value in bytes, and entries, of the smallest that the kernel takes.
    sizes: [u32; 3],
}

const ARRAY: MapType = MapType { number: 2, name: "array", sizes: [4, 4, 1] };

/// All of them.
const MAP_TYPES: [MapType; 5] = [
    ARRAY,
    MapType { number: 1, name: "hash", sizes: [4, 4, 1] },
    MapType { number: 6, name: "array per CPU", sizes: [4, 4, 1] },
    MapType { number: 9, name: "LRU hash", sizes: [4, 4, 1] },
    // A page at least (`ringbuf_map_alloc`), of up to 64 KiB.
    MapType { number: 27, name: "ring buffer", sizes: [0, 0, 1 << 16] },
];

/// The start of `union bpf_attr` for making a map; what is behind is zero.
#[repr(C)]
#[derive(Default)]
struct MapAttributes {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    /// The rest up to the name, the name itself and what came after it.
    unused: [u32; 13],
}

/// Makes a map and gives it away again.
fn try_map(map_type: MapType) -> io::Result<()> {
    let [key_size, value_size, max_entries] = map_type.sizes;
    let attributes = MapAttributes {
        map_type: map_type.number,
        key_size,
        value_size,
        max_entries,
        ..MapAttributes::default()
    };
    // SAFETY: the attributes are a local variable with the layout and the length that are told.
    let descriptor = unsafe {
        libc::syscall(libc::SYS_bpf, MAP_CREATE, &raw const attributes, size_of::<MapAttributes>())
    };
    let descriptor = i32::try_from(descriptor).unwrap_or(-1);
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made, and nobody else has it.
    unsafe { libc::close(descriptor) };
    Ok(())
}

/// Tries whether there is bpf(2) at all, and whether this process may use it.
pub fn try_bpf() -> Result<(), DatapathError> {
    let Err(error) = try_map(ARRAY) else { return Ok(()) };
    match error.raw_os_error() {
        Some(libc::ENOSYS) => Err(DatapathError::BelowFloor {
            operation: "use",
            object: "bpf(2)".to_owned(),
            cause: error.to_string(),
            lack: "this kernel has no BPF, or a sandbox hides it".to_owned(),
        }),
        Some(libc::EPERM | libc::EACCES) => {
            Err(DatapathError::System { operation: "use", object: "bpf(2)".to_owned(), error })
        }
        // What is loaded next says it better.
        Some(_) | None => Ok(()),
    }
}

/// The kernel's types cannot be read.
pub fn of_type_information(error: BtfError) -> DatapathError {
    match error {
        BtfError::Read { path, error } if error.kind() == io::ErrorKind::NotFound => {
            DatapathError::BelowFloor {
                operation: "read",
                object: path,
                cause: error.to_string(),
                lack: "this kernel does not tell its own types (or /sys is not mounted here), so that nothing of its \
                       structures can be read"
                    .to_owned(),
            }
        }
        error @ (BtfError::Read { .. } | BtfError::Malformed(_)) => DatapathError::Btf(error),
    }
}

/// The maps could not be made.
pub fn of_loading(error: &EbpfError) -> DatapathError {
    if let EbpfError::MapError(MapError::CreateError { name, io_error }) = error {
        let object = format!("map {name}");
        if io_error.raw_os_error() == Some(libc::EINVAL) {
            return of_map(object, io_error, &missing_map_types());
        }
        return DatapathError::of("make", &object, error);
    }
    DatapathError::of("load", "the kernel side", error)
}

fn of_map(object: String, error: &io::Error, missing: &[&str]) -> DatapathError {
    let lack = if missing.is_empty() {
        "this kernel refuses its size or its flags".to_owned()
    } else {
        format!("this kernel has no maps of type {}", missing.join(", "))
    };
    DatapathError::BelowFloor { operation: "make", object, cause: error.to_string(), lack }
}

/// The types of maps that the kernel refuses as unknown (`find_and_alloc_map`).
fn missing_map_types() -> Vec<&'static str> {
    let is_missing = |map_type: &MapType| {
        try_map(*map_type).is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL))
    };
    MAP_TYPES.into_iter().filter(is_missing).map(|map_type| map_type.name).collect()
}

/// A program that sees packets was refused.
pub fn of_hook_program(error: DatapathError) -> DatapathError {
    let below = |operation, object, cause| DatapathError::BelowFloor {
        operation,
        object,
        cause,
        lack: "this kernel does not take the program, without which no packet is seen".to_owned(),
    };
    match error {
        DatapathError::Refused { operation, object, message } => below(operation, object, message),
        DatapathError::System { operation, object, error } if error.raw_os_error() == Some(libc::EINVAL) => {
            below(operation, object, error.to_string())
        }
        error @ (DatapathError::System { .. }
        | DatapathError::Btf(_)
        | DatapathError::BelowFloor { .. }
        | DatapathError::NoObject) => error,
    }
}

/// There is nowhere to put a program that sees packets.
pub fn of_hooks(interface: String, cause: String) -> DatapathError {
    DatapathError::BelowFloor {
        operation: "attach",
        object: interface,
        cause,
        lack: "this kernel has neither TCX nor clsact, without which no packet is seen".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    #[test]
    fn what_is_missing_is_named_with_the_object_and_what_to_do() {
        let text = of_map("map RING".to_owned(), &error(libc::EINVAL), &["ring buffer"]).to_string();
        assert!(text.starts_with("make map RING: Invalid argument"), "{text}");
        assert!(text.contains("no maps of type ring buffer. Observing needs Linux 6.1"), "{text}");
        let text = of_map("map RING".to_owned(), &error(libc::EINVAL), &[]).to_string();
        assert!(text.contains("refuses its size or its flags"), "{text}");
    }

    #[test]
    fn a_kernel_without_its_types_is_below_the_floor_but_not_a_file_without_permission() {
        let read = |number| {
            let path = super::super::btf::VMLINUX.to_owned();
            of_type_information(BtfError::Read { path, error: error(number) })
        };
        let text = read(libc::ENOENT).to_string();
        assert!(text.starts_with("read /sys/kernel/btf/vmlinux: No such file"), "{text}");
        assert!(text.contains("does not tell its own types") && text.contains(NEEDED), "{text}");
        assert!(!read(libc::EACCES).to_string().contains(NEEDED));
    }

    #[test]
    fn the_verifiers_reason_is_told_of_a_program_that_it_refuses() {
        let refused = DatapathError::Refused {
            operation: "load",
            object: "program tc_ingress".to_owned(),
            message: "Invalid argument; the verifier says: unknown func".to_owned(),
        };
        let text = of_hook_program(refused).to_string();
        assert!(
            text.contains("program tc_ingress: Invalid argument; the verifier says: unknown func"),
            "{text}"
        );
        assert!(text.contains(NEEDED), "{text}");
        let not_allowed = DatapathError::System {
            operation: "load",
            object: "program tc_ingress".to_owned(),
            error: error(libc::EPERM),
        };
        let text = of_hook_program(not_allowed).to_string();
        assert!(text.contains("CAP_BPF") && !text.contains(NEEDED), "{text}");
    }

    #[test]
    fn every_type_of_map_is_tried_with_what_the_kernel_takes() {
        for map_type in MAP_TYPES {
            match try_map(map_type) {
                Ok(()) => {}
                // Not root: the kernel says so before it looks at the type.
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{map_type:?}"),
            }
        }
    }
}
