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
        /// Rights.
        #[prost(message, optional, tag = "2")] security_context: Option<LinuxSandboxSecurityContext>,
    }
    /// `LinuxSandboxSecurityContext`
    LinuxSandboxSecurityContext {
        /// Whose namespaces it has.
        #[prost(message, optional, tag = "1")] namespace_options: Option<NamespaceOption>,
    }
    /// `NamespaceOption`: 0 is the pod's, 1 the container's, 2 the node's.
    NamespaceOption {
        /// Network.
        #[prost(int32, tag = "1")] network: i32,
        /// Processes.
        #[prost(int32, tag = "2")] pid: i32,
        /// Messages between processes.
        #[prost(int32, tag = "3")] ipc: i32,
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
        /// Its environment.
        #[prost(message, repeated, tag = "6")] envs: Vec<KeyValue>,
        /// What it sees of the node's files.
        #[prost(message, repeated, tag = "7")] mounts: Vec<Mount>,
        /// Where its output goes, below the sandbox's directory.
        #[prost(string, tag = "11")] log_path: String,
        /// What is Linux's.
        #[prost(message, optional, tag = "15")] linux: Option<LinuxContainerConfig>,
    }
    /// `KeyValue`
    KeyValue {
        /// Name.
        #[prost(string, tag = "1")] key: String,
        /// Value.
        #[prost(string, tag = "2")] value: String,
    }
    /// `Mount`
    Mount {
        /// There.
        #[prost(string, tag = "1")] container_path: String,
        /// Here.
        #[prost(string, tag = "2")] host_path: String,
        /// Nothing can be written.
        #[prost(bool, tag = "3")] readonly: bool,
        /// 1: what the node mounts later is seen.
        #[prost(int32, tag = "5")] propagation: i32,
    }
    /// `LinuxContainerConfig`
    LinuxContainerConfig {
        /// Limits.
        #[prost(message, optional, tag = "1")] resources: Option<LinuxContainerResources>,
        /// Rights.
        #[prost(message, optional, tag = "2")] security_context: Option<LinuxContainerSecurityContext>,
    }
    /// `LinuxContainerResources`
    LinuxContainerResources {
        /// Bytes.
        #[prost(int64, tag = "4")] memory_limit_in_bytes: i64,
    }
    /// `LinuxContainerSecurityContext`
    LinuxContainerSecurityContext {
        /// Capabilities.
        #[prost(message, optional, tag = "1")] capabilities: Option<Capability>,
        /// All rights.
        #[prost(bool, tag = "2")] privileged: bool,
        /// Whose namespaces it has.
        #[prost(message, optional, tag = "3")] namespace_options: Option<NamespaceOption>,
        /// User.
        #[prost(message, optional, tag = "5")] run_as_user: Option<Int64Value>,
        /// Nothing can be written.
        #[prost(bool, tag = "7")] readonly_rootfs: bool,
        /// No program gives more rights.
        #[prost(bool, tag = "11")] no_new_privs: bool,
        /// System calls.
        #[prost(message, optional, tag = "15")] seccomp: Option<SecurityProfile>,
    }
    /// `Capability`
    Capability {
        /// Given.
        #[prost(string, repeated, tag = "1")] add_capabilities: Vec<String>,
        /// Taken, before others are given.
        #[prost(string, repeated, tag = "2")] drop_capabilities: Vec<String>,
    }
    /// `Int64Value`
    Int64Value {
        /// It.
        #[prost(int64, tag = "1")] value: i64,
    }
    /// `SecurityProfile`
    SecurityProfile {
        /// 0: the runtime's, 1: none, 2: a file.
        #[prost(int32, tag = "1")] profile_type: i32,
        /// The file.
        #[prost(string, tag = "2")] localhost_ref: String,
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
    /// `StopContainerRequest`
    StopContainerRequest {
        /// The container.
        #[prost(string, tag = "1")] container_id: String,
        /// Seconds before it is killed.
        #[prost(int64, tag = "2")] timeout: i64,
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
