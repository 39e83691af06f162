//! The few requests of bpf(2) that this needs, by hand: the tests must not judge the product by its own library.
use crate::bpf_request::{call, descriptor};
use anyhow::{Context, Result, ensure};
use std::ffi::CString;
use std::io::Error;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::process::Command;

/// Direction of a TCX hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Packets that come in on the interface.
    Ingress,
    /// Packets that leave by it.
    Egress,
}

impl Hook {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ingress, Self::Egress];

    /// `enum bpf_attach_type`: BPF_TCX_INGRESS and BPF_TCX_EGRESS.
    const fn attach_type(self) -> u32 {
        match self {
            Self::Ingress => 46,
            Self::Egress => 47,
        }
    }
}

// `enum bpf_cmd`.
const PROG_LOAD: i64 = 5;
const PROG_GET_FD_BY_ID: i64 = 13;
const OBJ_GET_INFO_BY_FD: i64 = 15;
const PROG_QUERY: i64 = 16;
const OBJ_PIN: i64 = 6;
const LINK_CREATE: i64 = 28;
/// `BPF_PROG_TYPE_SCHED_CLS`.
const SCHED_CLS: u32 = 3;
/// `BPF_PROG_TYPE_XDP`, `BPF_XDP` and `XDP_FLAGS_SKB_MODE`.
const XDP: u32 = 6;
const XDP_HOOK: u32 = 37;
const XDP_BY_STACK: u32 = 1 << 1;
/// `BPF_F_BEFORE`: at the head of the chain.
const BEFORE: u32 = 1 << 3;
/// `BPF_FUNC_redirect_neigh`.
const REDIRECT_NEIGH: u32 = 152;
/// `BPF_FUNC_redirect_peer`.
const REDIRECT_PEER: u32 = 155;
/// `BPF_NETKIT_PEER` of `enum bpf_attach_type`: what the end in the pod sends.
const NETKIT_PEER: u32 = 55;
/// More programs than any test puts at one hook.
const MOST_PROGRAMS: usize = 64;

/// `query` of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct Query {
    target_ifindex: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    program_ids: u64,
    count: u32,
    padding: u32,
    program_attach_flags: u64,
    link_ids: u64,
    link_attach_flags: u64,
    revision: u64,
}

/// The part of `union bpf_attr` that loading a program needs.
#[repr(C)]
#[derive(Default)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// `link_create` of `union bpf_attr`, up to the TCX part.
#[repr(C)]
#[derive(Default)]
struct LinkCreate {
    program: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
    relative: u32,
    padding: u32,
    expected_revision: u64,
}

/// `info` of `union bpf_attr`.
#[repr(C)]
struct Info {
    descriptor: u32,
    length: u32,
    pointer: u64,
}

/// A program attached by TCX, or by clsact where the kernel has no TCX: what another agent on the node has in place. It goes
/// when this is dropped, or with the interface.
#[derive(Debug)]
pub struct OtherProgram {
    id: u32,
    _program: OwnedFd,
    _link: Option<OwnedFd>,
}

/// `pin` of `union bpf_attr`.
#[repr(C)]
struct Pin {
    path: u64,
    descriptor: u32,
    flags: u32,
}

impl OtherProgram {
    /// Attaches one that lets everything pass, in the calling thread's namespace.
    pub fn attach(interface: &str, hook: Hook) -> Result<Self> {
        // r0 = -1 (TCX_NEXT: go on with the next program); exit.
        Self::attach_instructions(interface, hook, &[0xffff_ffff_0000_00b7, 0x95])
    }

    /// Attaches one before all others that lets everything pass and asks none of them.
    pub fn attach_in_front(interface: &str, hook: Hook) -> Result<Self> {
        // r0 = 0 (TCX_PASS); exit.
        let program = load(SCHED_CLS, &[0xb7, 0x95])?;
        Self::linked(program, interface, hook.attach_type(), BEFORE)
    }

    /// Attaches an XDP program, run by the stack and not by the driver, that drops every packet of more than `size` bytes at
    /// layer 3.
    pub fn attach_xdp_dropping(interface: &str, size: u32) -> Result<Self> {
        let instructions = [
            instruction(0x61, 2, 1, 0, 0),         // r2 = data
            instruction(0x61, 3, 1, 4, 0),         // r3 = data_end
            instruction(0x1f, 3, 2, 0, 0),         // r3 -= r2
            instruction(0xb7, 0, 0, 0, 1),         // r0 = XDP_DROP
            instruction(0x25, 3, 0, 1, size + 14), // longer than that: out
            instruction(0xb7, 0, 0, 0, 2),         // r0 = XDP_PASS
            instruction(0x95, 0, 0, 0, 0),
        ];
        Self::linked(load(XDP, &instructions)?, interface, XDP_HOOK, XDP_BY_STACK)
    }

