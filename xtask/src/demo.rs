//! `cargo xtask demo`: a small Kubernetes-like node with MTU faults, and what mtuprobe says about it.

use std::os::unix::process::CommandExt as _;

use anyhow::{Error, Result};
use clap::Args;

use crate::{
    setup,
    workspace::{Workspace, require_root, run as run_command, shown},
};

#[derive(Args)]
pub struct Arguments {
    /// Keep the lab up for exploring, until Ctrl-C
    #[arg(long)]
    hold: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    require_root("demo")?;
    setup::run()?;
    let workspace = Workspace::locate()?;
    // The selection of `cargo xtask test`, so that the two share what they build.
    run_command(workspace.cargo().args(["build", "--workspace", "--bin", "mtuprobe", "--bin", "lab"]))?;
    let mut lab = std::process::Command::new(workspace.binary("lab"));
    lab.arg(if arguments.hold { "hold" } else { "demo" }).env("MTUPROBE_BIN", workspace.binary("mtuprobe"));
    // In place of this process, so that Ctrl-C and `kill` reach the lab, which knows how to clean up.
    let error = lab.exec();
    Err(Error::new(error).context(format!("run {}", shown(&lab))))
}
