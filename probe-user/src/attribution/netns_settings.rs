//! Settings of a network namespace as `/proc/sys` shows them: the second best source, which has to enter the namespace.
use super::processes;
use crate::datapath::links::visit;
use probe_core::model::pod::Pod;
use probe_core::model::settings::{Setting, Settings};
use std::fs::{self, File};
use std::path::Path;

/// The settings of a pod's namespace (`CAP_SYS_ADMIN`), or of ours. `None` if it cannot be entered.
pub fn shown_settings(pod: Option<&Pod>) -> Option<Settings> {
    let Some(pod) = pod else { return Some(read()) };
    let process = pod.pid.filter(|&pid| processes::network_namespace(pid) == pod.netns_inode);
    let by_process = process.map(|pid| format!("/proc/{pid}/ns/net"));
    let file = pod.netns.iter().chain(&by_process).find_map(|path| File::open(path).ok())?;
    visit(&file, read).ok()
}

/// `/proc/sys/net` is that of the thread that looks.
fn read() -> Settings {
    let value = |setting: Setting| {
        let path = Path::new("/proc/sys").join(setting.name().replace('.', "/"));
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    Settings { values: Setting::ALL.iter().filter_map(|&setting| Some((setting, value(setting)?))).collect() }
}
