//! A Python of its own with Helm as a library and the schemas of Kubernetes, for what checks the chart.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use super::{Requirement, install_missing, packages};
use crate::workspace::{Workspace, run};

/// Pinned: young packages.
const PACKAGES: [&str; 2] = ["helm-python-sdk==0.2.2", "kubernetes-validate==1.37.0"];

/// Makes it below the target directory if it is missing.
pub fn deploy_python(workspace: &Workspace) -> Result<PathBuf> {
    let directory = workspace.tools().join("deploy");
    let python = directory.join("bin/python");
    let has = |module: &str| {
        let asked = Command::new(&python).args(["-c", &format!("import {module}")]).output();
        asked.is_ok_and(|output| output.status.success())
    };
    if has("helm_python") && has("kubernetes_validate") {
        return Ok(python);
    }
    install_missing(&[Requirement {
        program: "python3",
        package: "python3",
        why: "runs Helm as a library",
    }])?;
    let makes_environments = Command::new("python3").args(["-c", "import ensurepip"]).output();
    if !makes_environments.is_ok_and(|output| output.status.success()) {
        packages::install(&["python3-venv"], "an environment of its own for the checks of the chart")?;
    }
    println!("setup: installing {} into {}: check the Helm chart", PACKAGES.join(", "), directory.display());
    run(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
    run(Command::new(directory.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(PACKAGES))
    .context("install what checks the Helm chart")?;
    Ok(python)
}
