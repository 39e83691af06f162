//! `cargo xtask bench`: what a packet pays for being observed.

use anyhow::Result;
use clap::Args;

use crate::{
    setup,
    workspace::{Workspace, require_root, run as run_command},
};

#[derive(Args)]
pub struct Arguments {
    /// Passed on to the bench
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    require_root("bench")?;
    setup::run()?;
    let workspace = Workspace::locate()?;
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--release", "--package=mtuprobe-tests", "--bin=bench", "--"]);
    run_command(cargo.args(&arguments.arguments))
}
