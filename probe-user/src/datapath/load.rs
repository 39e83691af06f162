//! Loads the kernel side and gives typed access to its maps.
use super::{
    btf::Btf,
    classifiers::{Classifiers, load_patiently},
    counters::Counters,
    floor,
    locations::Reasons,
    pod_settings::{self, PodSettings},
    ring::Ring,
    tcp_holes::TcpHoles,
};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, HashMap, MapData, MapError},
    programs::{BtfTracePoint, ProgramError, SchedClassifier},
};
use probe_common::{
    gate, global,
    interface::{self, CONFIG_SLOTS, InterfaceConfig, InterfaceStats},
    kernel_field, location,
    oversize::{TUNNEL_LIMITS, TunnelLimit},
    record, size_drop, skip, tcp_hole,
};
use probe_core::decode::SettingsLayout;
use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

pub use super::error::DatapathError;

/// An ABI type as aya wants it.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Abi<T>(pub T);

// SAFETY: any bytes are a value (`FromBytes`) and a value is all bytes, without padding (`IntoBytes`).
unsafe impl<T: FromBytes + IntoBytes + Immutable + Copy + 'static> aya::Pod for Abi<T> {}

/// The kernel side, as build.rs made it.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/probe-ebpf"));

/// The tracepoint programs: name of the program, of the tracepoint, and of the sense.
const TRACEPOINTS: [(&str, &str, &str); 4] = [
    ("kfree_skb", "kfree_skb", "kfree_skb"),
    ("icmp_send", "icmp_send", "icmp_send"),
    ("tcp_retransmit", "tcp_retransmit_skb", "tcp_retransmit"),
    ("tcp_close", "inet_sock_set_state", "tcp_close"),
];

/// How the kernel side is loaded.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Inode of the network namespace that is observed.
    pub our_netns: u32,
    /// Interfaces that can be observed at a time; each takes about 600 bytes on each possible CPU.
    pub slots: u32,
    /// Size of the ring in bytes; rounded up to a power of two of at least a page.
    pub ring_bytes: u32,
    /// Holds the event gate open (bench and tests only).
    pub gate_open: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { our_netns: 0, slots: 512, ring_bytes: 1 << 20, gate_open: false }
    }
}

/// A tracepoint program and whether it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracepoint {
    /// Name of the sense: `kfree_skb`, `icmp_send`, `tcp_retransmit`, `tcp_close`.
    pub name: &'static str,
    /// Why it does not work; `None` if it does.
    pub why_not: Option<String>,
}

/// The loaded kernel side.
pub struct Datapath {
    /// `None` once the attaching code has them.
    programs: Option<Classifiers>,
    interfaces: Array<MapData, Abi<InterfaceConfig>>,
    interfaces_beyond: HashMap<MapData, u32, Abi<InterfaceConfig>>,
    netns: HashMap<MapData, u32, u32>,
    tunnel_limits: HashMap<MapData, u32, Abi<TunnelLimit>>,
    generation: Array<MapData, u32>,
    current_generation: u32,
    locations: HashMap<MapData, u64, u32>,
    reasons: Reasons,
    counters: Counters,
    ring: Ring,
    tcp_holes: TcpHoles,
    tracepoints: Vec<Tracepoint>,
    pod_settings: Option<Result<PodSettings, DatapathError>>,
    #[cfg(feature = "debug-log")]
    debug_log: super::debug_log::DebugLog,
}

