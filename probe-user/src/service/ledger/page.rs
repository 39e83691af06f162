//! The ledger and what stands now, as the families of the page.
use super::owner::Owner;
use super::{Ledger, standing};
use crate::config::HistogramPods;
use crate::output::{AttachedInterface, Sense, SenseState};
use crate::service::metrics::{Family, Metric, Value, catalogue};
use probe_core::model::Time;
use probe_core::model::finding::Finding;
use probe_core::model::topology::Topology;
use std::collections::BTreeMap;

type Labels = Vec<(&'static str, String)>;

/// What the page tells beside what was counted.
#[derive(Debug)]
pub struct PageSettings<'a> {
    /// Now.
    pub now: Time,
    /// Everything found at the start is observed.
    pub ready: bool,
    /// Links and pods.
    pub topology: &'a Topology,
    /// Findings that stand.
    pub findings: &'a [Finding],
    /// Evidence that was lost.
    pub lost: &'a BTreeMap<String, u64>,
    /// Interfaces that are observed.
    pub attached: &'a [AttachedInterface],
    /// Interfaces still to come.
    pub pending: usize,
    /// What can be observed.
    pub senses: &'a [Sense],
    /// Pods whose packet sizes are told.
    pub histogram_pods: &'a HistogramPods,
    /// Release of the kernel.
    pub kernel: &'a str,
}

impl Ledger {
    /// The page; what this process uses and what was posted belongs to others.
    pub fn families(&self, settings: &PageSettings<'_>) -> Vec<Family> {
        let mut families = vec![
            Family::new(
                &catalogue::BUILD_INFO,
                [(
                    vec![
                        ("version", env!("CARGO_PKG_VERSION").to_owned()),
                        ("kernel", settings.kernel.to_owned()),
                    ],
                    Value::Count(1),
                )],
            ),
            Family::single(&catalogue::READY, Value::Count(settings.ready.into())),
            self.sizes(settings.histogram_pods),
        ];
        families.extend(self.counters(settings));
        families.extend(self.gauges(settings));
        families
    }

    fn sizes(&self, pods: &HistogramPods) -> Family {
        let told =
            self.hooks.sizes.iter().filter(|((owner, _), _)| pods.includes(&owner.namespace, &owner.pod));
        Family::new(
            &catalogue::PACKET_SIZE_BYTES,
            told.map(|((owner, direction), sizes)| {
                let labels = with(owner, [("direction", direction.name())]);
                (labels, Value::Sizes { buckets: sizes.buckets.clone(), sum: sizes.bytes })
            }),
        )
    }

    fn counters(&self, settings: &PageSettings<'_>) -> Vec<Family> {
        let df = |df: bool| if df { "true" } else { "false" };
        vec![
            counter(
                &catalogue::OVERSIZE_PACKETS_TOTAL,
                &self.oversize,
                |(owner, direction, protocol, set)| {
                    with(owner, [("direction", direction.name()), ("protocol", protocol), ("df", df(*set))])
                },
            ),
            counter(&catalogue::SIZE_DROPS_TOTAL, &self.drops, |(owner, direction, at)| {
                with(owner, [("direction", direction.name()), ("where", at)])
            }),
            counter(&catalogue::PACKET_TOO_BIG_TOTAL, &self.errors, |(owner, family, stage, verdict)| {
                with(owner, [("family", family.name()), ("stage", stage.name()), ("verdict", verdict.name())])
            }),
            counter(&catalogue::FRAGMENTS_TOTAL, &self.hooks.fragments, |place| {
                let labels = [
                    ("direction", place.direction),
                    ("role", place.role.name()),
                    ("interface", &place.interface),
                ];
                with(&place.owner, labels)
            }),
            counter(&catalogue::INTERFACE_PACKETS_TOTAL, &self.hooks.packets, |place| {
                named([
                    ("interface", place.interface.as_str()),
                    ("role", place.role.name()),
                    ("direction", place.direction),
                ])
            }),
            counter(&catalogue::CANDIDATE_PACKETS_TOTAL, &self.hooks.candidates, |(role, direction)| {
                named([("role", role.name()), ("direction", direction)])
            }),
            counter(&catalogue::MTU_CHANGES_TOTAL, &self.changes, |what| named([("what", *what)])),
            counter(&catalogue::EVIDENCE_LOST_TOTAL, settings.lost, |what| named([("what", what.as_str())])),
        ]
    }

