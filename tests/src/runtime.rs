//! A node with a real container runtime: containerd, runc and CNI plugins of the distribution, in a network, mount and
//! process namespace of their own, at the places where a node has them. Killing one process ends all of it.
mod docker;
mod files;
mod holder;
mod image;
pub mod kubelet;
pub mod messages;
mod podman;

pub use docker::DockerNode;
pub use holder::Holder;
pub use podman::PodmanNode;

use crate::probe::PATIENCE;
use crate::topology::Namespace;
use anyhow::{Context as _, Result, bail, ensure};
use messages::{
    ContainerConfig, ContainerMetadata, CreateContainerRequest, CreateContainerResponse, ImageSpec,
    LinuxPodSandboxConfig, LinuxSandboxSecurityContext, Nothing, PodSandboxConfig, PodSandboxMetadata,
    RemovePodSandboxRequest, RunPodSandboxRequest, RunPodSandboxResponse, StartContainerRequest,
    StatusRequest, StatusResponse, StopContainerRequest, StopPodSandboxRequest,
};
use probe_user::attribution::sources::CriClient;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Programs of the distribution that a node with a runtime needs; each with its Debian package.
pub const PROGRAMS: [(&str, &str); 4] = [
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("busybox", "busybox-static"),
];

/// Name of the one image: a static busybox that sleeps.
const IMAGE: &str = "localhost/box:1";
/// A cgroup of this name is on every node; ours is below it, by the node's own name.
const CGROUP: &str = "kubepods";

static NODES: AtomicU32 = AtomicU32::new(0);

/// Refuses to go on without these programs; each with its Debian package.
fn require(programs: &[(&str, &str)]) -> Result<()> {
    for (program, package) in programs {
        ensure!(
            files::find_program(program).is_some(),
            "no {program} ({package}): `cargo xtask test --only runtimes` sees to it"
        );
    }
    Ok(())
}

/// A name that no other node of this machine has.
fn node_name(runtime: &str) -> String {
    format!("mtuprobe-{}-{}-{runtime}", std::process::id(), NODES.fetch_add(1, Ordering::Relaxed))
}

/// What a pod is called.
#[derive(Clone, Debug)]
pub struct PodSpec {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// Name of the runtime's configuration for its network: the bridge's has none.
    pub network: &'static str,
    /// It has the node's network and processes instead.
    pub is_of_the_node: bool,
}

impl PodSpec {
    /// A pod on the node's bridge.
    pub fn bridged(namespace: &str, name: &str) -> Self {
        Self::on("", namespace, name)
    }

    /// A pod with the node's own network and processes.
    pub fn of_the_node(namespace: &str, name: &str) -> Self {
        Self { is_of_the_node: true, ..Self::on("", namespace, name) }
    }

    /// A pod beside the node, on a macvlan of its uplink `up0`.
    pub fn stacked(namespace: &str, name: &str) -> Self {
        Self::on("macvlan", namespace, name)
    }

    /// A pod with a veth of its own to the node.
    pub fn routed(namespace: &str, name: &str) -> Self {
        Self::on("ptp", namespace, name)
    }

    fn on(network: &'static str, namespace: &str, name: &str) -> Self {
        // Control groups are shared by all nodes of this machine: no two pods may have the same.
        let number = NODES.fetch_add(1, Ordering::Relaxed);
        let uid = format!("7f3b1c52-0f6e-4a57-{:04x}-{:012x}", std::process::id() & 0xffff, number);
        Self { namespace: namespace.to_owned(), name: name.to_owned(), uid, network, is_of_the_node: false }
    }
}

/// A pod that runs.
#[derive(Clone, Debug)]
pub struct RunningPod {
    /// What it is called.
    pub spec: PodSpec,
    /// Id of its sandbox.
    pub sandbox: String,
}

/// A node with a runtime. Dropping it ends everything that runs there.
#[derive(Debug)]
pub struct RuntimeNode<'network> {
    /// Where it runs.
    pub holder: Holder<'network>,
    group: String,
    calls: tokio::runtime::Runtime,
}

