//! What a guest runs: the test binaries and mtuprobe, linked statically.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::workspace::{Workspace, run, shown};

/// Named, so that the flags below reach neither build scripts nor macros.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// How much is run in a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What depends on the kernel, because emulation is slow.
    Essential,
    /// Everything that needs root on the host.
    All,
    /// The tests for guests whose names have one of these parts.
    Only(Vec<String>),
}

/// The tests for guests that are run always: one of each datapath.
const ESSENTIAL: [&str; 7] = [
    "tunnels::wireguard_over_ipv6",
    "tunnels::ipip",
    "netkit::",
    "ordinary::",
    "vswitch::a_tunnel_port",
    "vswitch::smaller_ports",
    "redirect_peer::delivery",
];

impl Extent {
    /// The test targets in the order in which they run, with parts of the names of the tests of each; all of its tests
    /// if there are none.
    fn tests(&self) -> Vec<(&'static str, Vec<String>)> {
        match self {
            // Its tests load and attach every program and see the classic faults; the rest is for whoever has the time.
            Self::Essential => vec![("vm", Vec::new()), ("guests", ESSENTIAL.map(str::to_owned).into())],
            Self::All => ["vm", "guests", "datapath", "netns"].map(|name| (name, Vec::new())).into(),
            Self::Only(parts) => vec![("guests", parts.clone())],
        }
    }

    /// Seconds after which a guest is ended: tenfold what it takes.
    pub const fn time_limit(&self) -> &'static str {
        match self {
            Self::Essential => "1800",
            Self::All | Self::Only(_) => "7200",
        }
    }
}

/// Where the binaries are.
#[derive(Debug)]
pub struct Payload {
    /// The test binaries, in the order in which they run.
    pub tests: Vec<Test>,
    /// The product.
    pub mtuprobe: PathBuf,
    /// The tests keep their evidence.
    pub records: bool,
}

/// A test binary.
#[derive(Debug)]
pub struct Test {
    /// Of the test target.
    pub name: &'static str,
    /// Parts of the names of the tests that are to be run; all if there are none.
    pub filters: Vec<String>,
    pub file: PathBuf,
}

impl Payload {
    pub fn build(workspace: &Workspace, extent: &Extent, records: bool) -> Result<Self> {
        run(cargo(workspace).args(["build", "--workspace", "--bin=mtuprobe", "--target", TARGET]))?;
        let mut building = cargo(workspace);
        building.args(["test", "--workspace", "--no-run", "--target", TARGET]);
        building.args(["--quiet", "--message-format=json-render-diagnostics"]);
        building.args(extent.tests().into_iter().map(|(name, _)| format!("--test={name}")));
        let output = building.stderr(Stdio::inherit()).output().context("run cargo")?;
        if !output.status.success() {
            bail!("`{}` failed ({})", shown(&building), output.status);
        }
        let messages = String::from_utf8_lossy(&output.stdout).into_owned();
        let tests = extent
            .tests()
            .into_iter()
            .map(|(name, filters)| {
                executable(&messages, name)
                    .map(|file| Test { name, filters, file })
                    .with_context(|| format!("cargo names no executable of the test target {name}"))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { tests, mtuprobe: workspace.target.join(TARGET).join("debug/mtuprobe"), records })
    }
}

fn cargo(workspace: &Workspace) -> Command {
    let mut cargo = workspace.cargo();
    cargo
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-Ctarget-feature=+crt-static")
        // It takes precedence over the variable above.
        .env_remove("RUSTFLAGS");
    cargo
}

/// Finds a test target among cargo's messages, one JSON object a line.
fn executable(messages: &str, test: &str) -> Option<PathBuf> {
    let name = format!("\"name\":\"{test}\"");
    let line = messages
        .lines()
        .find(|line| line.contains("\"reason\":\"compiler-artifact\"") && line.contains(&name))?;
    let (_, rest) = line.split_once("\"executable\":\"")?;
    rest.split_once('"').map(|(path, _)| PathBuf::from(path))
}
