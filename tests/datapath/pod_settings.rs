//! The iterator program that reads the settings of all network namespaces.
use crate::{
    elsewhere::{Elsewhere, keep_three_capabilities},
    hook::with_hook,
};
use probe_core::model::settings::{Discovery, Setting};
use std::{collections::BTreeMap, fs, path::PathBuf, thread};

/// Namespaces that take more than one object of the iterator.
const MANY: usize = 150;

fn path(setting: Setting) -> PathBuf {
    PathBuf::from("/proc/sys").join(setting.name().replace('.', "/"))
}

/// What the calling thread's namespace shows under `/proc/sys`.
fn shown() -> BTreeMap<Setting, u32> {
    let value = |setting| fs::read_to_string(path(setting)).ok()?.trim().parse().ok();
    Setting::ALL.iter().filter_map(|&setting| Some((setting, value(setting)?))).collect()
}

#[test]
fn every_namespace_is_read_with_three_capabilities() {
    with_hook(false, |hook| {
        let pod = Elsewhere::new();
        pod.run(|| {
            for (setting, value) in [
                (Setting::IpNoPmtuDisc, "2"),
                (Setting::MinPmtu, "1000"),
                (Setting::MtuExpires, "77"),
                (Setting::TcpMtuProbing, "1"),
                (Setting::TcpBaseMss, "900"),
                (Setting::Ipv6MtuExpires, "88"),
            ] {
                fs::write(path(setting), value).unwrap_or_else(|error| panic!("{}: {error}", setting.name()));
            }
        });
        let others: Vec<Elsewhere> = (0..MANY).map(|_| Elsewhere::new()).collect();
        let reader = hook.datapath.take_pod_settings().unwrap_or_else(|error| panic!("{error}"));
        let found = thread::scope(|scope| {
            let reading = scope.spawn(|| {
                keep_three_capabilities();
                reader.read().unwrap()
            });
            reading.join().unwrap()
        });
        assert!(found.complete);
        let inside = &found.namespaces[&pod.netns];
        assert_eq!(inside.values, pod.run(shown));
        assert_eq!(inside.discovery(), Some(Discovery::IgnoresErrors));
        assert_eq!(inside.get(Setting::MtuExpires), Some(77));
        let ours = &found.namespaces[&hook.network.netns];
        assert_eq!(ours.values, shown());
        assert_eq!(ours.values.len(), Setting::ALL.len(), "kernels since 6.1 have all: {ours:?}");
        for other in &others {
            assert_eq!(
                found.namespaces.get(&other.netns).and_then(|them| them.discovery()),
                Some(Discovery::On)
            );
        }
        drop(others);
        pod.run(|| fs::write(path(Setting::IpNoPmtuDisc), "3").unwrap());
        let later = reader.read().unwrap();
        assert_eq!(later.namespaces[&pod.netns].discovery(), Some(Discovery::AcceptsVerified));
    });
}
