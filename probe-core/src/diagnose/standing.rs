//! Findings that stand without packets: mismatches, which give way to the finding about the packets that meet them, and
//! path MTUs that nothing explains.
use super::exceptions::suspicion::Circumstances;
use super::fault::{Fault, FaultKey, Joint};
use super::latent::{self, Mismatch};
use super::{Diagnoser, FORGET, Output, causes, publish};
use crate::model::Time;
use crate::model::finding::{Finding, Kind, State};
use crate::model::pod::{Called, PodKey};
use crate::model::topology::Topology;
use std::collections::BTreeMap;

/// What was told of a mismatch.
#[derive(Debug)]
pub(super) struct ToldMismatch {
    finding: Finding,
    /// Its pods, as they were called when it was told last.
    called: BTreeMap<PodKey, Called>,
    /// It gave way to a finding about packets.
    is_met: bool,
}

impl Diagnoser {
    /// Looks for mismatches anew.
    pub(super) fn find_mismatches(&mut self) {
        self.mismatches = latent::mismatches(&self.topology);
        self.mismatches.extend(self.announcements.mismatches(&self.topology));
        self.mismatches.extend(latent::locked_in_pods(&self.topology, &self.exceptions.locked));
    }

    /// Opens, changes and closes the findings that stand without packets.
    pub(super) fn tell_mismatches(&mut self, now: Time) {
        let circumstances =
            Circumstances { topology: &self.topology, coverages: &self.coverages, tc: self.senses.tc };
        let suspicions = self.exceptions.suspicions(now, &circumstances);
        let suspicious = suspicions
            .iter()
            .filter_map(|suspicion| publish::exception(&self.topology, suspicion, now))
            .map(|finding| (finding, false));
        let mismatches = self.mismatches.iter().filter_map(|mismatch| {
            Some((publish::latent(&self.topology, mismatch, now)?, self.is_met(mismatch)))
        });
        let standing: BTreeMap<String, (Finding, bool)> =
            mismatches.chain(suspicious).map(|told| (told.0.id.clone(), told)).collect();
        for (id, told) in &mut self.latent {
            let is_met = standing.get(id).is_some_and(|(_, is_met)| *is_met);
            if told.finding.state == State::Open && (is_met || !standing.contains_key(id)) {
                told.is_met = is_met;
                told.finding.state = State::Closed;
                told.finding.ended = Some(now);
                if is_met {
                    told.finding.title.push_str("; packets meet it now");
                    told.finding.explanation.push_str(
                        " Closed: packets meet it, and the finding about them names it as its cause.",
                    );
                }
                self.output.push_back(Output::Finding(told.finding.clone()));
            }
        }
        for (id, (mut finding, is_met)) in standing {
            if is_met {
                continue;
            }
            let mut called = called(&finding);
            let told = self.latent.remove(&id).filter(|told| told.finding.state == State::Open);
            let is_news = told.as_ref().is_none_or(|told| told.is_outdated_by(&finding, &called));
            if let Some(told) = told {
                finding.first_seen = told.finding.first_seen;
                if !is_news {
                    called = told.called;
                }
            }
            if is_news {
                self.output.push_back(Output::Finding(finding.clone()));
            }
            self.latent.insert(id, ToldMismatch { finding, called, is_met: false });
        }
        self.latent.retain(|_, told| told.finding.ended.is_none_or(|ended| ended + FORGET >= now));
    }

    /// The mismatches that no other finding tells of.
    pub(super) fn untold_mismatches(&self) -> impl Iterator<Item = &Finding> {
        self.latent.values().filter(|told| !told.is_met).map(|told| &told.finding)
    }

    /// A fault that the configuration shows as well names its kind as its cause.
    pub(super) fn name_configuration(&mut self, key: &FaultKey) {
        let Some(fault) = self.faults.get_mut(key) else { return };
        if fault.configured.is_none() {
            let kinds = self.mismatches.iter().filter(|mismatch| lies_at(&self.topology, mismatch, fault));
            // A setting that keeps the sender from learning explains more than the joint.
            fault.configured =
                kinds.map(|mismatch| mismatch.kind).max_by_key(|kind| *kind == Kind::PmtudDisabled);
        }
    }

    /// Packets meet it, and a finding tells of them.
    fn is_met(&self, mismatch: &Mismatch) -> bool {
        self.published.iter().any(|(key, published)| {
            published.state == State::Open
                && self.faults.get(key).is_some_and(|fault| lies_at(&self.topology, mismatch, fault))
        })
    }
}

