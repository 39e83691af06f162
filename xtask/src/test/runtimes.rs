//! The step with real container runtimes: they are installed from the distribution, and where they cannot be had, that is
//! said loudly and counts as skipped.
use super::{Report, count, on_binary};
use crate::setup::{Requirement, install, install_missing, unpack};
use crate::workspace::{Workspace, find_program};
use anyhow::{Result, ensure};
use std::env;
use std::path::PathBuf;
use std::process::Command;

const CONTAINERD: [Requirement; 4] = [
    Requirement { program: "containerd", package: "containerd", why: "runs pods in the tests" },
    Requirement { program: "runc", package: "runc", why: "starts containerd's containers" },
    Requirement {
        program: "/usr/lib/cni/bridge",
        package: "containernetworking-plugins",
        why: "makes the networks of pods",
    },
    Requirement { program: "busybox", package: "busybox-static", why: "is what runs in the pods" },
];
const PODMAN: [Requirement; 1] = [Requirement {
    program: "podman",
    package: "podman",
    why: "runs pods in the tests, as a second runtime",
}];

const DOCKER: [Requirement; 3] = [
    Requirement { program: "containerd", package: "containerd", why: "is what Docker runs containers by" },
    Requirement { program: "runc", package: "runc", why: "starts Docker's containers" },
    Requirement { program: "busybox", package: "busybox-static", why: "is what runs in the containers" },
];

/// A runtime, with the tests that need it.
const RUNTIMES: [(&str, &[Requirement]); 3] =
    [("containerd", &CONTAINERD), ("podman", &PODMAN), ("docker", &DOCKER)];

/// Runs the tests of each runtime that can be had.
pub fn test(workspace: &Workspace) -> Result<Report> {
    let mut total = Report::default();
    for (runtime, requirements) in RUNTIMES {
        let had = install_missing(requirements)
            .and_then(|()| if runtime == "docker" { docker_daemon(workspace) } else { Ok(None) });
        let directory = match had {
            Ok(directory) => directory,
            Err(why) => {
                total.add(Report::omitted(&format!("with {runtime}"), &why));
                continue;
            }
        };
        let mut tests = on_binary(workspace);
        if let Some(directory) = directory {
            let path = env::var_os("PATH").unwrap_or_default();
            let own = ["usr/sbin", "usr/bin"].map(|name| directory.join(name));
            tests.env("PATH", env::join_paths(own.into_iter().chain(env::split_paths(&path)))?);
        }
        tests.args(["test", "--workspace", "--no-fail-fast", "--test", "runtimes", "--"]);
        tests.args(["--test-threads=1", &format!("{runtime}::")]);
        total.add(count(&mut tests)?);
    }
    Ok(total)
}

/// Where Docker is unpacked, if the machine has none. It is not installed: an installed daemon starts at once, with a
/// bridge and packet filters of its own.
fn docker_daemon(workspace: &Workspace) -> Result<Option<PathBuf>> {
    if find_program("dockerd").is_some() {
        return Ok(None);
    }
    let directory = workspace.tools().join("docker");
    let works = |program: &str| {
        let asked = Command::new(directory.join(program)).arg("--version").output();
        asked.is_ok_and(|output| output.status.success())
    };
    // Newer releases have the client in a package of its own.
    for (program, package) in [("usr/sbin/dockerd", "docker.io"), ("usr/bin/docker", "docker-cli")] {
        if !directory.join(program).is_file() {
            unpack(package, &directory, "runs containers in the tests")?;
        }
    }
    if !works("usr/sbin/dockerd") {
        install(&["libdevmapper1.02.1", "libsystemd0"], "Docker's daemon needs these libraries")?;
    }
    for program in ["usr/sbin/dockerd", "usr/bin/docker"] {
        ensure!(works(program), "{} does not run", directory.join(program).display());
    }
    Ok(Some(directory))
}
