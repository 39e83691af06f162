//! Settings of the observed namespace and of the pods', read again and again.
use crate::attribution::shown_settings;
use crate::datapath::load::DatapathError;
use crate::datapath::pod_settings::PodSettings;
use crate::output::{Sense, SenseState};
use probe_core::model::amount::amount;
use probe_core::model::pod::Pod;
use probe_core::model::settings::{Setting, Settings};
use probe_core::model::topology::Topology;
use probe_core::model::{SECOND, Time};
use std::collections::BTreeMap;

/// The settings are read so often; it takes less than a millisecond for 150 namespaces.
const PERIOD: Time = 2 * SECOND;
/// So often where each namespace has to be entered.
const PERIOD_OF_VISITS: Time = 10 * SECOND;

/// Without these two the sense is worth little.
const ESSENTIAL: [Setting; 2] = [Setting::IpNoPmtuDisc, Setting::TcpMtuProbing];

/// Reads the settings, by whatever way there is.
#[derive(Debug)]
pub(super) struct SettingsReader {
    kernel: Result<PodSettings, DatapathError>,
    next: Time,
}

impl SettingsReader {
    pub fn new(kernel: Result<PodSettings, DatapathError>) -> Self {
        Self { kernel, next: 0 }
    }

    /// Puts the settings into a topology that has none yet.
    pub fn fill(&mut self, now: Time, topology: &mut Topology) {
        topology.settings = self.read(topology);
        self.next = now + if self.kernel.is_ok() { PERIOD } else { PERIOD_OF_VISITS };
    }

    /// The topology with new settings, if it is time to look and they changed.
    pub fn look(&mut self, now: Time, topology: &Topology) -> Option<Topology> {
        if now < self.next {
            return None;
        }
        self.next = now + if self.kernel.is_ok() { PERIOD } else { PERIOD_OF_VISITS };
        let settings = self.read(topology);
        (settings != topology.settings).then(|| Topology { settings, ..topology.clone() })
    }

    fn read(&self, topology: &Topology) -> BTreeMap<u32, Settings> {
        let pods = topology.pods.iter().filter_map(|pod| Some((pod.netns_inode?, Some(pod))));
        let wanted = pods.chain([(topology.netns_inode, None)]);
        match &self.kernel {
            Ok(kernel) => match kernel.read() {
                Ok(mut found) if found.complete => {
                    wanted.filter_map(|(inode, _)| Some((inode, found.namespaces.remove(&inode)?))).collect()
                }
                // The kernel has no memory to spare, say: what was known stands.
                Ok(_) | Err(_) => topology.settings.clone(),
            },
            Err(_) => wanted.filter_map(|(inode, pod)| Some((inode, shown_settings(pod)?))).collect(),
        }
    }

    /// What `start` says of it.
    pub fn sense(&self, topology: &Topology) -> Sense {
        let (state, why) = self.state(topology);
        Sense { name: "pod_settings".into(), state, why }
    }

    fn state(&self, topology: &Topology) -> (SenseState, Option<String>) {
        let known = topology.settings.values();
        let lacks = ESSENTIAL.iter().find(|&&setting| known.clone().any(|all| all.get(setting).is_none()));
        let without = topology.pods.iter().filter(|pod| topology.settings_of(Some(pod)).is_none());
        let without: Vec<&Pod> = without.collect();
        match (&self.kernel, lacks, without.first()) {
            (_, Some(lacking), _) => {
                (SenseState::Degraded, Some(format!("this kernel does not show {}", lacking.name())))
            }
            (Ok(_), None, None) => (SenseState::Works, None),
            (Ok(_), None, Some(pod)) => {
                let (count, name) = (amount(without.len() as u64, "pod"), pod.display_name());
                let why = format!("the network namespaces of {count} are not known by number: {name} …");
                (SenseState::Degraded, Some(why))
            }
            (Err(why), None, None) => {
                (SenseState::Degraded, Some(format!("read in each namespace every ten seconds: {why}")))
            }
            (Err(why), None, Some(_)) => (SenseState::Missing, Some(why.to_string())),
        }
    }
}
