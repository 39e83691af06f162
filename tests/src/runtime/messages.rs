//! The messages of CRI by which a kubelet runs pods (`k8s.io/cri-api/pkg/apis/runtime/v1/api.proto`).
use std::collections::HashMap;

pub use probe_user::attribution::sources::cri_messages::{ContainerMetadata, PodSandboxMetadata};

macro_rules! messages {
    ($($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, PartialEq, prost::Message)]
            pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }
        )*
    };
}

messages! {
    /// An answer of which nothing is read.
    Nothing {}
    /// `RunPodSandboxRequest`
    RunPodSandboxRequest {
        /// The pod.
        #[prost(message, optional, tag = "1")] config: Option<PodSandboxConfig>,
        /// Name of a runtime in containerd's configuration.
        #[prost(string, tag = "2")] runtime_handler: String,
    }
    /// `RunPodSandboxResponse`
    RunPodSandboxResponse {
        /// Id.
        #[prost(string, tag = "1")] pod_sandbox_id: String,
    }
    /// `PodSandboxConfig`
    PodSandboxConfig {
        /// Names.
        #[prost(message, optional, tag = "1")] metadata: Option<PodSandboxMetadata>,
        /// Host name.
        #[prost(string, tag = "2")] hostname: String,
        /// Where logs go.
        #[prost(string, tag = "3")] log_directory: String,
        /// Labels.
        #[prost(map = "string, string", tag = "6")] labels: HashMap<String, String>,
        /// What is Linux's.
        #[prost(message, optional, tag = "8")] linux: Option<LinuxPodSandboxConfig>,
    }
    /// `LinuxPodSandboxConfig`
    LinuxPodSandboxConfig {
        /// Control group of the pod.
        #[prost(string, tag = "1")] cgroup_parent: String,
    }
    /// `StopPodSandboxRequest`
    StopPodSandboxRequest {
        /// Id.
        #[prost(string, tag = "1")] pod_sandbox_id: String,
    }
    /// `RemovePodSandboxRequest`
    RemovePodSandboxRequest {
        /// Id.
        #[prost(string, tag = "1")] pod_sandbox_id: String,
    }
    /// `CreateContainerRequest`
    CreateContainerRequest {
        /// The pod's sandbox.
        #[prost(string, tag = "1")] pod_sandbox_id: String,
        /// The container.
        #[prost(message, optional, tag = "2")] config: Option<ContainerConfig>,
        /// The pod once more.
        #[prost(message, optional, tag = "3")] sandbox_config: Option<PodSandboxConfig>,
    }
    /// `ContainerConfig`
    ContainerConfig {
        /// Name.
        #[prost(message, optional, tag = "1")] metadata: Option<ContainerMetadata>,
        /// Image.
        #[prost(message, optional, tag = "2")] image: Option<ImageSpec>,
        /// Program.
        #[prost(string, repeated, tag = "3")] command: Vec<String>,
        /// Its arguments.
        #[prost(string, repeated, tag = "4")] args: Vec<String>,
    }
    /// `ImageSpec`
    ImageSpec {
        /// Name.
        #[prost(string, tag = "1")] image: String,
    }
    /// `CreateContainerResponse`
    CreateContainerResponse {
        /// Id.
        #[prost(string, tag = "1")] container_id: String,
    }
    /// `StartContainerRequest`
    StartContainerRequest {
        /// Id.
        #[prost(string, tag = "1")] container_id: String,
    }
    /// `StatusRequest`
    StatusRequest {
        /// With more than the protocol says.
        #[prost(bool, tag = "1")] verbose: bool,
    }
    /// `StatusResponse`
    StatusResponse {
        /// Status.
        #[prost(message, optional, tag = "1")] status: Option<RuntimeStatus>,
    }
    /// `RuntimeStatus`
    RuntimeStatus {
        /// What must hold.
        #[prost(message, repeated, tag = "1")] conditions: Vec<RuntimeCondition>,
    }
    /// `RuntimeCondition`
    RuntimeCondition {
        /// Which.
        #[prost(string, tag = "1")] kind: String,
        /// Whether it holds.
        #[prost(bool, tag = "2")] status: bool,
    }
}
