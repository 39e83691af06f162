//! libcni's cache of results: a file for each network of each container, there before the runtime lists the pod and
//! gone after it.
use super::{Moment, Unavailable};
use crate::attribution::namespace_names::namespace_inode;
use probe_core::identity::{Anchor, Names, Record};
use probe_core::model::pod::PodSource;
use serde::Deserialize;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

/// libcni's own constant (`CacheDir`).
const CACHE: &str = "/var/lib/cni/results";
/// More than a node has; a bound for a broken directory.
const FILES_READ: usize = 16_384;
/// Results are a few KiB.
const MAX_BYTES: u64 = 1 << 20;

/// A file (`kind` is `cniCacheV1`). What a plugin adds is skipped.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cached {
    container_id: String,
    if_name: String,
    #[serde(default)]
    cni_args: Option<Vec<(String, String)>>,
    #[serde(default)]
    result: CachedResult,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CachedResult {
    interfaces: Vec<CachedInterface>,
    ips: Vec<CachedAddress>,
}

#[derive(Debug, Deserialize)]
struct CachedInterface {
    name: String,
    #[serde(default)]
    sandbox: Option<String>,
}

#[derive(Debug, Deserialize)]
struct CachedAddress {
    address: String,
}

/// All results.
pub(super) fn read(moment: Moment) -> Result<Vec<Record>, Unavailable> {
    let entries = match fs::read_dir(CACHE) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Unavailable::Absent(format!("no {CACHE}")));
        }
        Err(error) => {
            let why = format!("read {CACHE}: {error} (needs root or CAP_DAC_READ_SEARCH)");
            return Err(Unavailable::Silent(why));
        }
    };
    let mut records = Vec::new();
    for entry in entries.flatten().take(FILES_READ) {
        // A file may just be going, or be half written: the next reading tells.
        let metadata = entry.metadata().ok().filter(|metadata| metadata.len() <= MAX_BYTES);
        let text = metadata.as_ref().and_then(|_| fs::read(entry.path()).ok());
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(mut record) = text.and_then(|text| record(name, &text)) else { continue };
        let written = metadata.and_then(|metadata| metadata.modified().ok());
        record.anchor.created = written.and_then(|written| moment.of_wall(written));
        if let Some(path) = &record.anchor.netns {
            record.anchor.netns_inode = namespace_inode(Path::new(path));
            // The namespace is gone: this file was forgotten.
            record.anchor.ended = record.anchor.netns_inode.is_none() && !Path::new(path).exists();
        }
        records.push(record);
    }
    Ok(records)
}

fn record(file: String, text: &[u8]) -> Option<Record> {
    let cached: Cached = serde_json::from_slice(text).ok()?;
    if cached.if_name == "lo" {
        return None;
    }
    let argument = |name: &str| {
        let found = cached.cni_args.iter().flatten().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    };
    let interfaces = cached.result.interfaces.iter();
    let sandbox =
        |interface: &CachedInterface| interface.sandbox.clone().filter(|path| path.starts_with('/'));
    let outside = interfaces.clone().filter(|interface| sandbox(interface).is_none());
    let addresses = cached
        .result
        .ips
        .iter()
        .filter_map(|ip| ip.address.split('/').next().and_then(|address| address.parse::<IpAddr>().ok()));
    Some(Record {
        source: PodSource::Cni,
        id: file,
        names: Names {
            namespace: argument("K8S_POD_NAMESPACE"),
            name: argument("K8S_POD_NAME"),
            uid: argument("K8S_POD_UID"),
            container_id: Some(cached.container_id.clone()),
            ..Names::default()
        },
        anchor: Anchor {
            netns: interfaces.clone().find_map(sandbox),
            host_interfaces: outside.map(|interface| interface.name.clone()).collect(),
            addresses: addresses.collect(),
            ..Anchor::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_pods_result() {
        let text = br#"{"kind":"cniCacheV1","containerId":"c0ffee","config":"e30=","ifName":"eth0","networkName":"podnet",
            "cniArgs":[["IgnoreUnknown","1"],["K8S_POD_NAMESPACE","shop"],["K8S_POD_NAME","cart"],["K8S_POD_UID","u1"]],
            "capabilityArgs":{"portMappings":[]},
            "result":{"cniVersion":"1.0.0","dns":{},"interfaces":[{"name":"cni0","mac":"aa"},{"name":"veth1","mac":"bb"},
            {"name":"eth0","sandbox":"/var/run/netns/cni-1"}],
            "ips":[{"address":"10.244.1.2/24","gateway":"10.244.1.1","interface":2},{"address":"fd00::2/64"}],"routes":[]}}"#;
        let found = record("podnet-c0ffee-eth0".to_owned(), text).expect("a record");
        let names = &found.names;
        assert_eq!(
            (names.namespace.as_deref(), names.name.as_deref(), names.uid.as_deref()),
            (Some("shop"), Some("cart"), Some("u1"))
        );
        assert_eq!(names.container_id.as_deref(), Some("c0ffee"));
        assert_eq!(found.anchor.netns.as_deref(), Some("/var/run/netns/cni-1"));
        assert_eq!(found.anchor.host_interfaces, ["cni0", "veth1"]);
        assert_eq!(found.anchor.addresses.len(), 2);
    }

    #[test]
    fn other_forms() {
        let bare =
            br#"{"containerId":"c","ifName":"eth0","cniArgs":null,"result":{"ips":[{"address":"x"}]}}"#;
        let found = record("f".to_owned(), bare).expect("a record");
        assert_eq!((found.names.name, found.anchor.addresses.len()), (None, 0));
        for text in [&b"{"[..], b"", b"[]", br#"{"containerId":"c","ifName":"lo"}"#] {
            assert!(record("f".to_owned(), text).is_none());
        }
    }
}
