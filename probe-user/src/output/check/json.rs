//! JSON Lines: findings, `reach` lines, one `namespace` line for each network namespace, and the summary.
use super::Checked;
use crate::config::Selection;
use crate::output::json_lines::wire::finding::{FindingWire, PodWire};
use crate::output::wall_clock::WallClock;
use probe_core::model::filters::{ClampSize, FilterHook, Filters, RulePlace};
use probe_core::model::interface::{Interface, OuterDf, Tunnel};
use probe_core::model::pmtu_exception::PmtuException;
use probe_core::model::pod::Pod;
use probe_core::model::route::Route;
use probe_core::model::settings::Settings;
use probe_core::model::topology::Topology;
use probe_core::reach::{Joint, Reach};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::IpAddr;

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "written at once, never stored")]
enum Line<'a> {
    Finding(FindingWire<'a>),
    Reach(ReachWire<'a>),
    Namespace(NamespaceWire<'a>),
    Summary(SummaryWire<'a>),
}

#[derive(Debug, Serialize)]
struct ReachWire<'a> {
    pod: PodWire<'a>,
    to: &'static str,
    family: &'static str,
    mtu: u32,
    pod_mtu: u32,
    chain: Vec<JointWire<'a>>,
    limited_by: Option<String>,
    destinations: &'a [String],
    /// All of them, where not all are named.
    destinations_total: usize,
    proved: bool,
}

#[derive(Debug, Serialize)]
struct JointWire<'a> {
    interface: &'a str,
    netns: &'static str,
    mtu: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    route_mtu: Option<u32>,
    /// Null where it is not known.
    overhead: Option<u32>,
}

#[derive(Debug, Serialize)]
struct NamespaceWire<'a> {
    /// Null for the observed one.
    pod: Option<PodWire<'a>>,
    netns_inode: u32,
    links: Vec<LinkWire<'a>>,
    routes: Vec<RouteWire<'a>>,
    exceptions: Vec<ExceptionWire<'a>>,
    settings: BTreeMap<&'static str, u32>,
    clamps: Vec<ClampWire<'a>>,
    error_drops: Vec<PlaceWire<'a>>,
}

#[derive(Debug, Serialize)]
struct LinkWire<'a> {
    interface: &'a str,
    kind: &'a str,
    mtu: u32,
    ipv6_mtu: Option<u32>,
    min_mtu: Option<u32>,
    max_mtu: Option<u32>,
    up: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    master: Option<&'a str>,
    peer: Option<PeerWire<'a>>,
    tunnel: Option<TunnelWire<'a>>,
}

#[derive(Debug, Serialize)]
struct PeerWire<'a> {
    interface: Option<&'a str>,
    mtu: Option<u32>,
    same_netns: bool,
}

#[derive(Debug, Serialize)]
struct TunnelWire<'a> {
    overhead: Option<u32>,
    underlay: Option<&'a str>,
    outer_df: &'static str,
    local: Option<IpAddr>,
    remotes: &'a [IpAddr],
}

#[derive(Debug, Serialize)]
struct RouteWire<'a> {
    family: &'static str,
    table: u32,
    destination: Option<String>,
    interface: Option<&'a str>,
    gateway: Option<IpAddr>,
    priority: u32,
    mtu: Option<u32>,
    mtu_locked: bool,
    advmss: Option<u32>,
}

#[derive(Debug, Serialize)]
struct ExceptionWire<'a> {
    destination: IpAddr,
    mtu: u32,
    locked: bool,
    age_seconds: u32,
    expires_seconds: u32,
    interface: Option<&'a str>,
    gateway: Option<IpAddr>,
}

#[derive(Debug, Serialize)]
struct PlaceWire<'a> {
    chain: &'a str,
    handle: Option<u64>,
    hook: &'static str,
    families: Vec<&'static str>,
    iif: Option<&'a str>,
    oif: Option<&'a str>,
    narrowed: bool,
}

#[derive(Debug, Serialize)]
struct ClampWire<'a> {
    #[serde(flatten)]
    place: PlaceWire<'a>,
    /// Segment size in bytes; null where it follows the route.
    mss: Option<u32>,
    to_route: bool,
}