impl<'network> RuntimeNode<'network> {
    /// Starts containerd in a network namespace and waits until it is ready.
    pub fn start(namespace: &'network Namespace) -> Result<Self> {
        require(&PROGRAMS)?;
        let number = NODES.fetch_add(1, Ordering::Relaxed);
        let name = format!("mtuprobe-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(format!("{name}-runtime"));
        files::write(&directory)?;
        let image = image::make(&directory, IMAGE)?;
        // containerd's streaming server listens on it.
        namespace.ip("link set lo up")?;
        let holder = Holder::start(namespace, &directory, files::INIT)?;
        let calls = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut node = Self { holder, group: format!("/{CGROUP}/{name}"), calls };
        node.wait_until_ready()?;
        node.import(&image)?;
        Ok(node)
    }

    /// Takes an image out of an archive.
    pub fn import(&self, archive: &Path) -> Result<()> {
        let archive = archive.display().to_string();
        self.holder.inside(&["ctr", "-n", "k8s.io", "images", "import", &archive]).map(|_| ())
    }

    /// Stops containerd, without the pods.
    pub fn stop_runtime(&self) -> Result<()> {
        fs::write(self.holder.directory().join("stop"), "").context("asking for an end")?;
        wait_until("the end of containerd", || {
            Ok(self.holder.directory().join("stopped").exists().then_some(()))
        })
    }

    /// Starts containerd again.
    pub fn start_runtime(&mut self) -> Result<()> {
        for file in ["stop", "stopped"] {
            let _absent = fs::remove_file(self.holder.directory().join(file));
        }
        self.wait_until_ready()
    }

    /// A sandbox, as the kubelet asks for it.
    pub fn run_pod(&self, spec: &PodSpec) -> Result<RunningPod> {
        if let Some(logs) = self.logs_of(spec) {
            fs::create_dir_all(&logs).with_context(|| format!("making {}", logs.display()))?;
        }
        let request = RunPodSandboxRequest {
            config: Some(self.sandbox_config(spec)),
            runtime_handler: spec.network.to_owned(),
        };
        let answer: RunPodSandboxResponse = self.call("RunPodSandbox", request)?;
        Ok(RunningPod { spec: spec.clone(), sandbox: answer.pod_sandbox_id })
    }

    /// A container in a pod.
    pub fn run_container(&self, pod: &RunningPod, name: &str) -> Result<String> {
        self.run_program(pod, name, &["sleep", "86400"])
    }

    /// A container in a pod, with a program of busybox.
    pub fn run_program(&self, pod: &RunningPod, name: &str, program: &[&str]) -> Result<String> {
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata { name: name.to_owned(), attempt: 0 }),
            image: Some(ImageSpec { image: IMAGE.to_owned() }),
            command: vec!["/bin/busybox".to_owned()],
            args: program.iter().map(|&argument| argument.to_owned()).collect(),
            ..Default::default()
        };
        self.start_container(pod, config)
    }

    /// A container as its own configuration says.
    pub fn start_container(&self, pod: &RunningPod, config: ContainerConfig) -> Result<String> {
        let request = CreateContainerRequest {
            pod_sandbox_id: pod.sandbox.clone(),
            config: Some(config),
            sandbox_config: Some(self.sandbox_config(&pod.spec)),
        };
        let answer: CreateContainerResponse = self.call("CreateContainer", request)?;
        let start = StartContainerRequest { container_id: answer.container_id.clone() };
        let _: Nothing = self.call("StartContainer", start)?;
        Ok(answer.container_id)
    }

    /// Ends a container as a kubelet does: by SIGTERM, and by SIGKILL only much later.
    pub fn stop_container(&self, id: &str) -> Result<()> {
        let timeout = PATIENCE.as_secs().cast_signed();
        let stop = StopContainerRequest { container_id: id.to_owned(), timeout };
        let _: Nothing = self.call("StopContainer", stop)?;
        Ok(())
    }

    /// Removes a pod with all that runs in it.
    pub fn remove_pod(&self, pod: &RunningPod) -> Result<()> {
        let stop = StopPodSandboxRequest { pod_sandbox_id: pod.sandbox.clone() };
        let _: Nothing = self.call("StopPodSandbox", stop)?;
        let remove = RemovePodSandboxRequest { pod_sandbox_id: pod.sandbox.clone() };
        let _: Nothing = self.call("RemovePodSandbox", remove)?;
        Ok(())
    }

    /// Where the output of a pod's containers goes, for pods that have any.
    pub fn logs_of(&self, spec: &PodSpec) -> Option<PathBuf> {
        let name = format!("{}_{}_{}", spec.namespace, spec.name, spec.uid);
        spec.is_of_the_node.then(|| self.holder.directory().join("logs").join(name))
    }

    fn sandbox_config(&self, spec: &PodSpec) -> PodSandboxConfig {
        PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: spec.name.clone(),
                uid: spec.uid.clone(),
                namespace: spec.namespace.clone(),
                attempt: 0,
            }),
            // The node's own name stays where its network is.
            hostname: if spec.is_of_the_node { String::new() } else { spec.name.clone() },
            labels: [
                ("app".to_owned(), spec.name.clone()),
                ("io.kubernetes.pod.name".to_owned(), spec.name.clone()),
            ]
            .into(),
            log_directory: self.logs_of(spec).map_or_else(String::new, |logs| logs.display().to_string()),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: format!("{}/pod{}", self.group, spec.uid),
                security_context: spec
                    .is_of_the_node
                    .then(|| LinuxSandboxSecurityContext { namespace_options: Some(kubelet::of_the_node()) }),
            }),
        }
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let logs = ["init.log", "containerd.log"].map(|name| self.holder.directory().join(name));
        wait_until("containerd to be ready", || {
            let answer: Result<StatusResponse> = self.call("Status", StatusRequest { verbose: false });
            let conditions = answer.ok().and_then(|answer| answer.status).map(|status| status.conditions);
            Ok(conditions.filter(|all| !all.is_empty() && all.iter().all(|one| one.status)).map(|_| ()))
        })
        .with_context(|| logs.map(|log| fs::read_to_string(log).unwrap_or_default()).concat())
    }

    fn call<Q, R>(&self, method: &str, request: Q) -> Result<R>
    where
        Q: prost::Message + 'static,
        R: prost::Message + Default + 'static,
    {
        let socket = self.holder.directory().join("run/containerd.sock");
        let log = self.holder.directory().join("containerd.log");
        let answer = self.calls.block_on(async {
            // The product's patience is for a list; making a pod takes longer.
            let mut client =
                CriClient::connect_with(&socket, PATIENCE).await.context("connecting to containerd")?;
            client.call(method, request).await.with_context(|| format!("calling {method}"))
        });
        answer.with_context(|| {
            let text = fs::read_to_string(log).unwrap_or_default();
            let last: Vec<&str> = text.lines().rev().take(12).collect();
            last.into_iter().rev().collect::<Vec<_>>().join("\n")
        })
    }
}

impl Drop for RuntimeNode<'_> {
    fn drop(&mut self) {
        // Control groups are removed once nothing runs in them.
        self.holder.end();
        files::remove_groups(&self.group);
    }
}

/// Waits for something, far longer than it takes.
pub fn wait_until<T>(what: &str, mut condition: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(found) = condition()? {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("waited {PATIENCE:?} for {what}")
}

/// Runs a program to its end.
fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
