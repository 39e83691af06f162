//! `BPF_PROG_TEST_RUN`: a loaded TC program on a frame of ours.
use crate::bpf_request::{call, descriptor};
use anyhow::{Context as _, Result, bail};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

/// `BPF_PROG_TEST_RUN` of `bpf(2)`.
const COMMAND: libc::c_long = 10;
/// `BPF_PROG_LOAD`.
const LOAD: libc::c_long = 5;
/// `BPF_OBJ_GET_INFO_BY_FD`.
const INFO: libc::c_long = 15;

/// What the socket buffer says besides its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    /// Device; 0 is the loopback device.
    pub ifindex: u32,
    /// Segment payload.
    pub gso_size: u32,
    /// Segments.
    pub gso_segs: u32,
}

/// A frame and its context.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// From the Ethernet header on.
    pub bytes: Vec<u8>,
    /// The rest.
    pub context: Context,
}

impl Frame {
    /// An ordinary frame.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self { bytes, context: Context::default() }
    }

    /// A segmentation-offload frame.
    pub fn gso(bytes: Vec<u8>, gso_size: u32, gso_segs: u32) -> Self {
        Self { bytes, context: Context { ifindex: 0, gso_size, gso_segs } }
    }

    /// The same frame at a device.
    pub fn at(mut self, ifindex: u32) -> Self {
        self.context.ifindex = ifindex;
        self
    }
}

/// `struct __sk_buff` of `include/uapi/linux/bpf.h`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct SkBuff {
    len: u32,
    pkt_type: u32,
    mark: u32,
    queue_mapping: u32,
    protocol: u32,
    vlan_present: u32,
    vlan_tci: u32,
    vlan_proto: u32,
    priority: u32,
    ingress_ifindex: u32,
    ifindex: u32,
    tc_index: u32,
    cb: [u32; 5],
    hash: u32,
    tc_classid: u32,
    data: u32,
    data_end: u32,
    napi_id: u32,
    family: u32,
    remote_ip4: u32,
    local_ip4: u32,
    remote_ip6: [u32; 4],
    local_ip6: [u32; 4],
    remote_port: u32,
    local_port: u32,
    data_meta: u32,
    flow_keys: [u32; 2],
    tstamp: [u32; 2],
    wire_len: u32,
    gso_segs: u32,
    sk: [u32; 2],
    gso_size: u32,
}

/// The part of `union bpf_attr` for the command.
#[repr(C)]
#[derive(Default)]
struct Attribute {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    padding: u32,
}

/// What a run gave.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// What the program returned.
    pub verdict: i32,
    /// Nanoseconds a run, rounded down by the kernel.
    pub nanoseconds: u32,
}

/// Runs a program `repeat` times on a frame.
pub fn run(program: &impl AsFd, frame: &Frame, repeat: u32) -> Result<Outcome> {
    let context = SkBuff {
        ifindex: frame.context.ifindex,
        gso_size: frame.context.gso_size,
        gso_segs: frame.context.gso_segs,
        ..SkBuff::default()
    };
    let mut attribute = Attribute {
        prog_fd: program.as_fd().as_raw_fd() as u32,
        data_size_in: frame.bytes.len() as u32,
        data_in: frame.bytes.as_ptr() as u64,
        repeat,
        ctx_size_in: size_of::<SkBuff>() as u32,
        ctx_in: (&raw const context) as u64,
        ..Attribute::default()
    };
    call(COMMAND, &mut attribute).context("BPF_PROG_TEST_RUN (needs root)")?;
    Ok(Outcome { verdict: attribute.retval as i32, nanoseconds: attribute.duration })
}

