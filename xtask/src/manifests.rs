//! `cargo xtask manifests`: the plain manifests, rendered from the chart with its defaults.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::{setup, workspace::Workspace};

pub fn run() -> Result<()> {
    let workspace = Workspace::locate()?;
    let python = setup::deploy_python(&workspace)?;
    let output = Command::new(python)
        .arg(workspace.root.join("deploy/helm/chart.py"))
        .arg("render")
        .output()
        .context("render the chart")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "render the chart: {said}");
    let file = workspace.root.join("deploy/manifests/mtuprobe.yaml");
    fs::write(&file, output.stdout).with_context(|| format!("write {}", file.display()))?;
    println!("manifests: {}", file.display());
    Ok(())
}
