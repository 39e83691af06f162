//! Counters that a network namespace keeps itself: what its own IP and TCP did with packets and ICMP errors.
use super::processes;
use crate::datapath::links::visit;
use probe_core::diagnose::NetnsCounters;
use probe_core::model::pod::{Pod, PodKey};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Why a namespace's counters could not be read.
#[derive(Debug, thiserror::Error)]
pub enum NetnsCountersError {
    /// Neither a process in it nor a file of it is known.
    #[error("counters of pod {pod}: no process in its network namespace is known")]
    Unreachable {
        /// The pod.
        pod: String,
    },
    /// The kernel refused.
    #[error("counters of {object}: {source}")]
    Unreadable {
        /// Whose.
        object: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Reads counters and remembers where each namespace's began.
#[derive(Debug, Default)]
pub struct CounterReader {
    first: BTreeMap<PodKey, BTreeMap<String, u64>>,
}

impl CounterReader {
    /// The counters of a pod's namespace, or of ours, since this reader first read them.
    pub fn read(&mut self, pod: Option<&Pod>) -> Result<NetnsCounters, NetnsCountersError> {
        let values = match pod {
            Some(pod) => read_pod(pod)?,
            // Never /proc/self: a namespace belongs to a thread.
            None => read_directory(Path::new("/proc/thread-self/net")).map_err(|source| {
                NetnsCountersError::Unreadable { object: "our namespace".to_owned(), source }
            })?,
        };
        let first = self.first.entry(pod.map_or(PodKey::Node, Pod::key)).or_insert_with(|| values.clone());
        Ok(NetnsCounters {
            pod_host_ifindex: pod.and_then(|pod| pod.host_ifindex),
            values: since(first, values),
        })
    }

    /// Forgets the pods that are gone.
    pub fn keep(&mut self, pods: &[Pod]) {
        let alive: BTreeSet<PodKey> = pods.iter().map(Pod::key).chain([PodKey::Node]).collect();
        self.first.retain(|key, _| alive.contains(key));
    }
}

fn since(first: &BTreeMap<String, u64>, mut values: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    for (name, value) in &mut values {
        *value = value.saturating_sub(first.get(name).copied().unwrap_or(0));
    }
    values
}

fn read_pod(pod: &Pod) -> Result<BTreeMap<String, u64>, NetnsCountersError> {
    let unreadable =
        |source| NetnsCountersError::Unreadable { object: format!("pod {}", pod.display_name()), source };
    if let Some(pid) = pod.pid.filter(|&pid| is_still_there(pid, pod.netns_inode)) {
        return read_directory(&PathBuf::from(format!("/proc/{pid}/net"))).map_err(unreadable);
    }
    let path =
        pod.netns.as_ref().ok_or_else(|| NetnsCountersError::Unreachable { pod: pod.display_name() })?;
    let namespace = File::open(path).map_err(unreadable)?;
    visit(&namespace, || read_directory(Path::new("/proc/thread-self/net"))).flatten().map_err(unreadable)
}

/// The number may be another process's by now; where its namespace cannot be seen, it is taken to be the same.
fn is_still_there(pid: u32, inode: Option<u32>) -> bool {
    match (processes::network_namespace(pid), inode) {
        (Some(found), Some(inode)) => found == inode,
        _ => true,
    }
}

fn read_directory(directory: &Path) -> io::Result<BTreeMap<String, u64>> {
    let mut values = BTreeMap::new();
    let read = |name: &str| fs::read_to_string(directory.join(name));
    parse_paired_lines(&read("snmp")?, &mut values);
    // Without IPv6 or TCP extensions these are missing.
    parse_paired_lines(&read("netstat").unwrap_or_default(), &mut values);
    parse_names_and_values(&read("snmp6").unwrap_or_default(), &mut values);
    parse_devices(&read("dev")?, &mut values);
    Ok(values)
}

/// `snmp`, `netstat`: a line of names and a line of values, both led by the protocol: `IpFragFails`,
/// `TcpExtOutOfWindowIcmps`.
fn parse_paired_lines(text: &str, values: &mut BTreeMap<String, u64>) {
    let mut lines = text.lines();
    while let (Some(names), Some(numbers)) = (lines.next(), lines.next()) {
        let (Some((protocol, names)), Some((_, numbers))) = (names.split_once(':'), numbers.split_once(':'))
        else {
            continue;
        };
        for (name, number) in names.split_whitespace().zip(numbers.split_whitespace()) {
            // Settings among them may be negative (`TcpMaxConn`): they are no counters.
            if let Ok(number) = number.parse() {
                values.insert(format!("{protocol}{name}"), number);
            }
        }
    }
}

/// `snmp6`: one name and value a line: `Icmp6InPktTooBigs`.
fn parse_names_and_values(text: &str, values: &mut BTreeMap<String, u64>) {
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(Ok(number))) = (words.next(), words.next().map(str::parse)) {
            values.insert(name.to_owned(), number);
        }
    }
}

/// Columns of `dev` that tell of lost packets.
const DEVICE_COLUMNS: [(usize, &str); 4] =
    [(2, "rx_errors"), (3, "rx_dropped"), (10, "tx_errors"), (11, "tx_dropped")];

/// `dev`: a line for each device: `Dev:eth0:tx_dropped`.
fn parse_devices(text: &str, values: &mut BTreeMap<String, u64>) {
    for line in text.lines().skip(2) {
        let Some((device, columns)) = line.split_once(':') else { continue };
        let columns: Vec<&str> = columns.split_whitespace().collect();
        for (column, name) in DEVICE_COLUMNS {
            if let Some(Ok(number)) = columns.get(column).map(|number| number.parse()) {
                values.insert(format!("Dev:{}:{name}", device.trim()), number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_led_by_their_protocol() {
        let mut values = BTreeMap::new();
        parse_paired_lines(
            "Ip: Forwarding FragFails\nIp: 1 7\nTcp: MaxConn RetransSegs\nTcp: -1 3\nTcpExt: OutOfWindowIcmps\nTcpExt: 2\n",
            &mut values,
        );
        parse_names_and_values("Icmp6InPktTooBigs               \t5\nbroken\n", &mut values);
        parse_devices(
            "Inter-|   Receive\n face |bytes\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n",
            &mut values,
        );
        let expected = [
            ("Dev:eth0:rx_dropped", 4),
            ("Dev:eth0:rx_errors", 3),
            ("Dev:eth0:tx_dropped", 12),
            ("Dev:eth0:tx_errors", 11),
            ("Icmp6InPktTooBigs", 5),
            ("IpForwarding", 1),
            ("IpFragFails", 7),
            ("TcpExtOutOfWindowIcmps", 2),
            ("TcpRetransSegs", 3),
        ];
        assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value)).into());
    }

    #[test]
    fn our_own_counters_begin_at_zero() {
        let mut reader = CounterReader::default();
        let counters = reader.read(None).unwrap();
        assert_eq!(counters.pod_host_ifindex, None);
        assert!(counters.values.contains_key("IpFragFails"));
        assert!(counters.values.values().all(|&value| value == 0));
    }
}
