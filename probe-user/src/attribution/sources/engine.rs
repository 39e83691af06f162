//! Docker and Podman, over the sockets of their services.
use super::{Moment, Unavailable, process_anchor};
use crate::attribution::namespace_names::namespace_inode;
use crate::http_client::{Connection, HttpError};
use probe_core::identity::{Anchor, Names, Record};
use probe_core::model::pod::{Container, PodSource};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// An engine that takes longer is as good as silent.
const PATIENCE: Duration = Duration::from_secs(2);
/// Docker's containers asked about one by one in a round; the rest follows in the next.
const ASKED_AT_A_TIME: usize = 128;

/// Labels of Docker's adapter for the kubelet.
const KUBERNETES: [&str; 3] =
    ["io.kubernetes.pod.namespace", "io.kubernetes.pod.name", "io.kubernetes.pod.uid"];

/// A container engine.
#[derive(Debug)]
pub struct Engine {
    source: PodSource,
    socket: &'static str,
    details: HashMap<String, Inspected>,
}

/// An entry of Docker's list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

/// What Docker says of one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Inspected {
    state: State,
    host_config: HostConfig,
    network_settings: NetworkSettings,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct State {
    pid: u32,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct HostConfig {
    network_mode: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct NetworkSettings {
    sandbox_key: String,
}

/// An entry of Podman's own list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Podman {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pid: u32,
    #[serde(default)]
    pod: String,
    #[serde(default)]
    pod_name: String,
    #[serde(default)]
    is_infra: bool,
}

impl Engine {
    /// Docker.
    pub fn docker() -> Self {
        Self { source: PodSource::Docker, socket: "/run/docker.sock", details: HashMap::new() }
    }

    /// Podman.
    pub fn podman() -> Self {
        Self { source: PodSource::Podman, socket: "/run/podman/podman.sock", details: HashMap::new() }
    }

    /// All containers with a network of their own.
    pub async fn ask(&mut self, _moment: Moment) -> Result<Vec<Record>, Unavailable> {
        let socket = self.socket;
        if !Path::new(socket).exists() {
            return Err(Unavailable::Absent(format!("no {socket}")));
        }
        match timeout(PATIENCE, self.read()).await {
            Ok(result) => result.map_err(|error| Unavailable::Silent(format!("{socket}: {error}"))),
            Err(_) => Err(Unavailable::Silent(format!("{socket}: no answer within {PATIENCE:?}"))),
        }
    }

    async fn read(&mut self) -> Result<Vec<Record>, HttpError> {
        let stream = match UnixStream::connect(self.socket).await {
            Ok(stream) => stream,
            Err(error) => return Err(HttpError::unreachable("connect", error)),
        };
        let mut connection = Connection::open(stream, "localhost").await?;
        if self.source == PodSource::Podman {
            let listed: Vec<Podman> = connection.get_json("/v4.0.0/libpod/containers/json", None).await?;
            return Ok(podman_records(listed));
        }
        let listed: Vec<Listed> = connection.get_json("/containers/json", None).await?;
        let alive: BTreeSet<&String> = listed.iter().map(|container| &container.id).collect();
        self.details.retain(|id, _| alive.contains(id));
        let unknown = listed.iter().filter(|container| !self.details.contains_key(&container.id));
        let unknown: Vec<String> =
            unknown.map(|container| container.id.clone()).take(ASKED_AT_A_TIME).collect();
        for id in unknown {
            match connection.get_json(&format!("/containers/{id}/json"), None).await {
                Ok(inspected) => {
                    self.details.insert(id, inspected);
                }
                // It may just have been removed.
                Err(HttpError::Status { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let details = &self.details;
        Ok(listed.into_iter().filter_map(|listed| docker_record(details.get(&listed.id)?, listed)).collect())
    }
}

fn docker_record(inspected: &Inspected, listed: Listed) -> Option<Record> {
    let mode = inspected.host_config.network_mode.as_str();
    if mode == "none" || mode.starts_with("container:") {
        return None;
    }
    let mut labels = listed.labels.unwrap_or_default();
    let [namespace, pod, uid] = KUBERNETES.map(|label| labels.remove(label));
    let own = listed.names.into_iter().flatten().next();
    let own = own.map(|name| name.trim_start_matches('/').to_owned());
    let (pid, by_process) = process_anchor(inspected.state.pid, &listed.id);
    let file = Some(inspected.network_settings.sandbox_key.clone()).filter(|path| !path.is_empty());
    let by_file = file.as_deref().and_then(|path| namespace_inode(Path::new(path)));
    let anchor = match mode {
        // Nothing of the network is its own; its sockets are told by its control group.
        "host" => Anchor::default(),
        _ => Anchor { netns: file, netns_inode: by_file.or(by_process), pid, ..Anchor::default() },
    };
    Some(Record {
        source: PodSource::Docker,
        names: Names {
            namespace,
            name: pod.or(own),
            uid,
            container_id: Some(listed.id.clone()),
            labels,
            ..Names::default()
        },
        id: listed.id,
        anchor,
    })
}

/// The containers of a pod share its infrastructure container's network.
fn podman_records(mut listed: Vec<Podman>) -> Vec<Record> {
    listed.sort_by(|a, b| a.id.cmp(&b.id));
    let name = |listed: &Podman| listed.names.iter().flatten().next().cloned();
    let members = |pod: &str| {
        let others = listed.iter().filter(|other| !other.is_infra && other.pod == pod);
        others
            .map(|other| Container { name: name(other).unwrap_or_default(), id: other.id.clone() })
            .collect()
    };
    let holders = listed.iter().filter(|container| container.is_infra || container.pod.is_empty());
    let record = |holder: &Podman| {
        let (pid, inode) = process_anchor(holder.pid, &holder.id);
        let pod = Some(holder.pod_name.clone()).filter(|name| !name.is_empty());
        Record {
            source: PodSource::Podman,
            id: holder.id.clone(),
            names: Names {
                name: pod.or_else(|| name(holder)),
                container_id: Some(holder.id.clone()),
                containers: if holder.is_infra { members(&holder.pod) } else { Vec::new() },
                labels: holder.labels.clone().unwrap_or_default(),
                ..Names::default()
            },
            anchor: Anchor { pid, netns_inode: inode, ..Anchor::default() },
        }
    };
    holders.map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn podmans_pods_and_containers() {
        let text = r#"[{"Id":"i1","Names":["p1-infra"],"Pid":1,"Pod":"p1","PodName":"web","IsInfra":true,"Labels":{"a":"b"}},
            {"Id":"c1","Names":["web-app"],"Pid":2,"Pod":"p1","PodName":"web","IsInfra":false,"Labels":null},
            {"Id":"c2","Names":["alone"],"Pid":3,"Pod":"","PodName":"","IsInfra":false}]"#;
        let found = podman_records(serde_json::from_str(text).expect("a list"));
        let names: Vec<_> = found.iter().map(|record| record.names.name.as_deref()).collect();
        assert_eq!(names, [Some("alone"), Some("web")]);
        assert_eq!(
            found[1].names.containers,
            [Container { name: "web-app".to_owned(), id: "c1".to_owned() }]
        );
    }

    #[test]
    fn dockers_containers() {
        let listed = |name: &str, labels: &str| -> Listed {
            serde_json::from_str(&format!(r#"{{"Id":"c1","Names":["/{name}"],"Labels":{labels}}}"#))
                .expect("an entry")
        };
        let inspected = |mode: &str| -> Inspected {
            let text = format!(
                r#"{{"State":{{"Pid":0}},"HostConfig":{{"NetworkMode":"{mode}"}},"NetworkSettings":{{"SandboxKey":"/var/run/docker/netns/ab"}}}}"#
            );
            serde_json::from_str(&text).expect("an answer")
        };
        let plain = docker_record(&inspected("bridge"), listed("web", "null")).expect("a record");
        assert_eq!(plain.names.name.as_deref(), Some("web"));
        assert_eq!(plain.anchor.netns.as_deref(), Some("/var/run/docker/netns/ab"));
        let labels = r#"{"io.kubernetes.pod.namespace":"shop","io.kubernetes.pod.name":"cart","io.kubernetes.pod.uid":"u1"}"#;
        let pod = docker_record(&inspected("none-such"), listed("k8s_POD_cart", labels)).expect("a record");
        assert_eq!((pod.names.namespace.as_deref(), pod.names.name.as_deref()), (Some("shop"), Some("cart")));
        for mode in ["none", "container:c0"] {
            assert!(docker_record(&inspected(mode), listed("web", "{}")).is_none(), "{mode}");
        }
        let of_node = docker_record(&inspected("host"), listed("agent", "{}")).expect("a record");
        assert_eq!((of_node.names.name.as_deref(), of_node.anchor), (Some("agent"), Anchor::default()));
    }
}