    fn linked(program: OwnedFd, interface: &str, attach_type: u32, flags: u32) -> Result<Self> {
        let id = program_id(program.as_raw_fd())?;
        let link = link(&program, interface_index(interface)?, attach_type, flags)
            .context("attaching a program of somebody else")?;
        Ok(Self { id, _program: program, _link: Some(link) })
    }

    /// Attaches one that drops every packet of more than `size` bytes at layer 3 without a word.
    pub fn attach_dropping(interface: &str, hook: Hook, size: u32) -> Result<Self> {
        const ETHERNET: u64 = 14;
        let length = u64::from(size) + ETHERNET;
        // r2 = skb->len; r0 = 2 (TCX_DROP); if r2 > length goto exit; r0 = -1; exit.
        let instructions =
            [0x1261, 2 << 32 | 0xb7, length << 32 | 1 << 16 | 0x0225, 0xffff_ffff_0000_00b7, 0x95];
        Self::attach_instructions(interface, hook, &instructions)
    }

    /// Attaches one in the calling thread's namespace that hands what comes in for an address right to the other end of a
    /// veth, past the hook at its own end, as datapaths in BPF do.
    pub fn redirect_to_peer(interface: &str, address: IpAddr, veth: &str) -> Result<Self> {
        let (protocol, last_word, tail) = match address {
            IpAddr::V4(address) => (0x0008, 30_u32, address.octets()),
            IpAddr::V6(address) => {
                let octets = address.octets();
                (0xdd86, 50, [octets[12], octets[13], octets[14], octets[15]])
            }
        };
        let instructions = [
            instruction(0x61, 2, 1, 76, 0),                       // r2 = data
            instruction(0x61, 3, 1, 80, 0),                       // r3 = data_end
            instruction(0xbf, 4, 2, 0, 0),                        // r4 = r2
            instruction(0x07, 4, 0, 0, last_word + 4),            // r4 += what is read
            instruction(0x2d, 4, 3, 8, 0),                        // beyond the end: out
            instruction(0x69, 5, 2, 12, 0),                       // r5 = EtherType
            instruction(0x55, 5, 0, 6, protocol),                 // another: out
            instruction(0x61, 5, 2, last_word as u16, 0),         // r5 = the end of the destination
            instruction(0x56, 5, 0, 4, u32::from_ne_bytes(tail)), // another: out
            instruction(0xb7, 1, 0, 0, interface_index(veth)?),   // r1 = the veth
            instruction(0xb7, 2, 0, 0, 0),                        // r2 = no flags
            instruction(0x85, 0, 0, 0, REDIRECT_PEER),
            instruction(0x95, 0, 0, 0, 0),
            instruction(0xb7, 0, 0, 0, u32::MAX), // out: r0 = TCX_NEXT
            instruction(0x95, 0, 0, 0, 0),
        ];
        Self::attach_instructions(interface, Hook::Ingress, &instructions)
    }

    /// Attaches one in the calling thread's namespace to the pod's end of a netkit pair, whose other end is `host_end`: what
    /// the pod sends leaves right by an interface of the node, past all hooks of the pair.
    pub fn redirect_out_of_netkit(host_end: &str, interface: &str) -> Result<Self> {
        let instructions = [
            instruction(0xb7, 1, 0, 0, interface_index(interface)?), // r1 = the interface
            instruction(0xb7, 2, 0, 0, 0),                           // r2 = the next hop is looked up
            instruction(0xb7, 3, 0, 0, 0),
            instruction(0xb7, 4, 0, 0, 0), // r4 = no flags
            instruction(0x85, 0, 0, 0, REDIRECT_NEIGH),
            instruction(0x95, 0, 0, 0, 0),
        ];
        let program = load(SCHED_CLS, &instructions)?;
        let link = link(&program, interface_index(host_end)?, NETKIT_PEER, 0)
            .context("attaching a program to a netkit pair")?;
        Ok(Self { id: program_id(program.as_raw_fd())?, _program: program, _link: Some(link) })
    }

    fn attach_instructions(interface: &str, hook: Hook, instructions: &[u64]) -> Result<Self> {
        let index = interface_index(interface)?;
        let program = load(SCHED_CLS, instructions)?;
        let id = program_id(program.as_raw_fd())?;
        let link = match link(&program, index, hook.attach_type(), 0) {
            Ok(link) => Some(link),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                by_clsact(&program, id, interface, hook)?;
                None
            }
            Err(error) => return Err(error).context("attaching a program of somebody else"),
        };
        Ok(Self { id, _program: program, _link: link })
    }

    /// The kernel's number of it.
    pub const fn id(&self) -> u32 {
        self.id
    }
}

fn load(program_type: u32, instructions: &[u64]) -> Result<OwnedFd> {
    let license = c"GPL";
    let mut load = Load {
        program_type,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        ..Load::default()
    };
    load.name[..5].copy_from_slice(b"other");
    descriptor(PROG_LOAD, &mut load).context("loading a program of somebody else")
}

