//! The CRI socket of containerd or CRI-O: names, labels and containers of all pods, and where their namespaces are.
mod client;
pub mod messages;

use super::{Moment, Unavailable, process_anchor};
use crate::attribution::namespace_names::namespace_inode;
pub use client::Client;
use messages::{
    ListContainersRequest, ListContainersResponse, ListPodSandboxRequest, ListPodSandboxResponse, PodSandbox,
    PodSandboxStatusRequest, PodSandboxStatusResponse,
};
use probe_core::identity::{Anchor, Names, Record};
use probe_core::model::pod::{Container, PodSource};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use tonic::Status;

/// Where runtimes listen: containerd, CRI-O, k3s, MicroK8s, k0s, and Docker's adapter.
const SOCKETS: [&str; 6] = [
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/k3s/containerd/containerd.sock",
    "/var/snap/microk8s/common/run/containerd.sock",
    "/run/k0s/containerd.sock",
    "/run/cri-dockerd.sock",
];
/// Sandboxes asked about one by one in a round; the rest follows in the next.
const ASKED_AT_A_TIME: usize = 256;
/// `SANDBOX_READY`
const READY: i32 = 0;
/// `CONTAINER_EXITED`
const EXITED: i32 = 2;
/// `NODE`: the host's network.
const OF_NODE: i32 = 2;

/// A runtime, and what it said of each sandbox.
#[derive(Debug)]
pub struct Cri {
    given: Option<PathBuf>,
    client: Option<(PathBuf, Client)>,
    details: HashMap<String, Detail>,
}

/// What does not change as long as a sandbox lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Detail {
    host_network: bool,
    netns: Option<String>,
    pid: Option<u32>,
    host_interfaces: Vec<String>,
    addresses: Vec<IpAddr>,
}

