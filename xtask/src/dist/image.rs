//! The image as an OCI archive (image-spec 1.0, `image-layout.md`), written without a container engine: one layer with the
//! binary. `ctr images import`, `skopeo copy oci-archive:…` and `podman load` take it.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

use super::{Release, Staging, output, tar};

const MEDIA_TYPE: &str = "application/vnd.oci.image";

/// Digest and size of a blob.
struct Blob {
    digest: String,
    size: u64,
}

pub fn write(release: &Release) -> Result<()> {
    let layout = Staging::new(release, "image")?;
    let root = Staging::new(release, "image-root")?;
    root.copy(&release.directory.join("mtuprobe"), "usr/bin/mtuprobe")?;
    let layer_file = release.directory.join(".layer.tar");
    tar(&root.0, &layer_file)?;
    let layer = keep(&layout.0, &layer_file)?;
    let config = format!(
        "{{\"architecture\":\"{}\",\"os\":\"linux\",\"config\":{{\"Env\":[\"PATH=/usr/bin\"],\
         \"Entrypoint\":[\"/usr/bin/mtuprobe\"],\"Cmd\":[\"serve\"],\
         \"Labels\":{{\"org.opencontainers.image.version\":\"{}\",\"org.opencontainers.image.licenses\":\"MIT OR Apache-2.0\"}}}},\
         \"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[\"{}\"]}}}}",
        release.debian_arch, release.version, layer.digest
    );
    let config = blob(release, &layout.0, &config)?;
    let manifest = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{MEDIA_TYPE}.manifest.v1+json\",\"config\":{},\"layers\":[{}]}}",
        descriptor("config.v1+json", &config, ""),
        descriptor("layer.v1.tar", &layer, "")
    );
    let manifest = blob(release, &layout.0, &manifest)?;
    let name = format!(
        ",\"annotations\":{{\"io.containerd.image.name\":\"ghcr.io/mtuprobe/mtuprobe:{0}\",\
         \"org.opencontainers.image.ref.name\":\"{0}\"}}",
        release.version
    );
    let index = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{MEDIA_TYPE}.index.v1+json\",\"manifests\":[{}]}}",
        descriptor("manifest.v1+json", &manifest, &name)
    );
    fs::write(layout.0.join("index.json"), index).context("write index.json")?;
    fs::write(layout.0.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}")
        .context("write oci-layout")?;
    let archive = format!("mtuprobe-{}-{}-image.tar", release.version, release.arch);
    tar(&layout.0, &release.directory.join(archive))
}

fn descriptor(kind: &str, blob: &Blob, more: &str) -> String {
    let Blob { digest, size } = blob;
    format!("{{\"mediaType\":\"{MEDIA_TYPE}.{kind}\",\"digest\":\"{digest}\",\"size\":{size}{more}}}")
}

fn blob(release: &Release, layout: &Path, text: &str) -> Result<Blob> {
    let file = release.directory.join(".blob");
    fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    keep(layout, &file)
}

/// Moves a file to where its digest says.
fn keep(layout: &Path, file: &Path) -> Result<Blob> {
    let sum = output(Command::new("sha256sum").arg("--binary").arg(file))?;
    let digest = sum.split_whitespace().next().context("a digest")?.to_owned();
    let size = fs::metadata(file).with_context(|| format!("look at {}", file.display()))?.len();
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).with_context(|| format!("make {}", blobs.display()))?;
    fs::rename(file, blobs.join(&digest)).with_context(|| format!("move {}", file.display()))?;
    Ok(Blob { digest: format!("sha256:{digest}"), size })
}