fn link(program: &OwnedFd, target_ifindex: u32, attach_type: u32, flags: u32) -> std::io::Result<OwnedFd> {
    let program = program.as_raw_fd() as u32;
    let mut create = LinkCreate { program, target_ifindex, attach_type, flags, ..LinkCreate::default() };
    descriptor(LINK_CREATE, &mut create)
}

/// Attaches a program as tc does, which takes it by a name in a file system.
fn by_clsact(program: &OwnedFd, id: u32, interface: &str, hook: Hook) -> Result<()> {
    let pinned = format!("/sys/fs/bpf/mtuprobe-test-{id}");
    let path = CString::new(pinned.clone()).context("a path with a zero byte")?;
    let mut pin = Pin { path: path.as_ptr() as u64, descriptor: program.as_raw_fd() as u32, flags: 0 };
    call(OBJ_PIN, &mut pin).context("giving a program a name")?;
    let hook = match hook {
        Hook::Ingress => "ingress",
        Hook::Egress => "egress",
    };
    let tc = |arguments: &[&str]| Command::new("tc").args(arguments).output();
    // There may be one already.
    let _there = tc(&["qdisc", "add", "dev", interface, "clsact"]);
    let attached =
        tc(&["filter", "add", "dev", interface, hook, "bpf", "direct-action", "object-pinned", &pinned]);
    std::fs::remove_file(&pinned).with_context(|| format!("removing {pinned}"))?;
    let output = attached.context("running tc")?;
    ensure!(output.status.success(), "tc: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// What the kernel says of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramInfo {
    /// Its name, of which the kernel keeps 15 bytes.
    pub name: String,
    /// Instructions that the verifier walked through, each as often as it came by.
    pub verified_instructions: u32,
    /// Size of what the verifier made of it, in bytes.
    pub translated_bytes: u32,
    /// Size of the machine code in bytes; 0 without a compiler for it.
    pub machine_code_bytes: u32,
}

/// The start of `struct bpf_prog_info`, in 32-bit words where that is all that is read of a field.
#[repr(C)]
#[derive(Default)]
struct ProgramHead {
    program_type: u32,
    id: u32,
    tag: [u32; 2],
    machine_code_bytes: u32,
    translated_bytes: u32,
    unread: [u32; 10],
    name: [u8; 16],
    unread_too: [u32; 32],
    recursion_misses: [u32; 2],
    verified_instructions: u32,
    attach_object: u32,
}

/// Asks about a program by its descriptor.
pub fn program_info(program: RawFd) -> Result<ProgramInfo> {
    let mut head = ProgramHead::default();
    info(program, &mut head)?;
    let name = head.name.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(ProgramInfo {
        name: String::from_utf8_lossy(name).into_owned(),
        verified_instructions: head.verified_instructions,
        translated_bytes: head.translated_bytes,
        machine_code_bytes: head.machine_code_bytes,
    })
}

/// Numbers of the programs at a hook, in the order in which they run.
pub fn query(interface: u32, hook: Hook) -> Result<Vec<u32>> {
    let mut ids = [0_u32; MOST_PROGRAMS];
    let mut query = Query {
        target_ifindex: interface,
        attach_type: hook.attach_type(),
        program_ids: ids.as_mut_ptr() as u64,
        count: MOST_PROGRAMS as u32,
        ..Query::default()
    };
    call(PROG_QUERY, &mut query).context("asking what is attached")?;
    Ok(ids[..(query.count as usize).min(MOST_PROGRAMS)].to_vec())
}

/// Whether a program with this number exists.
pub fn program_exists(id: u32) -> bool {
    let mut attribute = [id, 0, 0];
    descriptor(PROG_GET_FD_BY_ID, &mut attribute).is_ok()
}

/// The number of an interface in the calling thread's namespace.
pub fn interface_index(name: &str) -> Result<u32> {
    let text = CString::new(name).context("an interface name with a zero byte")?;
    // SAFETY: a string with its zero byte, which the call only reads.
    match unsafe { libc::if_nametoindex(text.as_ptr()) } {
        0 => Err(Error::last_os_error()).with_context(|| format!("looking for interface {name}")),
        index => Ok(index),
    }
}

/// One instruction of BPF.
const fn instruction(code: u8, to: u8, from: u8, offset: u16, immediate: u32) -> u64 {
    code as u64 | (to as u64) << 8 | (from as u64) << 12 | (offset as u64) << 16 | (immediate as u64) << 32
}

fn program_id(program: RawFd) -> Result<u32> {
    // `struct bpf_prog_info` begins with the type and the number.
    let mut head = [0_u32; 2];
    info(program, &mut head)?;
    Ok(head[1])
}

/// Fills the start of `struct bpf_prog_info`.
fn info<T>(program: RawFd, head: &mut T) -> Result<()> {
    let mut info =
        Info { descriptor: program as u32, length: size_of::<T>() as u32, pointer: (&raw mut *head) as u64 };
    call(OBJ_GET_INFO_BY_FD, &mut info).context("asking what a program is")?;
    Ok(())
}
