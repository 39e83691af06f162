//! Text for people, one screen of it on a healthy node.
use super::{Checked, table};
use crate::config::Selection;
use crate::output::text::summary;
use crate::output::wall_clock::WallClock;
use probe_core::model::amount::amount;
use probe_core::model::filters::{ClampSize, RulePlace};
use probe_core::model::interface::{Interface, OuterDf, Role};
use probe_core::model::pod::Pod;
use probe_core::model::settings::Setting;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Lines of one kind at most.
const LINES: usize = 8;
/// Settings that are told.
const SETTINGS: [Setting; 6] = [
    Setting::IpNoPmtuDisc,
    Setting::TcpMtuProbing,
    Setting::TcpBaseMss,
    Setting::MinPmtu,
    Setting::MtuExpires,
    Setting::IpForwardUsePmtu,
];

/// Writes all.
///
/// # Errors
/// The stream cannot be written to.
pub fn text(
    checked: &Checked,
    selection: &Selection,
    clock: WallClock,
    stream: &mut impl Write,
) -> io::Result<()> {
    let mut text = head(checked);
    // Writing to a String cannot fail.
    let mut add = |word: &str, lines: Vec<String>| {
        let more = lines.len().saturating_sub(LINES);
        for line in lines.iter().take(LINES) {
            let _infallible = writeln!(text, "{word:<9} {line}");
        }
        if more > 0 {
            let _infallible = writeln!(text, "{word:<9} and {more} more (--output json tells all)");
        }
    };
    add("unseen", unseen(checked));
    add("uplink", uplinks(checked));
    add("tunnel", tunnels(checked));
    add("bridge", bridges(checked));
    add("learned", learned(checked, selection));
    add("settings", settings(checked));
    add("clamp", clamps(checked));
    add("icmp", error_drops(checked));
    text.push_str(&summary::numbered(&checked.findings, clock));
    text.push_str(&table::of_reaches(&checked.reaches));
    if checked.hidden > 0 {
        let word = if checked.hidden == 1 { "finding" } else { "findings" };
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{} {word} of less severity not shown", checked.hidden);
    } else if checked.findings.is_empty() {
        text.push_str(nothing(checked));
    }
    stream.write_all(text.as_bytes())
}

fn nothing(checked: &Checked) -> &'static str {
    match (checked.survey.node.pods.is_empty(), checked.survey.unseen.is_empty()) {
        (true, true) => "nothing found; there is no pod here\n",
        (false, true) => "nothing found: what pods can send fits, as far as this node can see\n",
        (_, false) => "nothing found in what could be seen\n",
    }
}

fn head(checked: &Checked) -> String {
    let survey = &checked.survey;
    let (seconds, hundredths) = (checked.took / 1_000_000_000, checked.took / 10_000_000 % 100);
    let pods = &survey.node.pods;
    let inside = pods.iter().filter(|pod| survey.inside(pod).is_some()).count();
    let learned: usize = survey.exceptions.iter().map(|learned| learned.exceptions.len()).sum();
    let rules: u32 = survey.filters.values().map(|filters| filters.rules).sum();
    format!(
        "mtuprobe {}  node {}  kernel {}  checked in {seconds}.{hundredths:02} s\nread      {}, {}, {} \
         ({inside} from inside), {}, {}\n",
        checked.version,
        checked.node,
        checked.kernel,
        amount(survey.node.interfaces.len() as u64, "link"),
        amount(survey.node.routes.len() as u64, "route"),
        amount(pods.len() as u64, "pod"),
        amount(learned as u64, "learned path MTU"),
        amount(rules.into(), "filter rule"),
    )
}

fn unseen(checked: &Checked) -> Vec<String> {
    let told = |unseen: &probe_core::model::survey::Unseen| {
        let what = unseen.what.replace('_', " ");
        match unseen.pods {
            0 => format!("{what}: {}", unseen.why),
            pods => format!("{what} ({}): {}", amount(pods as u64, "pod"), unseen.why),
        }
    };
    checked.survey.unseen.iter().map(told).collect()
}

fn uplinks(checked: &Checked) -> Vec<String> {
    let uplinks = checked.survey.node.with_role(Role::Uplink).filter(|uplink| uplink.up);
    let told: Vec<String> = uplinks.map(|uplink| format!("{} {}", uplink.name, sizes(uplink))).collect();
    if told.is_empty() { Vec::new() } else { vec![told.join(", ")] }
}

/// MTU, and that for IPv6 where it differs.
fn sizes(interface: &Interface) -> String {
    match interface.ipv6_mtu.filter(|&mtu| mtu != interface.mtu) {
        Some(mtu) => format!("{} (IPv6 {mtu})", interface.mtu),
        None => interface.mtu.to_string(),
    }
}

