//! Runs `mtuprobe replay`.
use anyhow::{Context, Result};
use mtuprobe_tests::probe::binary;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where the recordings are.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("replay/recordings")
}

/// What a run of the binary came to.
pub struct Replayed {
    pub stdout: String,
    pub stderr: String,
    pub status: Option<i32>,
}

/// Replays a recording in a form of output; as root without any capability.
pub fn replay(recording: &Path, options: &[&str]) -> Result<Replayed> {
    let mut command = unprivileged()?;
    command.arg("replay").args(options).arg(recording);
    let Output { status, stdout, stderr } =
        command.output().with_context(|| format!("running {command:?}"))?;
    Ok(Replayed {
        stdout: String::from_utf8(stdout).context("its output")?,
        stderr: String::from_utf8(stderr).context("its errors")?,
        status: status.code(),
    })
}

fn unprivileged() -> Result<Command> {
    // SAFETY: asks for a number.
    if unsafe { libc::geteuid() } != 0 {
        return Ok(Command::new(binary()?));
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]).arg(binary()?);
    Ok(command)
}
