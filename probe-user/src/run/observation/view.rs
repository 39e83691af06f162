//! What of an observation can be looked at while it goes on.
use super::{Observation, Phase};
use crate::datapath::interfaces::Counted;
use crate::output::wall_clock::WallClock;
use crate::output::{AttachedInterface, Sense};
use probe_core::diagnose::Diagnoser;
use probe_core::model::Time;
use probe_core::model::size_histogram::SizeHistogram;
use probe_core::model::topology::Topology;
use std::collections::BTreeMap;

impl Observation {
    /// `start` was told.
    pub fn has_begun(&self) -> bool {
        self.phase != Phase::Beginning
    }

    /// Everything found at the start is attached.
    pub fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// When `start` was told.
    pub fn began(&self) -> Time {
        self.began
    }

    /// Packet sizes of all pods so far.
    pub fn size_histograms(&self) -> anyhow::Result<Vec<SizeHistogram>> {
        Ok(self.interfaces.size_histograms(&self.datapath, self.diagnoser.topology())?)
    }

    /// What the hooks of all interfaces counted so far.
    pub fn counted(&self) -> anyhow::Result<Vec<Counted>> {
        Ok(self.interfaces.counted(&self.datapath)?)
    }

    /// The last counts of interfaces that went since the last call.
    pub fn take_departed(&mut self) -> Vec<Counted> {
        self.interfaces.take_departed()
    }

    /// Links, routes and pods.
    pub fn topology(&self) -> &Topology {
        self.diagnoser.topology()
    }

    /// The diagnosis, to be asked what stands.
    pub fn diagnoser(&self) -> &Diagnoser {
        self.diagnoser.diagnoser()
    }

    /// Evidence that was lost so far, by name.
    pub fn lost_in_all(&self) -> BTreeMap<String, u64> {
        let mut lost = self.evidence.lost_in_all();
        lost.extend(self.diagnoser.diagnoser().forgotten().map(|(what, count)| (what.to_owned(), count)));
        lost
    }

    /// The interfaces that programs are on.
    pub fn attached_interfaces(&self) -> Vec<AttachedInterface> {
        self.attachments.attached()
    }

    /// Names of the interfaces still to come.
    pub fn pending_interfaces(&self) -> Vec<String> {
        self.attachments.pending()
    }

    /// Whether programs are on an interface since before its device was read last; `None` while that is not decided.
    pub fn is_attached(&self, ifindex: u32) -> Option<bool> {
        let attached = self.attachments.is_attached(ifindex)?;
        let is_pod = self.topology().pod_behind(ifindex).is_some();
        (!attached || !is_pod || self.hooks.is_read(ifindex, self.links_began)).then_some(attached)
    }

    /// Grows whenever links and their counters were read anew.
    pub fn links_read(&self) -> u64 {
        self.links_read
    }

    /// What can be observed.
    pub fn current_senses(&self) -> Vec<Sense> {
        self.senses(self.attachments.attached().len())
    }

    /// The clock that times are told by.
    pub fn clock(&self) -> WallClock {
        self.voice.clock()
    }
}
