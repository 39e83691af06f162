//! The beginning of an observation: the kernel side is loaded, told of the interfaces, and put on the first of them.
use super::attachments::Attachments;
use super::pod_settings::SettingsReader;
use crate::cli::HookChoice;
use crate::config::{Selection, WatchConfig};
use crate::datapath::attach::{Attacher, Policy, Report};
use crate::datapath::interfaces::Interfaces;
use crate::datapath::load::{Datapath, Settings, Tracepoint};
use crate::output::wall_clock::monotonic_now;
use anyhow::Context as _;
use probe_core::model::Time;
use probe_core::model::interface::Role;
use probe_core::model::topology::Topology;
use tokio::sync::mpsc::UnboundedSender;

/// Places for interfaces at least; pods come.
const MIN_SLOTS: u32 = 512;
/// Places at most: they take memory on every possible CPU.
const MAX_SLOTS: u32 = 4096;

/// What an observation begins with.
pub(super) struct Opened {
    /// When this began.
    pub time: Time,
    pub topology: Topology,
    pub datapath: Datapath,
    pub interfaces: Interfaces,
    pub attachments: Attachments,
    pub tracepoints: Vec<Tracepoint>,
    pub settings: SettingsReader,
    /// Interfaces that found no place.
    pub without_place: Vec<u32>,
}

/// Loads the kernel side and asks for what is attached first.
pub(super) fn open(
    config: &WatchConfig,
    topology: Topology,
    reports: UnboundedSender<Report>,
) -> anyhow::Result<(Opened, Attacher)> {
    let time = monotonic_now();
    let selection = &config.selection;
    for name in selection.interfaces.iter().chain(&selection.uplinks) {
        topology.interface_named(name).with_context(|| format!("observe {name}: no such interface"))?;
    }
    let mut topology = with_uplinks(topology, selection);
    let mut attachments = Attachments::new(selection.clone());
    let difference = attachments.begin(time, &topology);
    let wanted = attachments.wanted();
    let slots = u32::try_from(wanted.len() * 2).unwrap_or(MAX_SLOTS).clamp(MIN_SLOTS, MAX_SLOTS);
    let loaded_as = Settings { our_netns: topology.netns_inode, slots, ..Settings::default() };
    let mut datapath = Datapath::load(&loaded_as)?;
    let mut interfaces = Interfaces::new(slots);
    let without_place = interfaces.update(&mut datapath, &topology, &wanted)?;
    let tracepoints = datapath.attach_tracepoints();
    let mut settings = SettingsReader::new(datapath.take_pod_settings());
    settings.fill(time, &mut topology);
    let policy = match config.hook {
        HookChoice::Auto => Policy::Auto,
        HookChoice::Tcx => Policy::Tcx,
        HookChoice::Clsact => Policy::Clsact,
    };
    let attacher = Attacher::start(datapath.take_classifiers()?, policy, reports)
        .context("start the thread that attaches")?;
    let with_place =
        difference.requests.into_iter().filter(|request| !without_place.contains(&request.ifindex));
    for request in with_place {
        attacher.attach(request);
    }
    let opened =
        Opened { time, topology, datapath, interfaces, attachments, tracepoints, settings, without_place };
    Ok((opened, attacher))
}

/// The uplinks that somebody named, instead of those that were found.
pub(super) fn with_uplinks(mut topology: Topology, selection: &Selection) -> Topology {
    let uplinks = &selection.uplinks;
    if uplinks.is_empty() {
        return topology;
    }
    for interface in topology.interfaces.values_mut() {
        match (uplinks.contains(&interface.name), interface.role) {
            (true, _) => interface.role = Role::Uplink,
            (false, Role::Uplink) => interface.role = Role::Link,
            (false, Role::Pod | Role::Overlay | Role::Bridge | Role::Port | Role::Link) => {}
        }
    }
    topology
}