/// What the runtime knows beyond the protocol; each runtime tells what it likes.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Info {
    pid: Option<u32>,
    runtime_spec: Option<RuntimeSpec>,
    cni_result: Option<CniResult>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RuntimeSpec {
    linux: Option<Linux>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Linux {
    namespaces: Vec<LinuxNamespace>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LinuxNamespace {
    #[serde(rename = "type")]
    kind: String,
    path: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct CniResult {
    interfaces: BTreeMap<String, Option<CniInterface>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct CniInterface {
    sandbox: String,
}

impl Cri {
    pub fn new(given: Option<PathBuf>) -> Self {
        Self { given, client: None, details: HashMap::new() }
    }

    /// All sandboxes; those on the host's network have nothing that a network namespace could be recognized by.
    pub async fn ask(&mut self, moment: Moment) -> Result<Vec<Record>, Unavailable> {
        if self.client.is_none() {
            self.client = Some(self.connect().await?);
            self.details.clear();
        }
        let Some((socket, mut client)) = self.client.take() else { return Ok(Vec::new()) };
        match self.read(&mut client, moment).await {
            Ok(records) => {
                self.client = Some((socket, client));
                Ok(records)
            }
            // The next round connects anew: the runtime may have been started again.
            Err(status) => {
                let message = status.message();
                Err(Unavailable::Silent(format!("{}: {:?}: {message}", socket.display(), status.code())))
            }
        }
    }

    async fn connect(&self) -> Result<(PathBuf, Client), Unavailable> {
        let usual = SOCKETS.map(PathBuf::from);
        let sockets: &[PathBuf] = self.given.as_ref().map_or(&usual, std::slice::from_ref);
        let mut silent = None;
        for socket in sockets.iter().filter(|socket| socket.exists()) {
            match Client::connect(socket).await {
                Ok(client) => return Ok((socket.clone(), client)),
                Err(error) => {
                    let why = reason(&error);
                    silent.get_or_insert(format!("connect to {}: {why}", socket.display()));
                }
            }
        }
        Err(match (silent, &self.given) {
            (Some(why), _) => Unavailable::Silent(why),
            (None, Some(given)) => Unavailable::Silent(format!("no socket {}", given.display())),
            (None, None) => Unavailable::Absent(
                "no socket of a container runtime at the usual places (--cri-socket names another)"
                    .to_owned(),
            ),
        })
    }

    async fn read(&mut self, client: &mut Client, moment: Moment) -> Result<Vec<Record>, Status> {
        let sandboxes: ListPodSandboxResponse =
            client.call("ListPodSandbox", ListPodSandboxRequest {}).await?;
        let listed: ListContainersResponse = client.call("ListContainers", ListContainersRequest {}).await?;
        let mut containers: HashMap<String, Vec<Container>> = HashMap::new();
        for container in listed.containers.into_iter().filter(|container| container.state != EXITED) {
            let name = container.metadata.map(|metadata| metadata.name).unwrap_or_default();
            let found = containers.entry(container.pod_sandbox_id).or_default();
            found.push(Container { name, id: container.id });
        }
        let alive: BTreeSet<&String> = sandboxes.items.iter().map(|sandbox| &sandbox.id).collect();
        self.details.retain(|id, _| alive.contains(id));
        let unknown = sandboxes.items.iter().filter(|sandbox| !self.details.contains_key(&sandbox.id));
        let unknown: Vec<String> = unknown.map(|sandbox| sandbox.id.clone()).take(ASKED_AT_A_TIME).collect();
        for id in unknown {
            let request = PodSandboxStatusRequest { pod_sandbox_id: id.clone(), verbose: true };
            // It may just have been removed.
            if let Ok(status) = client.call("PodSandboxStatus", request).await {
                self.details.insert(id, detail(&status));
            }
        }
        let records = sandboxes.items.into_iter().filter_map(|sandbox| {
            let detail = self.details.get(&sandbox.id)?;
            let containers = containers.remove(&sandbox.id).unwrap_or_default();
            let mut record = record(sandbox, detail, containers, moment);
            if detail.host_network {
                record.anchor = Anchor { ended: record.anchor.ended, ..Anchor::default() };
            }
            Some(record)
        });
        Ok(records.collect())
    }
}

fn record(sandbox: PodSandbox, detail: &Detail, mut containers: Vec<Container>, moment: Moment) -> Record {
    let (pid, by_process) = detail.pid.map_or((None, None), |pid| process_anchor(pid, &sandbox.id));
    let by_file = detail.netns.as_deref().and_then(|path| namespace_inode(Path::new(path)));
    let metadata = sandbox.metadata.unwrap_or_default();
    let known = |text: String| Some(text).filter(|text| !text.is_empty());
    containers.sort();
    Record {
        source: PodSource::Cri,
        names: Names {
            namespace: known(metadata.namespace),
            name: known(metadata.name),
            uid: known(metadata.uid),
            container_id: Some(sandbox.id.clone()),
            containers,
            labels: sandbox.labels.into_iter().filter(|(key, _)| !is_of_runtime(key)).collect(),
            owner: None,
        },
        id: sandbox.id,
        anchor: Anchor {
            netns: detail.netns.clone(),
            netns_inode: by_file.or(by_process),
            pid,
            host_interfaces: detail.host_interfaces.clone(),
            addresses: detail.addresses.clone(),
            created: u64::try_from(sandbox.created_at)
                .ok()
                .and_then(|since| moment.of_wall(UNIX_EPOCH + Duration::from_nanos(since))),
            ended: sandbox.state != READY,
        },
    }
}

/// What the kubelet adds to a pod's labels: its names once more.
fn is_of_runtime(key: &str) -> bool {
    key.starts_with("io.kubernetes.")
}

fn detail(response: &PodSandboxStatusResponse) -> Detail {
    let info: Info =
        response.info.get("info").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let namespaces = info.runtime_spec.and_then(|spec| spec.linux).map(|linux| linux.namespaces);
    let namespaces = namespaces.unwrap_or_default();
    let netns = namespaces.into_iter().find(|namespace| namespace.kind == "network");
    let status = response.status.clone().unwrap_or_default();
    let options = status.linux.and_then(|linux| linux.namespaces).and_then(|namespaces| namespaces.options);
    let network = status.network.unwrap_or_default();
    let addresses = std::iter::once(network.ip).chain(network.additional_ips.into_iter().map(|more| more.ip));
    let interfaces = info.cni_result.unwrap_or_default().interfaces;
    let outside = interfaces.into_iter().filter(|(name, interface)| {
        name != "lo" && interface.as_ref().is_none_or(|interface| interface.sandbox.is_empty())
    });
    Detail {
        host_network: options.is_some_and(|options| options.network == OF_NODE),
        netns: netns.and_then(|namespace| namespace.path).filter(|path| !path.is_empty()),
        pid: info.pid.filter(|&pid| pid != 0),
        host_interfaces: outside.map(|(name, _)| name).collect(),
        addresses: addresses.filter_map(|address| address.parse().ok()).collect(),
    }
}

/// The innermost cause: `transport error` helps nobody.
fn reason(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(info: &str) -> Detail {
        detail(&PodSandboxStatusResponse {
            status: None,
            info: [("info".to_owned(), info.to_owned())].into(),
        })
    }

    #[test]
    fn what_containerd_adds() {
        let found = status(
            r#"{"pid":4711,"processStatus":"running","runtimeSpec":{"linux":{"namespaces":[{"type":"pid"},
            {"type":"network","path":"/var/run/netns/cni-1"}]}},
            "cniResult":{"Interfaces":{"eth0":{"IPConfigs":[{"IP":"10.0.0.2"}],"Mac":"a","Sandbox":"/var/run/netns/cni-1"},
            "veth1":{"IPConfigs":null,"Mac":"b","Sandbox":""},"lo":{"Sandbox":"/var/run/netns/cni-1"}},"DNS":[{}]}}"#,
        );
        assert_eq!((found.pid, found.netns.as_deref()), (Some(4711), Some("/var/run/netns/cni-1")));
        assert_eq!(found.host_interfaces, ["veth1"]);
    }

    #[test]
    fn what_others_leave_out() {
        for info in ["", "{}", "[]", r#"{"pid":0,"runtimeSpec":null,"cniResult":null}"#] {
            assert_eq!(status(info), Detail::default(), "{info}");
        }
        let node = NodeNetwork.response();
        assert!(detail(&node).host_network);
    }

    struct NodeNetwork;

    impl NodeNetwork {
        fn response(&self) -> PodSandboxStatusResponse {
            use messages::{LinuxPodSandboxStatus, Namespace, NamespaceOption, PodSandboxStatus};
            let options = Some(NamespaceOption { network: OF_NODE });
            let linux = Some(LinuxPodSandboxStatus { namespaces: Some(Namespace { options }) });
            let status = Some(PodSandboxStatus { linux, ..Default::default() });
            PodSandboxStatusResponse { status, ..Default::default() }
        }
    }
}