    fn gauges(&self, settings: &PageSettings<'_>) -> Vec<Family> {
        let findings = self.findings(settings.findings);
        let causes = standing::causes(settings.now, settings.findings);
        let mut standing: BTreeMap<_, u64> = BTreeMap::new();
        let mut losing: BTreeMap<_, u64> = BTreeMap::new();
        for cause in &causes {
            let key = (cause.scope, cause.kind.name(), cause.severity.name());
            *standing.entry(key).or_default() += 1;
            *losing.entry((key, cause.certainty.name())).or_default() += u64::from(cause.losing);
        }
        let mut attached: BTreeMap<_, u64> = BTreeMap::new();
        for interface in settings.attached {
            *attached.entry((interface.role, interface.hook)).or_default() += 1;
        }
        let shares = self.coverage.shares.iter().map(|((role, direction), share)| {
            (named([("role", role.name()), ("direction", direction)]), Value::Number(*share))
        });
        let senses = settings.senses.iter().map(|sense| {
            let works = match sense.state {
                SenseState::Works => 1.0,
                SenseState::Degraded => 0.5,
                SenseState::Missing => 0.0,
            };
            (named([("sense", sense.name.as_ref())]), Value::Number(works))
        });
        vec![
            counter(&catalogue::FINDINGS, &findings, |(owner, kind, reason, severity, certainty)| {
                with(
                    owner,
                    [("kind", kind), ("reason", reason), ("severity", severity), ("certainty", certainty)],
                )
            }),
            counter(&catalogue::CAUSES, &standing, |(scope, kind, severity)| {
                named([("scope", *scope), ("kind", kind), ("severity", severity)])
            }),
            counter(&catalogue::CAUSES_LOSING, &losing, |((scope, kind, severity), certainty)| {
                named([("scope", *scope), ("kind", kind), ("severity", severity), ("certainty", certainty)])
            }),
            Family::new(&catalogue::COVERAGE_RATIO, shares),
            self.mtus(settings.topology),
            counter(&catalogue::ATTACHED_INTERFACES, &attached, |(role, hook)| {
                named([("role", role.name()), ("hook", hook.name())])
            }),
            Family::single(&catalogue::PENDING_INTERFACES, Value::Count(settings.pending as u64)),
            Family::new(&catalogue::SENSE_STATE, senses),
        ]
    }

    /// MTUs of interfaces; of a pod's, which are one each, both ends under the pod's name.
    fn mtus(&self, topology: &Topology) -> Family {
        let mut mtus: BTreeMap<Labels, u64> = BTreeMap::new();
        let mut label = |owner: &Owner, interface: &str, role: &str, mtu: u32| {
            mtus.insert(with(owner, [("interface", interface), ("role", role)]), mtu.into());
        };
        let mut shown = 0;
        for interface in topology.interfaces.values() {
            let Some(pod) = topology.pod_behind(interface.ifindex) else {
                shown += 1;
                if shown <= super::MAX_INTERFACES {
                    label(&Owner::node(), &interface.name, interface.role.name(), interface.mtu);
                }
                continue;
            };
            let owner = self.census.lookup(Some(pod));
            if owner != Owner::overflow() {
                label(&owner, &interface.name, interface.role.name(), interface.mtu);
                let inner = pod.pod_interface.as_deref().zip(pod.pod_mtu);
                if let Some((name, mtu)) = inner.filter(|(name, _)| *name != interface.name) {
                    label(&owner, name, "inside", mtu);
                }
            }
        }
        Family::new(
            &catalogue::INTERFACE_MTU_BYTES,
            mtus.into_iter().map(|(labels, mtu)| (labels, Value::Count(mtu))),
        )
    }
}

fn counter<K>(metric: &'static Metric, counts: &BTreeMap<K, u64>, labels: impl Fn(&K) -> Labels) -> Family {
    Family::new(metric, counts.iter().map(|(key, count)| (labels(key), Value::Count(*count))))
}

fn named<const N: usize>(labels: [(&'static str, &str); N]) -> Labels {
    labels.map(|(name, value)| (name, value.to_owned())).to_vec()
}

fn with<const N: usize>(owner: &Owner, labels: [(&'static str, &str); N]) -> Labels {
    let mut all = named([("namespace", owner.namespace.as_str()), ("pod", owner.pod.as_str())]);
    all.extend(named(labels));
    all
}
