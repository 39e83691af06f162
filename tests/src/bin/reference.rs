//! Writes man pages and shell completions, from the command line's own definition, below a directory.
use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap_complete::{Shell, generate_to};
use probe_user::cli::Cli;
use std::path::PathBuf;

fn main() -> Result<()> {
    let directory: PathBuf = std::env::args_os().nth(1).context("usage: reference DIRECTORY")?.into();
    let made = |name: &str| -> Result<PathBuf> {
        let path = directory.join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(path)
    };
    clap_mangen::generate_to(Cli::command(), made("man")?).context("write man pages")?;
    let completions = made("completions")?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut Cli::command(), "mtuprobe", &completions).context("write completions")?;
    }
    Ok(())
}
