//! The step with real container runtimes: they are installed from the distribution, and where they cannot be had, that is
//! said loudly and counts as skipped.
use super::{Report, count, on_binary};
use crate::setup::{Requirement, install_missing};
use crate::workspace::Workspace;
use anyhow::Result;

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

/// A runtime, with the tests that need it.
const RUNTIMES: [(&str, &[Requirement]); 2] = [("containerd", &CONTAINERD), ("podman", &PODMAN)];

/// Runs the tests of each runtime that can be had.
pub fn test(workspace: &Workspace) -> Result<Report> {
    let mut total = Report::default();
    for (runtime, requirements) in RUNTIMES {
        if let Err(why) = install_missing(requirements) {
            total.add(Report::omitted(&format!("with {runtime}"), &why));
            continue;
        }
        let mut tests = on_binary(workspace);
        tests.args(["test", "--workspace", "--no-fail-fast", "--test", "runtimes", "--"]);
        tests.args(["--test-threads=1", &format!("{runtime}::")]);
        total.add(count(&mut tests)?);
    }
    Ok(total)
}