/// Has an XDP program decide on copies of a frame, as if they came in on the loopback device of the calling thread's
/// namespace, and its verdicts carried out (`BPF_F_TEST_XDP_LIVE_FRAMES`).
pub fn inject(program: &impl AsFd, frame: &[u8], copies: u32) -> Result<()> {
    const LIVE_FRAMES: u32 = 1 << 1;
    /// Copies that are handed over at once; no more are taken.
    const BATCH: u32 = 256;
    let mut attribute = Attribute {
        prog_fd: program.as_fd().as_raw_fd() as u32,
        data_size_in: frame.len() as u32,
        data_in: frame.as_ptr() as u64,
        repeat: copies,
        flags: LIVE_FRAMES,
        batch_size: BATCH,
        ..Attribute::default()
    };
    call(COMMAND, &mut attribute).context("BPF_PROG_TEST_RUN with live frames (Linux 5.18)")?;
    Ok(())
}

/// Loads an XDP program that lets every UDP packet without IP options pass, with a source port by chance.
pub fn load_scatter() -> Result<OwnedFd> {
    /// `BPF_PROG_TYPE_XDP`.
    const XDP: u32 = 6;
    /// Bytes up to the end of the source port, behind Ethernet and IPv4 headers.
    const SOURCE_PORT: u64 = 34;
    const SCATTER: [u64; 10] = [
        0x16bf,                           // r6 = r1
        7 << 32 | 0x85,                   // r0 = get_prandom_u32()
        0x6261,                           // r2 = data
        4 << 16 | 0x6361,                 // r3 = data_end
        0x24bf,                           // r4 = r2
        (SOURCE_PORT + 2) << 32 | 0x0407, // r4 += what is written
        1 << 16 | 0x342d,                 // beyond the end: out
        SOURCE_PORT << 16 | 0x026b,       // the source port = r0
        2 << 32 | 0xb7,                   // out: r0 = XDP_PASS
        0x95,
    ];
    let license = c"GPL";
    let (instructions, license) = (SCATTER.as_ptr() as u64, license.as_ptr() as u64);
    let mut attribute = [
        XDP,
        SCATTER.len() as u32,
        instructions as u32,
        (instructions >> 32) as u32,
        license as u32,
        (license >> 32) as u32,
    ];
    descriptor(LOAD, &mut attribute).context("load an XDP program (needs root)")
}

/// Loads a TC program that does nothing but go on: what a test run costs by itself.
pub fn load_empty() -> Result<OwnedFd> {
    /// `BPF_PROG_TYPE_SCHED_CLS`.
    const CLASSIFIER: u32 = 3;
    /// `r0 = -1; exit`.
    const GO_ON: [u64; 2] = [0xffff_ffff_0000_00b7, 0x95];
    let license = c"GPL";
    let (instructions, license) = (GO_ON.as_ptr() as u64, license.as_ptr() as u64);
    let mut attribute = [
        CLASSIFIER,
        GO_ON.len() as u32,
        instructions as u32,
        (instructions >> 32) as u32,
        license as u32,
        (license >> 32) as u32,
    ];
    descriptor(LOAD, &mut attribute).context("load an empty TC program (needs root)")
}

/// Loads and attaches a program at a BTF tracepoint that does nothing: what being called costs by itself. Gives the
/// program and its link.
pub fn attach_empty_tracepoint(type_number: u32) -> Result<(OwnedFd, OwnedFd)> {
    /// `BPF_RAW_TRACEPOINT_OPEN`.
    const OPEN: libc::c_long = 17;
    /// `BPF_PROG_TYPE_TRACING` and `BPF_TRACE_RAW_TP`.
    const TRACING: u32 = 26;
    const RAW_TRACEPOINT: u32 = 23;
    /// `r0 = 0; exit`.
    const NOTHING: [u64; 2] = [0xb7, 0x95];
    let license = c"GPL";
    let (instructions, license) = (NOTHING.as_ptr() as u64, license.as_ptr() as u64);
    let mut attribute = [0_u32; 28];
    attribute[0] = TRACING;
    attribute[1] = NOTHING.len() as u32;
    attribute[2..6].copy_from_slice(&[
        instructions as u32,
        (instructions >> 32) as u32,
        license as u32,
        (license >> 32) as u32,
    ]);
    // `expected_attach_type` and `attach_btf_id` of `union bpf_attr`.
    attribute[17] = RAW_TRACEPOINT;
    attribute[27] = type_number;
    let program =
        descriptor(LOAD, &mut attribute).context("load an empty tracepoint program (needs root)")?;
    // Name (none for a BTF tracepoint) and program.
    let mut attribute = [0, 0, program.as_raw_fd() as u32, 0];
    let link = descriptor(OPEN, &mut attribute).context("attach an empty tracepoint program")?;
    Ok((program, link))
}

