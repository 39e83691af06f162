//! What `pods` tells: a line for each pod, with its interfaces, and how the sources of names are doing.
mod wire;

use super::{Hook, Sense, SenseState};
use crate::datapath::attach::Mechanism;
use probe_core::model::pod::Pod;
use probe_core::model::topology::Topology;
use serde::Serialize as _;
use std::collections::BTreeMap;
use std::io::{self, Write};
use wire::Line;

/// What was found.
#[derive(Debug)]
pub struct ListedPods {
    /// The pods, with the links that lead to them.
    pub topology: Topology,
    /// How their interfaces are observed by a running instance.
    pub hooks: BTreeMap<u32, Mechanism>,
    /// The sources of names.
    pub senses: Vec<Sense>,
}

/// One way into a pod.
struct Way<'a> {
    pod: &'a Pod,
    host_mtu: Option<u32>,
    hook: Option<Hook>,
}

impl ListedPods {
    /// Each pod with all its interfaces, by name.
    fn by_pod(&self) -> Vec<Vec<Way<'_>>> {
        let mut pods: BTreeMap<_, Vec<Way<'_>>> = BTreeMap::new();
        for pod in &self.topology.pods {
            let host = pod.host_ifindex.and_then(|ifindex| self.topology.interface(ifindex));
            let hook = pod.host_ifindex.and_then(|ifindex| self.hooks.get(&ifindex)).map(|hook| match hook {
                Mechanism::Tcx => Hook::Tcx,
                Mechanism::Clsact => Hook::Clsact,
            });
            let way = Way { pod, host_mtu: host.map(|interface| interface.mtu), hook };
            pods.entry((pod.display_name(), pod.key())).or_default().push(way);
        }
        pods.into_values().collect()
    }
}

/// One JSON object a line.
///
/// # Errors
/// The stream cannot be written to.
pub fn json_lines(listed: &ListedPods, stream: &mut dyn Write) -> io::Result<()> {
    for ways in listed.by_pod() {
        write_line(&Line::pod(&ways), stream)?;
    }
    write_line(&Line::summary(listed), stream)
}

fn write_line(line: &Line<'_>, stream: &mut dyn Write) -> io::Result<()> {
    line.serialize(&mut serde_json::Serializer::new(&mut *stream))?;
    stream.write_all(b"\n")
}

/// Rows with their columns below each other.
fn write_rows<const N: usize>(rows: &[[String; N]], stream: &mut dyn Write) -> io::Result<()> {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(stream, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

/// A table for people.
///
/// # Errors
/// The stream cannot be written to.
pub fn text(listed: &ListedPods, stream: &mut dyn Write) -> io::Result<()> {
    let pods = listed.by_pod();
    let head = ["pod", "interface", "host mtu", "pod mtu", "addresses", "name from", "hook", "owner"];
    let mut rows = vec![head.map(str::to_owned)];
    let number = |mtu: Option<u32>| mtu.map_or_else(|| "?".to_owned(), |mtu| mtu.to_string());
    for way in pods.iter().flatten() {
        let pod = way.pod;
        let inside = pod.pod_interface.as_deref().unwrap_or("?");
        let addresses: Vec<String> = pod.addresses.iter().map(ToString::to_string).collect();
        rows.push([
            pod.display_name(),
            pod.host_interface
                .as_ref()
                .map_or_else(|| inside.to_owned(), |host| format!("{host} > {inside}")),
            if pod.host_ifindex.is_none() { "-".to_owned() } else { number(way.host_mtu) },
            number(pod.pod_mtu),
            addresses.join(" "),
            pod.source.name().to_owned(),
            way.hook.map_or("-", Hook::name).to_owned(),
            pod.owner
                .as_ref()
                .map_or_else(|| "-".to_owned(), |owner| format!("{}/{}", owner.kind, owner.name)),
        ]);
    }
    let count = pods.len();
    if count > 0 {
        write_rows(&rows, stream)?;
    }
    writeln!(stream, "{count} {}", if count == 1 { "pod" } else { "pods" })?;
    let (works, others): (Vec<_>, Vec<_>) =
        listed.senses.iter().partition(|sense| sense.state == SenseState::Works);
    let names: Vec<&str> = works.iter().map(|sense| sense.name.as_ref()).collect();
    writeln!(
        stream,
        "names from {}",
        if names.is_empty() { "namespaces only".to_owned() } else { names.join(", ") }
    )?;
    for sense in others {
        let why = sense.why.as_deref().unwrap_or("it does not say why");
        writeln!(stream, "not from {}: {why}", sense.name)?;
    }
    Ok(())
}