fn tunnels(checked: &Checked) -> Vec<String> {
    let node = &checked.survey.node;
    let working = node.with_role(Role::Overlay).filter(|tunnel| tunnel.up);
    working
        .filter_map(|interface| {
            let tunnel = interface.tunnel.as_ref()?;
            let overhead = tunnel.overhead.map_or("?".to_owned(), |overhead| overhead.to_string());
            let underlay = tunnel.underlay.and_then(|underlay| node.interface(underlay));
            let over =
                underlay.map(|device| format!(" over {} {}", device.name, device.mtu)).unwrap_or_default();
            let df = match tunnel.df {
                OuterDf::Unset => "outer packets without DF",
                OuterDf::Set => "outer packets with DF",
                OuterDf::Inherit => "outer packets with the inner DF",
            };
            let (name, kind, mtu) = (&interface.name, &interface.kind, interface.mtu);
            Some(format!("{name} {mtu} ({kind}, −{overhead}){over}, {df}"))
        })
        .collect()
}

fn bridges(checked: &Checked) -> Vec<String> {
    let node = &checked.survey.node;
    let bridges = node.interfaces.values().filter(|bridge| bridge.kind == "bridge" && bridge.up);
    bridges
        .map(|bridge| {
            let mut ports: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
            for port in node.interfaces.values().filter(|port| port.master == Some(bridge.ifindex)) {
                ports.entry(port.mtu).or_default().push(&port.name);
            }
            let ports: Vec<String> = ports
                .iter()
                .map(|(mtu, names)| match names.as_slice() {
                    [name] => format!("port {name} {mtu}"),
                    names => format!("{} ports {mtu}", names.len()),
                })
                .collect();
            let ports = if ports.is_empty() { "no port".to_owned() } else { ports.join(", ") };
            format!("{} {}: {ports}", bridge.name, bridge.mtu)
        })
        .collect()
}

fn owner(checked: &Checked, netns: u32) -> String {
    checked.owner(netns).map_or_else(|| "node".to_owned(), |pod| format!("pod {}", pod.display_name()))
}

fn learned(checked: &Checked, selection: &Selection) -> Vec<String> {
    let mut lines = Vec::new();
    for learned in &checked.survey.exceptions {
        if checked.owner(learned.netns).is_some_and(|pod| !selection.wants_pod(pod)) {
            continue;
        }
        let settings = checked.survey.node.settings.get(&learned.netns);
        for exception in &learned.exceptions {
            let lock = if exception.locked { ", locked" } else { "" };
            lines.push(format!(
                "{}: {} has {}{lock}, learned {} s ago, by {}",
                owner(checked, learned.netns),
                exception.destination,
                exception.mtu,
                exception.age(settings),
                exception.interface.as_deref().unwrap_or("?"),
            ));
        }
    }
    lines
}

/// Namespaces with the same settings share a line.
fn settings(checked: &Checked) -> Vec<String> {
    let mut owners: BTreeMap<Vec<Option<u32>>, Vec<Option<&Pod>>> = BTreeMap::new();
    for (netns, settings) in &checked.survey.node.settings {
        let values = SETTINGS.iter().map(|&setting| settings.get(setting)).collect();
        owners.entry(values).or_default().push(checked.owner(*netns));
    }
    let told = |(values, owners): (&Vec<Option<u32>>, &Vec<Option<&Pod>>)| {
        let node = owners.iter().any(Option::is_none).then(|| "node".to_owned());
        let pods: Vec<String> = owners.iter().flatten().map(|pod| pod.display_name()).collect();
        let pods = table::names(&pods, 3);
        let pods = (!pods.is_empty()).then(|| format!("pods {pods}"));
        let who: Vec<String> = node.into_iter().chain(pods).collect();
        let values = SETTINGS.iter().zip(values).filter_map(|(setting, value)| {
            let name = setting.name();
            let short = name.rsplit('.').next().unwrap_or(name);
            Some(format!("{short} {}", (*value)?))
        });
        format!("{}: {}", who.join(", "), values.collect::<Vec<_>>().join(", "))
    };
    owners.iter().map(told).collect()
}

fn place(checked: &Checked, netns: u32, place: &RulePlace) -> String {
    let mut text = format!("{}: {} at {}", owner(checked, netns), place.chain, place.hook.name());
    for (word, name) in [("from", &place.iif), ("to", &place.oif)] {
        if let Some(name) = name {
            let _infallible = write!(text, " {word} {name}");
        }
    }
    if place.narrowed {
        text.push_str(" (for some packets)");
    }
    text
}

fn clamps(checked: &Checked) -> Vec<String> {
    let all = checked
        .survey
        .filters
        .iter()
        .flat_map(|(netns, filters)| filters.clamps.iter().map(move |clamp| (*netns, clamp)));
    all.map(|(netns, clamp)| {
        let size = match clamp.size {
            ClampSize::Route => "to what the route carries".to_owned(),
            ClampSize::Fixed(mss) => format!("to {mss}"),
            ClampSize::Unknown => "to an unknown size".to_owned(),
        };
        format!("{}: MSS {size}", place(checked, netns, &clamp.place))
    })
    .collect()
}

fn error_drops(checked: &Checked) -> Vec<String> {
    let all = checked
        .survey
        .filters
        .iter()
        .flat_map(|(netns, filters)| filters.error_drops.iter().map(move |drop| (*netns, drop)));
    all.map(|(netns, drop)| format!("{}: drops errors about size", place(checked, netns, &drop.place)))
        .collect()
}