impl Datapath {
    /// Loads maps and programs; nothing is attached yet. Tracepoint programs that this kernel does not take are left
    /// out, see [`Self::attach_tracepoints`].
    pub fn load(settings: &Settings) -> Result<Self, DatapathError> {
        if OBJECT.is_empty() {
            return Err(DatapathError::NoObject);
        }
        floor::try_bpf()?;
        let kernel = Btf::of_kernel().map_err(floor::of_type_information)?;
        let fields: Vec<(&str, u32)> = kernel_field::FIELDS
            .iter()
            .map(|field| {
                let offset = kernel.member_offset(field.structure, field.path);
                (field.global, offset.unwrap_or(kernel_field::ABSENT))
            })
            .chain([(kernel_field::NET_DEVICE_PRIVATE, private_area(&kernel))])
            .collect();
        let gate_open = u32::from(settings.gate_open);
        let tick_ns = tick_ns()?;
        let (setting_offsets, settings_layout) = pod_settings::fields(&kernel, tick_ns);
        let mut loader = EbpfLoader::new();
        loader
            .override_global(global::OUR_NETNS, &settings.our_netns, true)
            .override_global(global::GATE_OPEN, &gate_open, true)
            .override_global(global::TICK_NS, &tick_ns, true)
            .map_max_entries(interface::INTERFACE_STATS, settings.slots.max(1) * 2)
            .map_max_entries(record::RING, settings.ring_bytes.max(1 << 16).next_power_of_two());
        for (name, offset) in fields.iter().chain(&setting_offsets) {
            loader.override_global(name, offset, false);
        }
        let mut ebpf = loader.load(OBJECT).map_err(|error| floor::of_loading(&error))?;
        let reasons = Reasons::of(&kernel);
        drop(kernel);

        let mut classes: Array<_, u32> = take(&mut ebpf, size_drop::REASON_CLASSES)?;
        for reason in 0..size_drop::REASON_SLOTS {
            let class = reasons.classes().find(|(number, _)| *number == reason);
            let class = class.map_or(size_drop::class::IGNORED, |(_, class)| class);
            classes
                .set(reason, class, 0)
                .map_err(|error| DatapathError::map("write", size_drop::REASON_CLASSES, error))?;
        }
        let stats = take(&mut ebpf, interface::INTERFACE_STATS)?;
        let skips = take(&mut ebpf, skip::SKIPS)?;
        let mut datapath = Self {
            interfaces: take(&mut ebpf, interface::INTERFACES)?,
            interfaces_beyond: take(&mut ebpf, interface::INTERFACES_BEYOND)?,
            netns: take(&mut ebpf, interface::NETNS)?,
            tunnel_limits: take(&mut ebpf, TUNNEL_LIMITS)?,
            generation: take(&mut ebpf, interface::GENERATION)?,
            current_generation: 0,
            locations: take(&mut ebpf, location::LOCATIONS)?,
            reasons,
            counters: Counters::new(stats, skips, take(&mut ebpf, gate::FLOW_GATES)?)?,
            ring: Ring::new(take(&mut ebpf, record::RING)?),
            tcp_holes: TcpHoles::new(
                take(&mut ebpf, tcp_hole::HOLES)?,
                take(&mut ebpf, tcp_hole::ARRIVALS)?,
                tick_ns,
            ),
            tracepoints: Vec::new(),
            pod_settings: None,
            #[cfg(feature = "debug-log")]
            debug_log: super::debug_log::DebugLog::new(&mut ebpf)?,
            programs: Some(Classifiers::new(ebpf)),
        };
        datapath.bump_generation()?;
        // Loaded here: what the kernel refuses is said before anything is attached.
        for direction in [record::direction::INGRESS, record::direction::EGRESS] {
            datapath.classifier(direction, true).map_err(floor::of_hook_program)?;
        }
        datapath.load_observers(settings_layout);
        Ok(datapath)
    }

    /// What reads the kernel's structures; each is optional.
    fn load_observers(&mut self, settings_layout: SettingsLayout) {
        let btf = aya::Btf::from_sys_fs();
        self.load_tracepoints(&btf);
        self.pod_settings = Some(match &btf {
            Ok(btf) => self
                .programs()
                .and_then(|programs| PodSettings::load(programs.ebpf_mut(), btf, settings_layout)),
            Err(error) => Err(DatapathError::of("read", super::btf::VMLINUX, error)),
        });
    }

    fn load_tracepoints(&mut self, btf: &Result<aya::Btf, aya::BtfError>) {
        for (program, tracepoint, name) in TRACEPOINTS {
            let result = match btf {
                Ok(btf) => self.tracepoint_program(program).and_then(|loading| {
                    load_patiently(|| loading.load(tracepoint, btf))
                        .map_err(|error| DatapathError::program("load", program, &error))
                }),
                Err(error) => Err(DatapathError::of("read", super::btf::VMLINUX, error)),
            };
            let why_not = result.err().map(|error| error.to_string());
            self.tracepoints.push(Tracepoint { name, why_not });
        }
    }

    /// The reader of settings; only the first call gets it.
    pub fn take_pod_settings(&mut self) -> Result<PodSettings, DatapathError> {
        self.pod_settings.take().unwrap_or_else(|| Err(taken()))
    }

