//! Where the project is, and how its commands are started.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

/// The project's directories.
#[derive(Debug)]
pub struct Workspace {
    /// The directory of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// Cargo's target directory, `target/` unless the user moved it.
    pub target: PathBuf,
}

impl Workspace {
    /// Asks cargo where the project and its target directory are.
    pub fn locate() -> Result<Self> {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies outside a workspace")?;
        let output = Command::new(cargo_program())
            .args(["metadata", "--no-deps", "--format-version=1"])
            .current_dir(root)
            .output()
            .context("run cargo metadata")?;
        let metadata = String::from_utf8_lossy(&output.stdout);
        let target = metadata
            .split_once("\"target_directory\":\"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .map(|(target, _)| PathBuf::from(target))
            .with_context(|| {
                format!(
                    "cargo metadata names no target directory: {}",
                    String::from_utf8_lossy(&output.stderr)
                )
            })?;
        Ok(Self { root: root.to_owned(), target })
    }

    /// Where set-up installs tools: below the target directory, so that removing that undoes it all.
    pub fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// A binary of the dev profile.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }

    /// A cargo command in the workspace, with the project's tools on `PATH`.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(cargo_program());
        command
            .current_dir(&self.root)
            // The binaries are looked for in `target/debug`, without a target's name.
            .env_remove("CARGO_BUILD_TARGET");
        command
    }
}

fn cargo_program() -> std::ffi::OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// How a person would type the command.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words: Vec<_> = [program].into_iter().chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

/// Runs a command to its end; anything but success is an error that names it.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("run {}", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Finds a program on `PATH` or where the system keeps those for root, which an ordinary `PATH` lacks.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

/// Whether this process has user id 0.
pub fn is_root() -> bool {
    // The effective id is the second number of the line `Uid:`.
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        status
            .lines()
            .find_map(|line| line.strip_prefix("Uid:"))
            .and_then(|ids| ids.split_whitespace().nth(1))
            .is_some_and(|id| id == "0")
    })
}

/// Ends with an explanation unless this process has user id 0.
pub fn require_root(command: &str) -> Result<()> {
    if is_root() {
        return Ok(());
    }
    bail!(
        "{command} loads eBPF programs and makes network namespaces, so it needs root: \
         `sudo -E env \"PATH=$PATH\" cargo xtask {command}`"
    )
}
