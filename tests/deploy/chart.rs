//! The chart: Helm's own lint, Kubernetes' own schemas, and the manifests rendered from it.
use super::{check, project, read};
use anyhow::{Context as _, Result};
use std::path::PathBuf;

/// A Python with Helm as a library, made by `cargo xtask test`.
fn python() -> Result<String> {
    let named = std::env::var_os("MTUPROBE_DEPLOY_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| project("target/tools/deploy/bin/python"));
    anyhow::ensure!(python.exists(), "no {}: run `cargo xtask test --only deploy`", python.display());
    python.into_os_string().into_string().ok().context("a path in UTF-8")
}

#[test]
fn helm_and_the_schemas_of_kubernetes_accept_it() -> Result<()> {
    check(&python()?, &["deploy/helm/chart.py", "lint"]).map(|_| ())
}

#[test]
fn the_manifests_are_what_it_renders() -> Result<()> {
    let rendered = check(&python()?, &["deploy/helm/chart.py", "render"])?;
    let kept = read("deploy/manifests/mtuprobe.yaml")?;
    assert_eq!(rendered, kept, "run `cargo xtask manifests`");
    Ok(())
}

#[test]
fn its_configuration_is_one_that_the_binary_takes() -> Result<()> {
    let rendered = check(&python()?, &["deploy/helm/chart.py", "render-everything"])?;
    let (_, after) = rendered.split_once("mtuprobe.toml: |\n").context("a configuration")?;
    let lines = after.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    let toml: String = lines.flat_map(|line| [line.trim_start(), "\n"]).collect();
    let scratch = mtuprobe_tests::service::Scratch::new("chart")?;
    let file = scratch.write("mtuprobe.toml", &toml)?;
    let read = probe_user::config::read_file(file.as_ref())?;
    assert_eq!(read.max_pods.map(std::num::NonZeroUsize::get), Some(300), "{toml}");
    assert!(rendered.contains("localhostProfile: mtuprobe.json") && rendered.contains("- SYS_PTRACE"));
    assert!(rendered.contains("MtuBlackHole") && rendered.contains("\"uid\": \"mtuprobe\""));
    Ok(())
}

#[test]
fn it_is_of_this_version() -> Result<()> {
    let chart = read("deploy/helm/mtuprobe/Chart.yaml")?;
    let version = env!("CARGO_PKG_VERSION");
    assert!(chart.contains(&format!("appVersion: \"{version}\"")), "{chart}");
    assert!(chart.contains(&format!("\nversion: {version}\n")), "{chart}");
    Ok(())
}
