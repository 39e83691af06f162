//! The fields of Kubernetes objects that are read (API reference, core/v1).
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// `ObjectMeta`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metadata {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub resource_version: String,
    pub creation_timestamp: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub owner_references: Vec<OwnerReference>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct OwnerReference {
    pub kind: String,
    pub name: String,
    pub controller: bool,
}

/// `Pod`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pod {
    pub metadata: Metadata,
    pub spec: PodSpec,
    pub status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PodSpec {
    pub host_network: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PodStatus {
    pub phase: String,
    #[serde(rename = "podIP")]
    pub pod_ip: Option<String>,
    #[serde(rename = "podIPs")]
    pub pod_ips: Vec<PodIp>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodIp {
    pub ip: String,
}

/// `Service`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Service {
    pub metadata: Metadata,
    pub spec: ServiceSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ServiceSpec {
    #[serde(rename = "clusterIP")]
    pub cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs")]
    pub cluster_ips: Vec<String>,
    #[serde(rename = "externalIPs")]
    pub external_ips: Vec<String>,
    pub selector: BTreeMap<String, String>,
}

/// A list.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de> + Default", default)]
pub(super) struct List<T> {
    pub metadata: ListMetadata,
    pub items: Vec<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { metadata: ListMetadata::default(), items: Vec::new() }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ListMetadata {
    pub resource_version: String,
    #[serde(rename = "continue")]
    pub continues: String,
}

/// A line of a watch.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", content = "object", rename_all = "UPPERCASE")]
pub(super) enum WatchEvent<T> {
    Added(T),
    Modified(T),
    Deleted(T),
    /// How far the server has come, without an object.
    Bookmark(Bookmark),
    /// The watch is over: a `Status`.
    Error(Status),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Bookmark {
    pub metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub code: u16,
}

/// What lists and watches bring.
pub(super) trait Object: Clone + Default + serde::de::DeserializeOwned + Send + 'static {
    fn metadata(&self) -> &Metadata;
}

impl Object for Pod {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl Object for Service {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl Pod {
    /// Its addresses, while they are its own.
    pub fn addresses(&self) -> Vec<IpAddr> {
        if self.spec.host_network || self.has_ended() {
            return Vec::new();
        }
        let all = self.status.pod_ips.iter().map(|ip| &ip.ip).chain(&self.status.pod_ip);
        let mut addresses: Vec<IpAddr> = all.filter_map(|text| text.parse().ok()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    pub fn has_ended(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }
}

impl Service {
    /// The addresses that it answers at.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let spec = &self.spec;
        let all = spec.cluster_ips.iter().chain(&spec.cluster_ip).chain(&spec.external_ips);
        // A headless service has the address `None`.
        all.filter_map(|text| text.parse().ok())
    }

    /// Whether a pod is one of those behind it.
    pub fn selects(&self, pod: &Metadata) -> bool {
        !self.spec.selector.is_empty()
            && self.metadata.namespace == pod.namespace
            && self.spec.selector.iter().all(|(key, value)| pod.labels.get(key) == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_watch() {
        let line = r#"{"type":"ADDED","object":{"kind":"Pod","metadata":{"name":"a","uid":"u","ownerReferences":
            [{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"a-7d9f","controller":true}]},"spec":{"nodeName":"n"},
            "status":{"phase":"Running","podIP":"10.0.0.2","podIPs":[{"ip":"10.0.0.2"},{"ip":"fd00::2"}]}}}"#;
        let WatchEvent::Added(pod) = serde_json::from_str::<WatchEvent<Pod>>(line).expect("an event") else {
            panic!("another event")
        };
        assert_eq!((pod.metadata.name.as_str(), pod.addresses().len()), ("a", 2));
        let line = r#"{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"77","creationTimestamp":null},"spec":{"containers":null},"status":{}}}"#;
        let event = serde_json::from_str::<WatchEvent<Pod>>(line).expect("an event");
        assert!(matches!(event, WatchEvent::Bookmark(mark) if mark.metadata.resource_version == "77"));
        let line = r#"{"type":"ERROR","object":{"kind":"Status","status":"Failure","reason":"Expired","code":410,"message":"too old"}}"#;
        let event = serde_json::from_str::<WatchEvent<Pod>>(line).expect("an event");
        assert!(matches!(event, WatchEvent::Error(Status { code: 410, .. })));
    }
}