#[derive(Debug, Serialize)]
struct SummaryWire<'a> {
    time: String,
    duration_seconds: f64,
    version: &'a str,
    kernel: &'a str,
    node: &'a str,
    findings: Vec<FindingWire<'a>>,
    hidden: usize,
    packets_seen: u64,
    lost: BTreeMap<&'static str, u64>,
    checked: Counts,
    unseen: Vec<UnseenWire<'a>>,
}

#[derive(Debug, Serialize)]
struct Counts {
    links: usize,
    routes: usize,
    pods: usize,
    pods_inside: usize,
    exceptions: usize,
    filter_rules: u32,
}

#[derive(Debug, Serialize)]
struct UnseenWire<'a> {
    what: &'static str,
    pods: u32,
    why: &'a str,
}

/// Writes all lines.
///
/// # Errors
/// The stream cannot be written to.
pub fn json_lines(
    checked: &Checked,
    selection: &Selection,
    clock: WallClock,
    stream: &mut impl Write,
) -> io::Result<()> {
    for finding in &checked.findings {
        line(stream, &Line::Finding(FindingWire::new(finding, clock)))?;
    }
    for reach in &checked.reaches {
        line(stream, &Line::Reach(ReachWire::new(reach)))?;
    }
    let survey = &checked.survey;
    if selection.pods.is_empty() {
        line(stream, &Line::Namespace(namespace(checked, None, &survey.node)))?;
    }
    let mut told = BTreeSet::new();
    for pod in survey.node.pods.iter().filter(|pod| selection.wants_pod(pod)) {
        let inside = survey.inside(pod).filter(|inside| told.insert(inside.netns_inode));
        if let Some(inside) = inside {
            line(stream, &Line::Namespace(namespace(checked, Some(pod), inside)))?;
        }
    }
    line(stream, &Line::Summary(summary(checked, clock)))
}

fn line(stream: &mut impl Write, line: &Line<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *stream, line)?;
    stream.write_all(b"\n")
}

fn summary(checked: &Checked, clock: WallClock) -> SummaryWire<'_> {
    let survey = &checked.survey;
    SummaryWire {
        time: clock.rfc3339(checked.time),
        duration_seconds: (checked.took / 1_000_000) as f64 / 1_000.0,
        version: &checked.version,
        kernel: &checked.kernel,
        node: &checked.node,
        findings: checked.findings.iter().map(|finding| FindingWire::new(finding, clock)).collect(),
        hidden: checked.hidden,
        packets_seen: 0,
        lost: BTreeMap::new(),
        checked: Counts {
            links: survey.node.interfaces.len(),
            routes: survey.node.routes.len(),
            pods: survey.node.pods.len(),
            pods_inside: survey.inside.len(),
            exceptions: survey.exceptions.iter().map(|learned| learned.exceptions.len()).sum(),
            filter_rules: survey.filters.values().map(|filters| filters.rules).sum(),
        },
        unseen: survey
            .unseen
            .iter()
            .map(|unseen| UnseenWire { what: unseen.what, pods: unseen.pods, why: &unseen.why })
            .collect(),
    }
}

impl<'a> ReachWire<'a> {
    fn new(reach: &'a Reach) -> Self {
        Self {
            pod: PodWire::new(&reach.pod),
            to: reach.to.name(),
            family: reach.family.name(),
            mtu: reach.mtu(),
            pod_mtu: reach.pod_mtu(),
            chain: reach.chain.iter().map(JointWire::new).collect(),
            limited_by: reach.limited_by(),
            destinations: &reach.destinations,
            destinations_total: reach.destination_count,
            proved: false,
        }
    }
}

impl<'a> JointWire<'a> {
    fn new(joint: &'a Joint) -> Self {
        Self {
            interface: &joint.interface,
            netns: joint.place.name(),
            mtu: joint.mtu,
            route_mtu: joint.route_mtu,
            overhead: (!joint.overhead_unknown).then_some(joint.overhead),
        }
    }
}

