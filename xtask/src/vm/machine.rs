//! The emulated machine, and what is read from its console.

use std::{
    collections::VecDeque,
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use super::{Guest, Outcome, program_sizes::ProgramSizes, recordings::Recordings};
use crate::{
    test::Report,
    workspace::{Workspace, shown},
};

/// Lines of the console that are shown again when a guest did not get to its end.
const TAIL: usize = 40;
/// What the kernel is told: quick and quiet, and ended instead of restarted when it panics.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on \
                            rcupdate.rcu_expedited=1 rdinit=/init";
/// The processor that is emulated: a tenth cheaper than all that can be. The kernels' modules want a checksum instruction,
/// and a source of random numbers saves them from waiting for one.
const EMULATED: &str = "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand";

/// Boots a guest and follows it to its end.
pub fn run(workspace: &Workspace, guest: &Guest, initramfs: &Path, time_limit: &str) -> Result<Outcome> {
    let mut qemu = command(guest, initramfs, time_limit);
    let mut child = qemu
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {}", shown(&qemu)))?;
    let console = child.stdout.take().context("the pipe from the machine")?;
    let log_path = workspace.target.join("vm").join(format!("console-{}.log", guest.series));
    let mut log = File::create(&log_path).with_context(|| format!("create {}", log_path.display()))?;

    let mut transcript = Transcript::default();
    let mut reader = BufReader::new(console);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes).context("read the console")? > 0 {
        log.write_all(&bytes).context("write the console's log")?;
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        bytes.clear();
        if transcript.take(&line) {
            println!("{}| {line}", guest.series);
        }
    }
    let status = child.wait().context("wait for the machine")?;
    if !transcript.done {
        println!(
            "{}: the guest did not get to its end ({status}). The last lines of its console:",
            guest.series
        );
        for line in &transcript.tail {
            println!("{}| {line}", guest.series);
        }
        transcript.report.add(Report::failed(format!("did not get to its end, see {}", log_path.display())));
    }
    transcript.recordings.write(&workspace.target.join("vm/recordings").join(&guest.series))?;
    transcript.outcome(&guest.series)
}

fn command(guest: &Guest, initramfs: &Path, time_limit: &str) -> Command {
    // By a program of its own, so that the machine ends even if we are killed.
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", time_limit, "qemu-system-x86_64", "-M", "q35"]);
    // Other providers of /dev/kvm exist under which a kernel hangs while it boots.
    let has_kvm = ["kvm_intel", "kvm_amd"].iter().any(|name| Path::new("/sys/module").join(name).exists());
    let usable = has_kvm && File::options().read(true).write(true).open("/dev/kvm").is_ok();
    command.args(if usable {
        ["-accel", "kvm", "-cpu", "host"]
    } else {
        ["-accel", "tcg", "-cpu", EMULATED]
    });
    // One processor: the guests run side by side anyway, and an emulated second one sees instructions that the first is
    // about to replace (the kernel patches its own code by `int3`), of which a kernel dies now and then.
    command.args(["-smp", "1", "-m", "768", "-nographic", "-nodefaults", "-no-user-config"]);
    command.args(["-serial", "stdio", "-no-reboot", "-append", COMMAND_LINE]);
    command.arg("-kernel").arg(guest.image.kernel()).arg("-initrd").arg(initramfs);
    command
}

/// What the lines of the console are.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    /// What tests and kernel print.
    #[default]
    Tests,
    /// The table of sizes.
    Sizes,
    /// A recording.
    Recording,
}

/// What the console said.
#[derive(Default)]
struct Transcript {
    report: Report,
    /// The lines of the table of sizes.
    sizes: String,
    part: Part,
    recordings: Recordings,
    /// Tests passed and failed before the running binary.
    before: (u64, u64),
    done: bool,
    tail: VecDeque<String>,
}

impl Transcript {
    /// Takes a line, and says whether a person wants to see it.
    fn take(&mut self, line: &str) -> bool {
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line.to_owned());
        if let Some(marker) = line.strip_prefix("### ") {
            self.part = match marker.strip_prefix("recording ") {
                Some(name) => {
                    self.recordings.begin(name);
                    Part::Recording
                }
                None if marker == "program sizes" => Part::Sizes,
                None => Part::Tests,
            };
            self.done |= marker == "done";
            if let Some(what) = marker.strip_prefix("failed ") {
                self.report.add(Report::failed(what.to_owned()));
            } else if let Some(ended) = marker.strip_prefix("ran ") {
                self.end_of_binary(ended);
            }
            return self.part == Part::Tests;
        }
        match self.part {
            Part::Tests => {}
            Part::Sizes => {
                self.sizes.push_str(line);
                self.sizes.push('\n');
                return false;
            }
            Part::Recording => {
                self.recordings.take(line);
                return false;
            }
        }
        self.report.read_line(line);
        !line.is_empty()
    }

    /// A binary that died, or ran nothing, has no failed test to tell of it.
    fn end_of_binary(&mut self, ended: &str) {
        let (passed, failed) = self.before;
        if self.report.failed == failed && (self.report.passed == passed || !ended.contains(", status 0,")) {
            self.report.add(Report::failed(ended.to_owned()));
        }
        self.before = (self.report.passed, self.report.failed);
    }

    fn outcome(mut self, series: &str) -> Result<Outcome> {
        for failure in &mut self.report.failures {
            *failure = format!("{series}: {failure}");
        }
        let sizes: ProgramSizes =
            self.sizes.parse().with_context(|| format!("read the sizes that {series} told"))?;
        Ok(Outcome { series: series.to_owned(), report: self.report, sizes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Outcome {
        let mut transcript = Transcript::default();
        for line in lines {
            transcript.take(line);
        }
        transcript.outcome("6.1").unwrap()
    }

    #[test]
    fn a_console_is_read_as_the_tests_behind_it() {
        let outcome = read(&[
            "### run vm",
            "test programs::all ... FAILED",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
            "### ran vm, status 101, 12.0 s",
            "### program sizes",
            "tc_ingress 42143 41192 23820",
            "### done",
        ]);
        assert_eq!((outcome.report.passed, outcome.report.failed), (2, 1));
        assert_eq!(outcome.report.failures, ["6.1: programs::all"]);
        assert_eq!(outcome.sizes.len(), 1);
    }

    #[test]
    fn a_binary_that_died_or_ran_nothing_has_failed() {
        let outcome = read(&[
            "### run vm",
            "### ran vm, status 139, 12.0 s",
            "### run datapath",
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.00s",
            "### ran datapath, status 0, 13.0 s",
        ]);
        assert_eq!(outcome.report.failed, 2, "{:?}", outcome.report);
    }
}
