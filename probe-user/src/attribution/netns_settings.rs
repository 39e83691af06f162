//! Settings of a network namespace as `/proc/sys` shows them: the second best source, which has to enter the namespace.
use super::pod_namespace;
use crate::datapath::links::visit;
use probe_core::model::pod::Pod;
use probe_core::model::settings::{Setting, Settings};
use std::fs;
use std::path::Path;

/// The settings of a pod's namespace (`CAP_SYS_ADMIN`), or of ours. `None` if it cannot be entered.
pub fn shown_settings(pod: Option<&Pod>) -> Option<Settings> {
    let Some(pod) = pod else { return Some(read()) };
    visit(&pod_namespace(pod)?, read).ok()
}

/// `/proc/sys/net` is that of the thread that looks.
fn read() -> Settings {
    let value = |setting: Setting| {
        let path = Path::new("/proc/sys").join(setting.name().replace('.', "/"));
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    Settings { values: Setting::ALL.iter().filter_map(|&setting| Some((setting, value(setting)?))).collect() }
}