    /// Attaches the tracepoint programs: from here on they observe, so the maps have to be filled. Says of each whether
    /// it works, and if not, why.
    pub fn attach_tracepoints(&mut self) -> Vec<Tracepoint> {
        for (index, (program, _, _)) in TRACEPOINTS.into_iter().enumerate() {
            let loaded = self.tracepoints.get(index).is_some_and(|tracepoint| tracepoint.why_not.is_none());
            if !loaded {
                continue;
            }
            let result = self.tracepoint_program(program).and_then(|attaching| {
                attaching.attach().map_err(|error| DatapathError::program("attach", program, &error))
            });
            if let (Err(error), Some(tracepoint)) = (result, self.tracepoints.get_mut(index)) {
                tracepoint.why_not = Some(error.to_string());
            }
        }
        self.tracepoints.clone()
    }

    /// The descriptor of a tracepoint's program, by the name of its sense.
    pub fn tracepoint(&mut self, name: &str) -> Result<BorrowedFd<'_>, DatapathError> {
        let (program, _, _) = TRACEPOINTS
            .into_iter()
            .find(|(_, _, sense)| *sense == name)
            .ok_or_else(|| absent("program", name))?;
        let loaded = self.tracepoint_program(program)?.fd();
        Ok(loaded.map_err(|error| DatapathError::program("use", program, &error))?.as_fd())
    }

    /// The program for a [`direction`](record::direction) and a device with or without an Ethernet header.
    pub fn classifier(
        &mut self,
        direction: u8,
        has_ethernet: bool,
    ) -> Result<&mut SchedClassifier, DatapathError> {
        self.programs()?.classifier(direction, has_ethernet)
    }

    /// Gives the programs to the thread that attaches them. Tracepoints observe for as long as it keeps them.
    pub fn take_classifiers(&mut self) -> Result<Classifiers, DatapathError> {
        self.programs.take().ok_or_else(taken)
    }

    fn programs(&mut self) -> Result<&mut Classifiers, DatapathError> {
        self.programs.as_mut().ok_or_else(taken)
    }

    fn tracepoint_program(&mut self, name: &str) -> Result<&mut BtfTracePoint, DatapathError> {
        let program = self.programs()?.ebpf_mut().program_mut(name).ok_or_else(|| absent("program", name))?;
        program.try_into().map_err(|error: ProgramError| DatapathError::program("use", name, &error))
    }

    /// Makes an interface known to the programs, or changes how it is treated, at once. `config.slot` is the caller's
    /// to choose, below [`Counters::slots`]; see [`Counters::reset`] before a slot is used again.
    pub fn set_interface(&mut self, config: InterfaceConfig) -> Result<(), DatapathError> {
        let place = config.ifindex & (CONFIG_SLOTS - 1);
        let there = self.interface_at(place)?;
        if there.ifindex == 0 || there.ifindex == config.ifindex {
            return self.write_interface(place, config);
        }
        self.interfaces_beyond
            .insert(config.ifindex, Abi(config), 0)
            .map_err(|error| DatapathError::map("write", interface::INTERFACES_BEYOND, error))
    }

    /// Forgets an interface; unknown ones are no error.
    pub fn clear_interface(&mut self, ifindex: u32) -> Result<(), DatapathError> {
        let place = ifindex & (CONFIG_SLOTS - 1);
        if self.interface_at(place)?.ifindex == ifindex {
            return self.write_interface(place, InterfaceConfig::default());
        }
        removed(self.interfaces_beyond.remove(&ifindex), interface::INTERFACES_BEYOND)
    }

    fn interface_at(&self, place: u32) -> Result<InterfaceConfig, DatapathError> {
        let config = self.interfaces.get(&place, 0);
        config
            .map(|config| config.0)
            .map_err(|error| DatapathError::map("read", interface::INTERFACES, error))
    }

    fn write_interface(&mut self, place: u32, config: InterfaceConfig) -> Result<(), DatapathError> {
        self.interfaces
            .set(place, Abi(config), 0)
            .map_err(|error| DatapathError::map("write", interface::INTERFACES, error))
    }

    /// Makes a pod's network namespace known, by inode.
    pub fn set_netns(&mut self, inode: u32) -> Result<(), DatapathError> {
        self.netns.insert(inode, 1, 0).map_err(|error| DatapathError::map("write", interface::NETNS, error))
    }

    /// Forgets a network namespace; unknown ones are no error.
    pub fn clear_netns(&mut self, inode: u32) -> Result<(), DatapathError> {
        removed(self.netns.remove(&inode), interface::NETNS)
    }

    /// Says what a tunnel device takes, or with `None` that it is none.
    pub fn set_tunnel_limit(
        &mut self,
        ifindex: u32,
        limit: Option<TunnelLimit>,
    ) -> Result<(), DatapathError> {
        match limit {
            Some(limit) => self
                .tunnel_limits
                .insert(ifindex, Abi(limit), 0)
                .map_err(|error| DatapathError::map("write", TUNNEL_LIMITS, error)),
            None => removed(self.tunnel_limits.remove(&ifindex), TUNNEL_LIMITS),
        }
    }

    /// Ends all cached verdicts: links, routes or limits changed.
    pub fn bump_generation(&mut self) -> Result<(), DatapathError> {
        self.current_generation = self.current_generation.wrapping_add(1);
        self.generation
            .set(0, self.current_generation, 0)
            .map_err(|error| DatapathError::map("write", interface::GENERATION, error))
    }

    /// Answers a [`LocationRecord`](location::LocationRecord) with a [`location::class`].
    pub fn set_location_class(&mut self, address: u64, class: u32) -> Result<(), DatapathError> {
        self.locations
            .insert(address, class, 0)
            .map_err(|error| DatapathError::map("write", location::LOCATIONS, error))
    }

    /// The names of this kernel's drop reasons.
    pub fn reasons(&self) -> &Reasons {
        &self.reasons
    }

    /// The counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The counters, to reset them.
    pub fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// The connections with holes.
    pub fn tcp_holes(&mut self) -> &mut TcpHoles {
        &mut self.tcp_holes
    }

    /// The records.
    pub fn ring(&mut self) -> &mut Ring {
        // Whoever looks for records looks often, and is the one who sees both in order.
        #[cfg(feature = "debug-log")]
        self.debug_log.flush();
        &mut self.ring
    }
}

