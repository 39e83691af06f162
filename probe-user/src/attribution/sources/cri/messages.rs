//! The messages of CRI that are asked for, field by field (`k8s.io/cri-api/pkg/apis/runtime/v1/api.proto`).
//!
//! Written by hand: no compiler for protocol buffers is needed, and fields that nobody reads are skipped by the decoder.
use std::collections::HashMap;

/// Name of an RPC's service.
pub const SERVICE: &str = "/runtime.v1.RuntimeService/";

/// `VersionRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub struct VersionRequest {
    /// Version of the client.
    #[prost(string, tag = "1")]
    pub version: String,
}

/// `VersionResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub struct VersionResponse {
    /// Name of the runtime.
    #[prost(string, tag = "2")]
    pub runtime_name: String,
    /// Its version.
    #[prost(string, tag = "3")]
    pub runtime_version: String,
}

/// `ListPodSandboxRequest`, without a filter.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListPodSandboxRequest {}

/// `ListPodSandboxResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListPodSandboxResponse {
    /// Sandboxes.
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<PodSandbox>,
}

/// `PodSandbox`
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodSandbox {
    /// Id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Names.
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<PodSandboxMetadata>,
    /// 0 ready, 1 not ready.
    #[prost(int32, tag = "3")]
    pub state: i32,
    /// Nanoseconds since 1970.
    #[prost(int64, tag = "4")]
    pub created_at: i64,
    /// Labels.
    #[prost(map = "string, string", tag = "5")]
    pub labels: HashMap<String, String>,
}

/// `PodSandboxMetadata`
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodSandboxMetadata {
    /// Name of the pod.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its uid.
    #[prost(string, tag = "2")]
    pub uid: String,
    /// Its namespace.
    #[prost(string, tag = "3")]
    pub namespace: String,
    /// How often its sandbox was made.
    #[prost(uint32, tag = "4")]
    pub attempt: u32,
}

/// `PodSandboxStatusRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodSandboxStatusRequest {
    /// Id.
    #[prost(string, tag = "1")]
    pub pod_sandbox_id: String,
    /// With what the runtime knows beyond the protocol.
    #[prost(bool, tag = "2")]
    pub verbose: bool,
}

/// `PodSandboxStatusResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodSandboxStatusResponse {
    /// Status.
    #[prost(message, optional, tag = "1")]
    pub status: Option<PodSandboxStatus>,
    /// What the runtime knows beyond it, as JSON under `info`.
    #[prost(map = "string, string", tag = "2")]
    pub info: HashMap<String, String>,
}

/// `PodSandboxStatus`
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodSandboxStatus {
    /// Id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Addresses.
    #[prost(message, optional, tag = "5")]
    pub network: Option<PodSandboxNetworkStatus>,
    /// Namespaces.
    #[prost(message, optional, tag = "6")]
    pub linux: Option<LinuxPodSandboxStatus>,
}

/// `PodSandboxNetworkStatus`
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodSandboxNetworkStatus {
    /// The first address.
    #[prost(string, tag = "1")]
    pub ip: String,
    /// Others.
    #[prost(message, repeated, tag = "2")]
    pub additional_ips: Vec<PodIp>,
}

/// `PodIP`
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodIp {
    /// Address.
    #[prost(string, tag = "1")]
    pub ip: String,
}

/// `LinuxPodSandboxStatus`
#[derive(Clone, PartialEq, prost::Message)]
pub struct LinuxPodSandboxStatus {
    /// Namespaces.
    #[prost(message, optional, tag = "1")]
    pub namespaces: Option<Namespace>,
}

/// `Namespace`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Namespace {
    /// Options.
    #[prost(message, optional, tag = "2")]
    pub options: Option<NamespaceOption>,
}

/// `NamespaceOption`
#[derive(Clone, PartialEq, prost::Message)]
pub struct NamespaceOption {
    /// 0 the pod's own, 2 the node's.
    #[prost(int32, tag = "1")]
    pub network: i32,
}

/// `ListContainersRequest`, without a filter.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListContainersRequest {}

/// `ListContainersResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListContainersResponse {
    /// Containers.
    #[prost(message, repeated, tag = "1")]
    pub containers: Vec<Container>,
}

/// `Container`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Container {
    /// Id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Its sandbox.
    #[prost(string, tag = "2")]
    pub pod_sandbox_id: String,
    /// Names.
    #[prost(message, optional, tag = "3")]
    pub metadata: Option<ContainerMetadata>,
    /// 0 created, 1 running, 2 exited.
    #[prost(int32, tag = "6")]
    pub state: i32,
}

/// `ContainerMetadata`
#[derive(Clone, PartialEq, prost::Message)]
pub struct ContainerMetadata {
    /// Name in the pod.
    #[prost(string, tag = "1")]
    pub name: String,
    /// How often it was made.
    #[prost(uint32, tag = "2")]
    pub attempt: u32,
}
