//! The JSON of `pods`.
use super::{ListedPods, Way};
use crate::output::Hook;
use crate::output::json_lines::wire::finding::PodWire;
use serde::Serialize;

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "written at once, never stored")]
pub(super) enum Line<'a> {
    Pod(PodLine<'a>),
    Summary(SummaryLine<'a>),
}

#[derive(Debug, Serialize)]
pub(super) struct PodLine<'a> {
    #[serde(flatten)]
    pod: PodWire<'a>,
    interfaces: Vec<InterfaceWire<'a>>,
}

#[derive(Debug, Serialize)]
struct InterfaceWire<'a> {
    host_interface: Option<&'a str>,
    pod_interface: Option<&'a str>,
    host_mtu: Option<u32>,
    pod_mtu: Option<u32>,
    hook: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct SummaryLine<'a> {
    pods: usize,
    senses: Vec<SenseWire<'a>>,
}

#[derive(Debug, Serialize)]
struct SenseWire<'a> {
    name: &'a str,
    state: &'static str,
    why: Option<&'a str>,
}

impl<'a> Line<'a> {
    pub fn pod(ways: &[Way<'a>]) -> Self {
        let interfaces = ways.iter().map(|way| InterfaceWire {
            host_interface: way.pod.host_interface.as_deref(),
            pod_interface: way.pod.pod_interface.as_deref(),
            host_mtu: way.host_mtu,
            pod_mtu: way.pod.pod_mtu,
            hook: way.hook.map(Hook::name),
        });
        // `by_pod` makes no empty groups.
        Self::Pod(PodLine { pod: PodWire::new(ways[0].pod), interfaces: interfaces.collect() })
    }

    pub fn summary(listed: &'a ListedPods) -> Self {
        let senses = listed.senses.iter().map(|sense| SenseWire {
            name: &sense.name,
            state: sense.state.name(),
            why: sense.why.as_deref(),
        });
        Self::Summary(SummaryLine { pods: listed.by_pod().len(), senses: senses.collect() })
    }
}
