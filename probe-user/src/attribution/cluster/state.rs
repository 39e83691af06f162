//! What the cluster has said so far.
use super::objects::{Metadata, Pod, Service};
use crate::attribution::sources::{Moment, Unavailable};
use probe_core::identity::{Anchor, Names, Record};
use probe_core::model::pod::{Owner, PodSource};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The kubelet's name for a pod of its own manifests, which runtimes know as its uid.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// Label that a ReplicaSet of a Deployment gives.
const TEMPLATE_HASH: &str = "pod-template-hash";
/// Addresses looked up that are kept.
const MAX_LOOKED_UP: usize = 4096;

/// Somebody at an end of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Name of the pod; `None` if the address is a service's.
    pub pod: Option<String>,
    /// Name of the service.
    pub service: Option<String>,
}

impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { namespace, pod, service } = self;
        match (pod, service) {
            (Some(pod), Some(service)) => write!(f, "{namespace}/{pod} (service {service})"),
            (Some(name), None) => write!(f, "{namespace}/{name}"),
            (None, Some(service)) => write!(f, "service {namespace}/{service}"),
            (None, None) => f.write_str(namespace),
        }
    }
}

/// Pods of this node, services, and what was looked up.
#[derive(Debug, Default)]
pub(super) struct State {
    pub pods: BTreeMap<String, Pod>,
    pub services: BTreeMap<String, Service>,
    looked_up: BTreeMap<IpAddr, Option<Metadata>>,
    has_pods: bool,
    failure: Option<Unavailable>,
}

impl State {
    /// It does not answer.
    pub fn fail(&mut self, why: Unavailable) {
        self.failure = Some(why);
    }

    /// It answers.
    pub fn heal(&mut self) {
        self.failure = None;
    }

    /// This node's pods were listed.
    pub fn note_pods(&mut self) {
        self.has_pods = true;
    }

    /// Neither an answer nor a failure yet.
    pub fn is_new(&self) -> bool {
        !self.has_pods && self.failure.is_none()
    }

    pub fn records(&self, moment: Moment) -> Result<Vec<Record>, Unavailable> {
        match &self.failure {
            Some(why) => Err(why.clone()),
            None if !self.has_pods => {
                Err(Unavailable::Silent("the API server has not answered yet".to_owned()))
            }
            None => Ok(self
                .pods
                .values()
                .filter(|pod| !pod.spec.host_network)
                .map(|pod| record(pod, moment))
                .collect()),
        }
    }

    pub fn note_looked_up(&mut self, address: IpAddr, pod: Option<Metadata>) {
        if self.looked_up.len() >= MAX_LOOKED_UP {
            self.looked_up.clear();
        }
        self.looked_up.insert(address, pod);
    }

    /// Addresses looked up are asked about again from time to time.
    pub fn forget_looked_up(&mut self) {
        self.looked_up.clear();
    }

    pub fn knows(&self, address: IpAddr) -> bool {
        self.party(address).is_some() || self.looked_up.contains_key(&address)
    }

    pub fn party(&self, address: IpAddr) -> Option<Party> {
        if let Some(service) =
            self.services.values().find(|service| service.addresses().any(|own| own == address))
        {
            let Metadata { namespace, name, .. } = &service.metadata;
            return Some(Party { namespace: namespace.clone(), pod: None, service: Some(name.clone()) });
        }
        let here = self.pods.values().find(|pod| pod.addresses().contains(&address)).map(|pod| &pod.metadata);
        let pod = here.or_else(|| self.looked_up.get(&address)?.as_ref())?;
        let service = self.services.values().find(|service| service.selects(pod));
        Some(Party {
            namespace: pod.namespace.clone(),
            pod: Some(pod.name.clone()),
            service: service.map(|service| service.metadata.name.clone()),
        })
    }
}

fn record(pod: &Pod, moment: Moment) -> Record {
    let metadata = &pod.metadata;
    let uid = metadata.annotations.get(MIRROR).unwrap_or(&metadata.uid);
    let created = metadata.creation_timestamp.as_deref();
    Record {
        source: PodSource::Kubernetes,
        id: metadata.uid.clone(),
        names: Names {
            namespace: Some(metadata.namespace.clone()),
            name: Some(metadata.name.clone()),
            uid: Some(uid.clone()),
            labels: metadata.labels.clone(),
            owner: owner(metadata),
            ..Names::default()
        },
        anchor: Anchor {
            addresses: pod.addresses(),
            created: created
                .and_then(|text| humantime::parse_rfc3339(text).ok())
                .and_then(|time| moment.of_wall(time)),
            ended: pod.has_ended(),
            ..Anchor::default()
        },
    }
}

