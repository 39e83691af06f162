//! Settings of network namespaces, under the names that `sysctl` has for them.
use super::mirror::Mirror;
use super::veil::Veil;
use probe_core::model::settings::{Setting, Settings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A list, as the interfaces of a topology are.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct NetnsSettings(Vec<OneNetns>);

#[derive(Debug, Serialize, Deserialize)]
struct OneNetns {
    netns_inode: u32,
    values: BTreeMap<String, u32>,
}

impl NetnsSettings {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Mirror for NetnsSettings {
    type Model = BTreeMap<u32, Settings>;

    fn of(model: &Self::Model, _veil: &mut Veil) -> Self {
        let of_one = |(&netns_inode, settings): (&u32, &Settings)| {
            let named = settings.values.iter().map(|(setting, value)| (setting.name().to_owned(), *value));
            OneNetns { netns_inode, values: named.collect() }
        };
        Self(model.iter().map(of_one).collect())
    }

    /// A setting of a later version is left out: it is unknown here.
    fn into_model(self) -> Self::Model {
        let of_one = |one: OneNetns| {
            let known =
                one.values.into_iter().filter_map(|(name, value)| Some((Setting::named(&name)?, value)));
            (one.netns_inode, Settings { values: known.collect() })
        };
        self.0.into_iter().map(of_one).collect()
    }
}
