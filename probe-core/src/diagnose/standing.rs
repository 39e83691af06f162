//! Findings that stand without packets: mismatches, which give way to the finding about the packets that meet them, and
//! path MTUs that nothing explains.
use super::exceptions::suspicion::Circumstances;
use super::fault::{Fault, FaultKey, Joint};
use super::latent::{self, Mismatch};
use super::{Diagnoser, FORGET, Output, causes, publish};
use crate::model::Time;
use crate::model::finding::{Finding, Kind, State};
use crate::model::topology::Topology;
use std::collections::BTreeMap;

/// What was told of a mismatch.
#[derive(Debug)]
pub(super) struct ToldMismatch {
    finding: Finding,
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
            let known =
                self.latent.get(&id).map(|told| &told.finding).filter(|known| known.state == State::Open);
            let is_news =
                known.is_none_or(|known| known.severity != finding.severity || known.title != finding.title);
            if let Some(known) = known {
                finding.first_seen = known.first_seen;
            }
            // That pods come and go behind a shared joint changes its finding, and is no news.
            if is_news {
                self.output.push_back(Output::Finding(finding.clone()));
            }
            self.latent.insert(id, ToldMismatch { finding, is_met: false });
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