fn taken() -> DatapathError {
    DatapathError::Refused {
        operation: "use",
        object: "the programs".into(),
        message: "the attaching code has them".into(),
    }
}

pub(super) fn absent(what: &str, name: &str) -> DatapathError {
    DatapathError::Refused {
        operation: "find",
        object: format!("{what} {name}"),
        message: "the kernel side has none of this name: it was built from other sources".into(),
    }
}

/// Takes a map out of the object, typed.
fn take<T>(ebpf: &mut Ebpf, name: &str) -> Result<T, DatapathError>
where
    T: TryFrom<aya::maps::Map, Error = MapError>,
{
    let map = ebpf.take_map(name).ok_or_else(|| absent("map", name))?;
    map.try_into().map_err(|error| DatapathError::map("use", name, error))
}

/// Removing what is not there is what was wanted.
fn removed(result: Result<(), MapError>, name: &str) -> Result<(), DatapathError> {
    match result {
        Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
        Err(error) => {
            let error = DatapathError::map("remove from", name, error);
            match &error {
                DatapathError::System { error, .. } if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
                DatapathError::System { .. }
                | DatapathError::Btf(_)
                | DatapathError::BelowFloor { .. }
                | DatapathError::Refused { .. }
                | DatapathError::NoObject => Err(error),
            }
        }
    }
}

/// Offset of a device's private area: a member of its own on newer kernels, else behind the structure, aligned
/// (`netdev_priv`, `NETDEV_ALIGN` 32).
fn private_area(kernel: &Btf) -> u32 {
    kernel
        .member_offset("net_device", "priv")
        .or_else(|| kernel.size_of("net_device").and_then(|size| size.checked_next_multiple_of(32)))
        .unwrap_or(kernel_field::ABSENT)
}

/// Length of a jiffy: the coarse clock moves with it.
fn tick_ns() -> Result<u32, DatapathError> {
    let mut resolution = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local variable of the right type.
    if unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &raw mut resolution) } != 0 {
        return Err(DatapathError::System {
            operation: "ask the resolution of",
            object: "CLOCK_MONOTONIC_COARSE".into(),
            error: io::Error::last_os_error(),
        });
    }
    Ok(u32::try_from(resolution.tv_nsec).unwrap_or(4_000_000).max(1))
}
const _: () = assert!(gate::FLOW_SLOTS.is_power_of_two() && size_of::<InterfaceStats>() < 1024);
