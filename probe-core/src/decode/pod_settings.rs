//! Settings of network namespaces, as the iterator in the kernel writes them.
use crate::model::settings::{Setting, Settings};
use probe_common::pod_settings::{PodSettingsRecord, SETTINGS};
use std::collections::BTreeMap;
use zerocopy::FromBytes as _;

/// The settings in the order of [`PodSettingsRecord::values`].
const ORDER: [Setting; SETTINGS] = [
    Setting::IpNoPmtuDisc,
    Setting::IpForwardUsePmtu,
    Setting::MinPmtu,
    Setting::MtuExpires,
    Setting::MinAdvMss,
    Setting::TcpMtuProbing,
    Setting::TcpBaseMss,
    Setting::TcpMtuProbeFloor,
    Setting::TcpRetries1,
    Setting::Ipv6MtuExpires,
    Setting::Ipv6MinAdvMss,
];

/// What the running kernel's BTF tells of the values.
#[derive(Clone, Copy, Debug)]
pub struct SettingsLayout {
    /// Bytes of each value (1, 2 or 4); 0 where the kernel has none, and any other number is taken for that.
    pub widths: [u8; SETTINGS],
    /// Length of a jiffy in nanoseconds: the kernel keeps lifetimes in jiffies.
    pub tick_ns: u32,
}

/// Settings by inode of the namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetnsSettings {
    /// What was read.
    pub namespaces: BTreeMap<u32, Settings>,
    /// All namespaces of the kernel are among them.
    pub complete: bool,
}

/// Decodes what came; what follows the last record, or is cut short, is left out.
pub fn pod_settings(bytes: &[u8], layout: &SettingsLayout) -> NetnsSettings {
    let mut found = NetnsSettings::default();
    let mut rest = bytes;
    while let Ok((record, behind)) = PodSettingsRecord::read_from_prefix(rest) {
        rest = behind;
        if record.netns == 0 {
            found.complete = true;
            break;
        }
        found.namespaces.insert(record.netns, settings(&record, layout));
    }
    found
}

/// Whether the last whole record says that there are no more: no further reading is needed.
pub fn is_last_of_settings(bytes: &[u8]) -> bool {
    let mut records = bytes.chunks_exact(size_of::<PodSettingsRecord>());
    let last = records.next_back().and_then(|bytes| PodSettingsRecord::read_from_bytes(bytes).ok());
    last.is_some_and(|record| record.netns == 0)
}

fn settings(record: &PodSettingsRecord, layout: &SettingsLayout) -> Settings {
    let known = ORDER.into_iter().zip(record.values).zip(layout.widths);
    let values = known.filter_map(|((setting, bytes), width)| {
        let value = number(bytes, width)?;
        Some((setting, if is_lifetime(setting) { seconds(value, layout.tick_ns) } else { value }))
    });
    Settings { values: values.collect() }
}

fn number([a, b, c, d]: [u8; 4], width: u8) -> Option<u32> {
    match width {
        1 => Some(a.into()),
        2 => Some(u16::from_ne_bytes([a, b]).into()),
        4 => Some(u32::from_ne_bytes([a, b, c, d])),
        _ => None,
    }
}

fn is_lifetime(setting: Setting) -> bool {
    match setting {
        Setting::MtuExpires | Setting::Ipv6MtuExpires => true,
        Setting::IpNoPmtuDisc
        | Setting::IpForwardUsePmtu
        | Setting::MinPmtu
        | Setting::MinAdvMss
        | Setting::TcpMtuProbing
        | Setting::TcpBaseMss
        | Setting::TcpMtuProbeFloor
        | Setting::TcpRetries1
        | Setting::Ipv6MinAdvMss => false,
    }
}

fn seconds(jiffies: u32, tick_ns: u32) -> u32 {
    u32::try_from(u64::from(jiffies) * u64::from(tick_ns) / 1_000_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes as _;

    const LAYOUT: SettingsLayout =
        SettingsLayout { widths: [1, 1, 4, 4, 4, 1, 4, 4, 1, 4, 0], tick_ns: 4_000_000 };

    fn record(netns: u32, first: u8) -> PodSettingsRecord {
        let mut values = [[0; 4]; SETTINGS];
        // What follows a value of one byte is its neighbour's.
        values[0] = [first, 0xff, 0xff, 0xff];
        values[2] = 552_u32.to_ne_bytes();
        values[3] = 150_000_u32.to_ne_bytes();
        PodSettingsRecord { netns, values }
    }

    fn bytes(records: &[PodSettingsRecord]) -> Vec<u8> {
        records.iter().flat_map(|record| record.as_bytes().to_vec()).collect()
    }

    #[test]
    fn each_value_has_the_width_that_the_kernel_gives_it() {
        let found = pod_settings(&bytes(&[record(7, 2), record(0, 0)]), &LAYOUT);
        assert!(found.complete && is_last_of_settings(&bytes(&[record(7, 2), record(0, 0)])));
        let settings = &found.namespaces[&7];
        assert_eq!(settings.get(Setting::IpNoPmtuDisc), Some(2));
        assert_eq!(settings.get(Setting::MinPmtu), Some(552));
        assert_eq!(settings.get(Setting::MtuExpires), Some(600));
        assert_eq!(settings.get(Setting::Ipv6MinAdvMss), None, "this kernel has none");
    }

    #[test]
    fn what_is_cut_short_is_left_out_and_incomplete() {
        let mut bytes = bytes(&[record(7, 0), record(8, 1)]);
        bytes.truncate(bytes.len() - 1);
        let found = pod_settings(&bytes, &LAYOUT);
        assert_eq!(found.namespaces.keys().collect::<Vec<_>>(), [&7]);
        assert!(!found.complete && !is_last_of_settings(&bytes));
        assert_eq!(pod_settings(&[], &LAYOUT), NetnsSettings::default());
    }

    #[test]
    fn nothing_is_read_behind_the_end() {
        let found = pod_settings(&bytes(&[record(7, 0), record(0, 0), record(9, 0)]), &LAYOUT);
        assert_eq!(found.namespaces.len(), 1);
    }
}
