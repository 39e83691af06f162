//! The CRI socket of containerd or CRI-O: names, labels and containers of all pods, and where their namespaces are.
mod client;
pub mod messages;

use super::{Moment, Unavailable, process_anchor};
use crate::attribution::namespace_names::namespace_inode;
pub use client::Client;
use client::PATIENCE;
use messages::{
    ListContainersRequest, ListContainersResponse, ListPodSandboxRequest, ListPodSandboxResponse, PodSandbox,
    PodSandboxStatusRequest, PodSandboxStatusResponse,
};
use probe_core::identity::{Anchor, Names, Record};
use probe_core::model::pod::{Container, PodSource};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use tonic::{Code, Status};

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
        let sockets = match self.client.take() {
            Some((socket, client)) => return self.ask_at(socket, client, moment).await,
            None => self.sockets()?,
        };
        self.details.clear();
        let mut silent = None;
        // Not everybody who listens at such a place speaks CRI: Docker's containerd does not.
        for socket in sockets {
            let answer = match Client::connect(&socket).await {
                Ok(client) => self.ask_at(socket, client, moment).await,
                Err(error) => {
                    let mut why = format!("connect to {}: {}", socket.display(), reason(&error));
                    if is_refused(&error) {
                        why.push_str(" (needs root, or the socket's group)");
                    }
                    Err(Unavailable::Silent(why))
                }
            };
            match answer {
                Ok(records) => return Ok(records),
                Err(why) => {
                    silent.get_or_insert(why);
                }
            }
        }
        Err(silent.unwrap_or_else(|| {
            let why = "no socket of a container runtime at the usual places (--cri-socket names another)";
            Unavailable::Absent(why.to_owned())
        }))
    }

    /// The next round connects anew if this one fails: the runtime may be started again.
    async fn ask_at(
        &mut self,
        socket: PathBuf,
        mut client: Client,
        moment: Moment,
    ) -> Result<Vec<Record>, Unavailable> {
        match self.read(&mut client, moment).await {
            Ok(records) => {
                self.client = Some((socket, client));
                Ok(records)
            }
            Err(status) => Err(Unavailable::Silent(format!("{}: {}", socket.display(), said(&status)))),
        }
    }

    /// Where somebody may listen.
    fn sockets(&self) -> Result<Vec<PathBuf>, Unavailable> {
        let Some(given) = &self.given else {
            return Ok(SOCKETS.map(PathBuf::from).into_iter().filter(|socket| socket.exists()).collect());
        };
        let why = match fs::metadata(given) {
            Ok(metadata) if metadata.file_type().is_socket() => return Ok(vec![given.clone()]),
            Ok(_) => format!("{} is not a socket (--cri-socket)", given.display()),
            Err(error) => format!("no socket {} (--cri-socket): {error}", given.display()),
        };
        Err(Unavailable::Silent(why))
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

/// What a runtime answered instead, for a person.
fn said(status: &Status) -> String {
    let (code, message) = (status.code(), status.message());
    if code == Code::Cancelled || code == Code::DeadlineExceeded {
        format!("no answer within {PATIENCE:?}")
    } else if code == Code::Unimplemented {
        format!("it does not speak CRI v1, or that part of it is switched off: {message}")
    } else {
        format!("{code:?}: {message}")
    }
}

/// Whether the socket's mode keeps us out.
fn is_refused(error: &(dyn Error + 'static)) -> bool {
    let is_it = error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    is_it || error.source().is_some_and(is_refused)
}

/// The innermost cause: `transport error` helps nobody.
fn reason(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of CRI-O 1.33, without what is not read.
    const CRI_O: &str = r#"{"runtimeSpec":{"ociVersion":"1.2.1","process":{"args":["/pause"],"oomScoreAdj":-998},
        "hostname":"cart","annotations":{"io.kubernetes.cri-o.Name":"k8s_cart_shop_7f3b1c52-0f6e-4a57-9c1e-2f4b6d8e0a2c_0",
        "io.kubernetes.container.name":"POD"},"linux":{"namespaces":[{"type":"pid"},
        {"type":"network","path":"/var/run/netns/b795d41b-c9e7-4be2-be61-cb6f193d7795"},
        {"type":"ipc","path":"/var/run/ipcns/b795d41b-c9e7-4be2-be61-cb6f193d7795"},
        {"type":"uts","path":"/var/run/utsns/b795d41b-c9e7-4be2-be61-cb6f193d7795"},{"type":"mount"}],
        "cgroupsPath":"/kubepods/pod7f3b1c52-0f6e-4a57-9c1e-2f4b6d8e0a2c/crio-03034360e0f567a4eb8d79893c31acf2"}}}"#;

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

    /// CRI-O starts no process for a sandbox that needs none, and tells neither of one nor of CNI's result.
    #[test]
    fn what_cri_o_says() {
        let response = PodSandboxStatusResponse {
            status: Some(messages::PodSandboxStatus {
                network: Some(messages::PodSandboxNetworkStatus {
                    ip: "10.85.0.6".to_owned(),
                    additional_ips: vec![messages::PodIp { ip: "1100:200::2".to_owned() }],
                }),
                ..Default::default()
            }),
            info: [("info".to_owned(), CRI_O.to_owned())].into(),
        };
        let found = detail(&response);
        assert_eq!(found.netns.as_deref(), Some("/var/run/netns/b795d41b-c9e7-4be2-be61-cb6f193d7795"));
        assert_eq!((found.pid, found.host_network), (None, false));
        assert_eq!((found.host_interfaces.len(), found.addresses.len()), (0, 2));
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