/// Who made a pod; a ReplicaSet whose name ends in the hash of its template is a Deployment's.
fn owner(metadata: &Metadata) -> Option<Owner> {
    let owners = &metadata.owner_references;
    let owner = owners.iter().find(|owner| owner.controller).or_else(|| owners.first())?;
    let deployment = metadata
        .labels
        .get(TEMPLATE_HASH)
        .filter(|_| owner.kind == "ReplicaSet")
        .and_then(|hash| owner.name.strip_suffix(hash)?.strip_suffix('-'));
    Some(match deployment {
        Some(name) => Owner { kind: "Deployment".to_owned(), name: name.to_owned() },
        None => Owner { kind: owner.kind.clone(), name: owner.name.clone() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(text: &str) -> Pod {
        serde_json::from_str(text).expect("a pod")
    }

    #[test]
    fn owners() {
        let of =
            |text: &str| owner(&pod(text).metadata).map(|owner| format!("{}/{}", owner.kind, owner.name));
        let replica = r#"{"metadata":{"labels":{"pod-template-hash":"7d9f"},"ownerReferences":[{"kind":"ReplicaSet","name":"cart-7d9f","controller":true}]}}"#;
        assert_eq!(of(replica).as_deref(), Some("Deployment/cart"));
        let bare = r#"{"metadata":{"ownerReferences":[{"kind":"ReplicaSet","name":"cart-7d9f"}]}}"#;
        assert_eq!(of(bare).as_deref(), Some("ReplicaSet/cart-7d9f"));
        let set =
            r#"{"metadata":{"ownerReferences":[{"kind":"DaemonSet","name":"agent","controller":true}]}}"#;
        assert_eq!(of(set).as_deref(), Some("DaemonSet/agent"));
        assert_eq!(of(r#"{"metadata":{}}"#), None);
    }

    #[test]
    fn parties() {
        let mut state = State::default();
        let service = r#"{"metadata":{"namespace":"kube-system","name":"kube-dns","uid":"s"},
            "spec":{"clusterIP":"10.96.0.10","clusterIPs":["10.96.0.10"],"selector":{"k8s-app":"kube-dns"}}}"#;
        let headless =
            r#"{"metadata":{"namespace":"kube-system","name":"none","uid":"h"},"spec":{"clusterIP":"None"}}"#;
        for text in [service, headless] {
            let service: Service = serde_json::from_str(text).expect("a service");
            state.services.insert(service.metadata.uid.clone(), service);
        }
        let dns = pod(
            r#"{"metadata":{"namespace":"kube-system","name":"coredns","uid":"p","labels":{"k8s-app":"kube-dns"}}}"#,
        );
        let (remote, unknown) =
            ("10.2.0.7".parse().expect("an address"), "10.2.0.8".parse().expect("an address"));
        state.note_looked_up(remote, Some(dns.metadata));
        state.note_looked_up(unknown, None);
        let told = |address: IpAddr| state.party(address).map(|party| party.to_string());
        assert_eq!(
            told("10.96.0.10".parse().expect("an address")).as_deref(),
            Some("service kube-system/kube-dns")
        );
        assert_eq!(told(remote).as_deref(), Some("kube-system/coredns (service kube-dns)"));
        assert_eq!((told(unknown), state.knows(unknown)), (None, true));
    }

    #[test]
    fn a_static_pod_has_the_uid_that_its_runtime_knows() {
        let text = r#"{"metadata":{"namespace":"kube-system","name":"etcd-n1","uid":"api","annotations":{"kubernetes.io/config.mirror":"hash"}},
            "status":{"phase":"Running","podIP":"10.0.0.9"}}"#;
        let moment = Moment { now: 0, wall: std::time::SystemTime::now() };
        let found = record(&pod(text), moment);
        assert_eq!((found.id.as_str(), found.names.uid.as_deref()), ("api", Some("hash")));
        assert_eq!(found.anchor.addresses.len(), 1);
    }
}