fn namespace<'a>(checked: &'a Checked, pod: Option<&'a Pod>, topology: &'a Topology) -> NamespaceWire<'a> {
    let survey = &checked.survey;
    let inode = topology.netns_inode;
    let settings: Option<&Settings> = survey.node.settings.get(&inode);
    let values = settings.into_iter().flat_map(|settings| &settings.values);
    let exceptions = survey.exceptions.iter().filter(|learned| learned.netns == inode);
    let filters: Option<&Filters> = survey.filters.get(&inode);
    NamespaceWire {
        pod: pod.map(PodWire::new),
        netns_inode: inode,
        links: topology.interfaces.values().map(|link| LinkWire::new(topology, link, pod)).collect(),
        routes: topology
            .routes
            .iter()
            .filter(|route| route.unicast)
            .map(|route| RouteWire::new(topology, route))
            .collect(),
        exceptions: exceptions
            .flat_map(|learned| &learned.exceptions)
            .map(|exception| ExceptionWire::new(exception, settings))
            .collect(),
        settings: values.map(|(setting, value)| (setting.name(), *value)).collect(),
        clamps: filters
            .into_iter()
            .flat_map(|filters| &filters.clamps)
            .map(|clamp| ClampWire {
                place: PlaceWire::new(&clamp.place),
                mss: match clamp.size {
                    ClampSize::Fixed(mss) => Some(mss),
                    ClampSize::Route | ClampSize::Unknown => None,
                },
                to_route: clamp.size == ClampSize::Route,
            })
            .collect(),
        error_drops: filters
            .into_iter()
            .flat_map(|filters| &filters.error_drops)
            .map(|drop| PlaceWire::new(&drop.place))
            .collect(),
    }
}

impl<'a> LinkWire<'a> {
    fn new(topology: &'a Topology, link: &'a Interface, pod: Option<&Pod>) -> Self {
        let name = |ifindex: u32| topology.interface(ifindex).map(|other| other.name.as_str());
        Self {
            interface: &link.name,
            kind: &link.kind,
            mtu: link.mtu,
            ipv6_mtu: link.ipv6_mtu,
            min_mtu: link.min_mtu,
            max_mtu: link.max_mtu,
            up: link.up,
            role: pod.is_none().then(|| link.role.name()),
            master: link.master.and_then(name),
            peer: link.peer.as_ref().map(|peer| PeerWire {
                interface: peer.name.as_deref(),
                mtu: peer.mtu,
                same_netns: peer.nsid.is_none(),
            }),
            tunnel: link
                .tunnel
                .as_ref()
                .map(|tunnel| TunnelWire::new(tunnel, tunnel.underlay.and_then(name))),
        }
    }
}

impl<'a> TunnelWire<'a> {
    fn new(tunnel: &'a Tunnel, underlay: Option<&'a str>) -> Self {
        Self {
            overhead: tunnel.overhead,
            underlay,
            outer_df: match tunnel.df {
                OuterDf::Unset => "unset",
                OuterDf::Set => "set",
                OuterDf::Inherit => "inherit",
            },
            local: tunnel.local,
            remotes: &tunnel.remotes,
        }
    }
}

impl<'a> RouteWire<'a> {
    fn new(topology: &'a Topology, route: &'a Route) -> Self {
        Self {
            family: route.family.name(),
            table: route.table,
            destination: route.destination.map(|(network, length)| format!("{network}/{length}")),
            interface: route.oif.and_then(|oif| topology.interface(oif)).map(|device| device.name.as_str()),
            gateway: route.gateway,
            priority: route.priority,
            mtu: route.mtu,
            mtu_locked: route.mtu_locked,
            advmss: route.advmss,
        }
    }
}

impl<'a> ExceptionWire<'a> {
    fn new(exception: &'a PmtuException, settings: Option<&Settings>) -> Self {
        Self {
            destination: exception.destination,
            mtu: exception.mtu,
            locked: exception.locked,
            age_seconds: exception.age(settings),
            expires_seconds: exception.expires,
            interface: exception.interface.as_deref(),
            gateway: exception.gateway,
        }
    }
}

impl<'a> PlaceWire<'a> {
    fn new(place: &'a RulePlace) -> Self {
        Self {
            chain: &place.chain,
            handle: place.handle,
            hook: FilterHook::name(place.hook),
            families: place.families.iter().map(|family| family.name()).collect(),
            iif: place.iif.as_deref(),
            oif: place.oif.as_deref(),
            narrowed: place.narrowed,
        }
    }
}