/// Has the kernel count how long programs run, for as long as the descriptor lives.
pub fn enable_statistics() -> Result<OwnedFd> {
    /// `BPF_ENABLE_STATS`, of which 0 is the run time.
    const ENABLE: libc::c_long = 32;
    descriptor(ENABLE, &mut [0]).context("count the run time of programs (needs root)")
}

/// Nanoseconds that a program ran in all, and how often.
pub fn run_time(program: &impl AsFd) -> Result<(u64, u64)> {
    let mut info = [0_u32; 64];
    query(program, &mut info)?;
    // `struct bpf_prog_info.run_time_ns` and `.run_cnt`.
    let number = |at: usize| u64::from(info[at]) | u64::from(info[at + 1]) << 32;
    Ok((number(48), number(50)))
}

/// One instruction (`struct bpf_insn`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u8,
    /// Destination and source register.
    pub registers: u8,
    /// Offset of a jump or an access.
    pub offset: i16,
    /// Number.
    pub immediate: i32,
}

impl Instruction {
    /// A call of a helper (not of a subprogram).
    pub fn is_helper_call(self) -> bool {
        self.code == 0x85 && self.registers >> 4 == 0
    }

    /// A call of a subprogram.
    pub fn is_subprogram_call(self) -> bool {
        self.code == 0x85 && self.registers >> 4 == 1
    }
}

/// How many instructions the verifier followed until it believed the program; a million are its limit.
pub fn verified(program: &impl AsFd) -> Result<u32> {
    let mut info = [0_u32; 64];
    query(program, &mut info)?;
    // `struct bpf_prog_info.verified_insns`, since 5.16.
    Ok(info[54])
}

/// The instructions of a loaded program, after the verifier has rewritten them.
pub fn translated(program: &impl AsFd) -> Result<Vec<Instruction>> {
    let mut info = [0_u32; 64];
    query(program, &mut info)?;
    // `struct bpf_prog_info`: type, id, tag[8], jited_prog_len, xlated_prog_len, jited_prog_insns, xlated_prog_insns.
    let length = info[5] as usize;
    if length == 0 {
        bail!("the kernel does not show the program's instructions (needs root)");
    }
    let mut bytes = vec![0_u8; length];
    let address = bytes.as_mut_ptr() as u64;
    info.fill(0);
    info[5] = length as u32;
    info[8] = address as u32;
    info[9] = (address >> 32) as u32;
    query(program, &mut info)?;
    Ok(bytes
        .chunks_exact(8)
        .map(|eight| Instruction {
            code: eight[0],
            registers: eight[1],
            offset: i16::from_ne_bytes([eight[2], eight[3]]),
            immediate: i32::from_ne_bytes([eight[4], eight[5], eight[6], eight[7]]),
        })
        .collect())
}

fn query(program: &impl AsFd, info: &mut [u32; 64]) -> Result<()> {
    let address = info.as_mut_ptr() as u64;
    let mut attribute = [
        program.as_fd().as_raw_fd() as u32,
        (size_of_val(info)) as u32,
        address as u32,
        (address >> 32) as u32,
    ];
    call(INFO, &mut attribute).context("BPF_OBJ_GET_INFO_BY_FD")?;
    Ok(())
}
