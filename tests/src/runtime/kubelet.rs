//! What a kubelet makes of a DaemonSet: the one container of its pods, as it asks a runtime for it.
use super::messages::{
    Capability, ContainerConfig, ContainerMetadata, ImageSpec, Int64Value, KeyValue, LinuxContainerConfig,
    LinuxContainerResources, LinuxContainerSecurityContext, Mount, NamespaceOption, SecurityProfile,
};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// The node's own namespace.
const NODE: i32 = 2;

/// Documents of a file of manifests.
#[derive(Debug)]
pub struct Manifests(Vec<Value>);

/// What the kubelet knows of a node.
#[derive(Debug)]
pub struct NodeFacts<'facts> {
    /// Its name.
    pub name: &'facts str,
    /// Its address, which is that of pods with the node's network.
    pub address: &'facts str,
    /// Where configuration is put, as `/var/lib/kubelet`.
    pub directory: &'facts Path,
}

impl Manifests {
    /// Reads documents that lines of three dashes separate.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let documents = text.split("\n---\n").filter(|text| text.lines().any(|line| !line.starts_with('#')));
        let read = documents.map(serde_saphyr::from_str).collect::<Result<_, _>>();
        Ok(Self(read.with_context(|| format!("parsing {}", file.display()))?))
    }

    fn of_kind(&self, kind: &str) -> Result<&Value> {
        let found = self.0.iter().find(|document| document["kind"] == kind);
        found.with_context(|| format!("no {kind}"))
    }

    /// The pod's container.
    ///
    /// # Errors
    /// What this kubelet does not know how to do: better no container than one with less than its manifest says.
    pub fn container(&self, node: &NodeFacts<'_>) -> Result<ContainerConfig> {
        let pod = &self.of_kind("DaemonSet")?["spec"]["template"]["spec"];
        ensure!(
            pod["hostNetwork"] == true && pod["hostPID"] == true,
            "another network than the node's: {pod}"
        );
        let container = &pod["containers"][0];
        for field in container.as_object().context("a container")?.keys() {
            ensure!(KNOWN.contains(&field.as_str()), "unknown: {field}");
        }
        Ok(ContainerConfig {
            metadata: Some(ContainerMetadata { name: text(&container["name"])?, attempt: 0 }),
            image: Some(ImageSpec { image: text(&container["image"])? }),
            args: list(&container["args"]).iter().map(text).collect::<Result<_>>()?,
            envs: environment(container, node)?,
            mounts: list(&container["volumeMounts"])
                .iter()
                .map(|mount| self.mount(pod, mount, node))
                .collect::<Result<_>>()?,
            log_path: "0.log".to_owned(),
            linux: Some(LinuxContainerConfig {
                resources: Some(LinuxContainerResources {
                    memory_limit_in_bytes: mebibytes(&container["resources"]["limits"]["memory"])? << 20,
                }),
                security_context: Some(rights(&container["securityContext"], node)?),
            }),
            ..ContainerConfig::default()
        })
    }

    fn mount(&self, pod: &Value, mount: &Value, node: &NodeFacts<'_>) -> Result<Mount> {
        let volume = list(&pod["volumes"]).iter().find(|volume| volume["name"] == mount["name"]);
        let volume = volume.with_context(|| format!("no volume for {mount}"))?;
        let host_path = if volume["hostPath"].is_object() {
            text(&volume["hostPath"]["path"])?
        } else {
            ensure!(volume["configMap"].is_object(), "unknown: {volume}");
            self.write_configuration(node)?.display().to_string()
        };
        let propagation = match mount["mountPropagation"].as_str() {
            None => 0,
            Some("HostToContainer") => 1,
            Some(other) => bail!("unknown: {other}"),
        };
        let readonly = mount["readOnly"] == true;
        Ok(Mount { container_path: text(&mount["mountPath"])?, host_path, readonly, propagation })
    }

    fn write_configuration(&self, node: &NodeFacts<'_>) -> Result<PathBuf> {
        let directory = node.directory.join("configuration");
        fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
        let data = self.of_kind("ConfigMap")?["data"].as_object().context("a configuration")?;
        for (name, content) in data {
            fs::write(directory.join(name), text(content)?).with_context(|| format!("writing {name}"))?;
        }
        Ok(directory)
    }
}

/// Namespaces of a pod with the node's network and processes.
pub const fn of_the_node() -> NamespaceOption {
    NamespaceOption { network: NODE, pid: NODE, ipc: 0 }
}

/// Fields of a container that are carried out here, or by the kubelet alone.
const KNOWN: [&str; 12] = [
    "name",
    "image",
    "imagePullPolicy",
    "args",
    "env",
    "ports",
    "startupProbe",
    "livenessProbe",
    "readinessProbe",
    "resources",
    "securityContext",
    "volumeMounts",
];

fn environment(container: &Value, node: &NodeFacts<'_>) -> Result<Vec<KeyValue>> {
    let mut known: Vec<KeyValue> = Vec::new();
    for variable in list(&container["env"]) {
        let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
            Some("spec.nodeName") => node.name.to_owned(),
            Some("status.podIP") => node.address.to_owned(),
            Some(other) => bail!("unknown: {other}"),
            None => known.iter().fold(text(&variable["value"])?, |value, earlier| {
                value.replace(&format!("$({})", earlier.key), &earlier.value)
            }),
        };
        known.push(KeyValue { key: text(&variable["name"])?, value });
    }
    Ok(known)
}

fn rights(context: &Value, node: &NodeFacts<'_>) -> Result<LinuxContainerSecurityContext> {
    ensure!(context["privileged"] == false, "privileged: {context}");
    let capabilities = |field: &str| -> Result<Vec<String>> {
        list(&context["capabilities"][field]).iter().map(text).collect()
    };
    let profile = &context["seccompProfile"];
    let seccomp = match profile["type"].as_str() {
        Some("RuntimeDefault") => SecurityProfile { profile_type: 0, ..Default::default() },
        Some("Localhost") => {
            let file = node.directory.join("seccomp").join(text(&profile["localhostProfile"])?);
            SecurityProfile { profile_type: 2, localhost_ref: file.display().to_string() }
        }
        other => bail!("unknown: {other:?}"),
    };
    Ok(LinuxContainerSecurityContext {
        capabilities: Some(Capability {
            add_capabilities: capabilities("add")?,
            drop_capabilities: capabilities("drop")?,
        }),
        privileged: false,
        namespace_options: Some(of_the_node()),
        run_as_user: context["runAsUser"].as_i64().map(|value| Int64Value { value }),
        readonly_rootfs: context["readOnlyRootFilesystem"] == true,
        no_new_privs: context["allowPrivilegeEscalation"] == false,
        seccomp: Some(seccomp),
    })
}

fn mebibytes(value: &Value) -> Result<i64> {
    let number = value.as_str().and_then(|text| text.strip_suffix("Mi"));
    number.and_then(|number| number.parse().ok()).with_context(|| format!("no mebibytes: {value}"))
}

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("no text: {value}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