impl ToldMismatch {
    /// Whether it has to be told again. That pods come and go behind a shared joint changes its finding, and is no news;
    /// that one of those told has a better name is.
    fn is_outdated_by(&self, finding: &Finding, called: &BTreeMap<PodKey, Called>) -> bool {
        let is_renamed = |(key, before): (&PodKey, &Called)| called.get(key).is_some_and(|now| now != before);
        self.finding.severity != finding.severity
            || self.finding.title != finding.title
            || self.called.iter().any(is_renamed)
    }
}

/// What the pods of a finding are called.
fn called(finding: &Finding) -> BTreeMap<PodKey, Called> {
    finding.pod.iter().chain(&finding.pods).map(|pod| (pod.key(), pod.called())).collect()
}

/// Whether what a fault met is this mismatch.
fn lies_at(topology: &Topology, mismatch: &Mismatch, fault: &Fault) -> bool {
    let root = causes::root(topology, &fault.key.joint);
    match (mismatch.kind, &fault.key.joint) {
        // The way out may be a tunnel, whose limit its underlay makes.
        (Kind::PodMtuExceedsEgress, Joint::Tunnel(ifindex)) => *ifindex == mismatch.ifindex,
        // A bridge's own limit, or what is behind its ports.
        (Kind::BridgeMtuMismatch, Joint::Egress(ifindex, _)) => *ifindex == mismatch.ifindex,
        (Kind::BridgeMtuMismatch, Joint::Veth(port)) => {
            topology.interface(*port).and_then(|port| port.master) == Some(mismatch.ifindex)
        }
        (Kind::PmtudDisabled, _) => {
            mismatch.pod.as_ref().is_some_and(|pod| pod.key() == fault.key.pod)
                && fault.is_caused_by_setting()
        }
        (_, _) => mismatch.joint() == Some(root),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::fixtures::{self, POD1};
    use crate::model::SECOND;
    use crate::model::pod::PodSource;

    /// The mismatches told since the last call.
    fn told(diagnoser: &mut Diagnoser, kind: Kind) -> Vec<Finding> {
        let outputs = std::iter::from_fn(|| diagnoser.poll_output());
        let findings = outputs
            .filter_map(|output| if let Output::Finding(finding) = output { Some(finding) } else { None });
        findings.filter(|finding| finding.kind == kind).collect()
    }

    fn rename(topology: &mut Topology, index: usize, name: &str) {
        let pod = &mut topology.pods[index];
        (pod.namespace, pod.name) = (Some("shop".to_owned()), Some(name.to_owned()));
        pod.source = PodSource::Cri;
    }

    #[test]
    fn a_name_that_comes_late_is_told() {
        let kind = Kind::VethMtuMismatch;
        let mut topology = fixtures::node(1500);
        topology.pods[0].tenancy = 1;
        fixtures::set_veth(&mut topology, POD1, 1400, 1500);
        let mut diagnoser = fixtures::diagnoser(topology.clone());
        diagnoser.handle_topology(SECOND, topology.clone());
        let first = told(&mut diagnoser, kind);
        let [first] = &first[..] else { panic!("one finding: {first:#?}") };
        rename(&mut topology, 0, "cart");
        for (time, uid, expected) in [(2, None, 1), (3, None, 0), (4, Some("7f3b"), 1)] {
            topology.pods[0].uid = uid.map(str::to_owned);
            diagnoser.handle_topology(time * SECOND, topology.clone());
            let again = told(&mut diagnoser, kind);
            assert_eq!(again.len(), expected, "{time}");
            for finding in again {
                assert_eq!((&finding.id, finding.state), (&first.id, State::Open));
                assert_eq!(finding.first_seen, first.first_seen);
                assert_eq!(finding.pod.map(|pod| pod.display_name()).as_deref(), Some("shop/cart"));
            }
        }
    }

    #[test]
    fn pods_that_come_and_go_behind_a_shared_joint_are_no_news() {
        let kind = Kind::PodMtuExceedsEgress;
        let mut topology = fixtures::node(1400);
        let newcomer = topology.pods.pop().expect("two pods");
        let mut diagnoser = fixtures::diagnoser(topology.clone());
        diagnoser.handle_topology(SECOND, topology.clone());
        assert_eq!(told(&mut diagnoser, kind).len(), 1);
        topology.pods.push(newcomer);
        diagnoser.handle_topology(2 * SECOND, topology.clone());
        rename(&mut topology, 1, "till");
        diagnoser.handle_topology(3 * SECOND, topology.clone());
        assert!(told(&mut diagnoser, kind).is_empty());
        rename(&mut topology, 0, "cart");
        diagnoser.handle_topology(4 * SECOND, topology);
        let again = told(&mut diagnoser, kind);
        let [again] = &again[..] else { panic!("one finding: {again:#?}") };
        let names: Vec<String> = again.pods.iter().map(|pod| pod.display_name()).collect();
        assert_eq!(names, ["shop/cart", "shop/till"]);
    }
}
