//! `cargo xtask test`: everything that must hold before a change lands.

mod tally;

use std::{
    fmt,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use tally::Tally;

use crate::{
    setup, tidy,
    workspace::{Workspace, is_root, require_root, shown},
};

#[derive(Args)]
pub struct Arguments {
    /// Run these steps only
    #[arg(long, value_delimiter = ',', value_name = "STEP")]
    only: Vec<Step>,
}

/// The steps, in the order in which they run: cheap ones first.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// rustfmt
    Fmt,
    /// The rules of ARCHITECTURE.md
    Tidy,
    /// clippy over the whole workspace
    Clippy,
    /// Unit tests, without privilege
    Unit,
    /// Recorded evidence to findings and outputs, without privilege
    Replay,
    /// The kernel side through BPF_PROG_TEST_RUN
    Datapath,
    /// The binary on real veths in network namespaces
    Netns,
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Fmt => "fmt",
            Self::Tidy => "tidy",
            Self::Clippy => "clippy",
            Self::Unit => "unit",
            Self::Replay => "replay",
            Self::Datapath => "datapath",
            Self::Netns => "netns",
        })
    }
}

impl Step {
    fn needs_root(self) -> bool {
        match self {
            Self::Fmt | Self::Tidy | Self::Clippy | Self::Unit | Self::Replay => false,
            Self::Datapath | Self::Netns => true,
        }
    }

    fn run(self, workspace: &Workspace) -> Result<Tally> {
        if self.needs_root() {
            require_root("test")?;
        }
        let tests = ["test", "--workspace", "--no-fail-fast"];
        // Network namespaces and the kernel's counters are shared by all threads.
        let one_by_one = ["--", "--test-threads=1"];
        match self {
            Self::Fmt => check(workspace.cargo().args(["fmt", "--all", "--check"])),
            Self::Tidy => tidy::run().map(|()| Tally::one_passed()),
            Self::Clippy => check(workspace.cargo().args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])),
            Self::Unit => {
                // Always the whole workspace, and targets of it, so that dependencies keep one set of features
                // and are compiled once.
                let targets = count(workspace.cargo().args(tests).args(["--lib", "--bins"]))?;
                let documentation = count(workspace.cargo().args(tests).arg("--doc"))?;
                Ok(targets + documentation)
            }
            Self::Replay => count(on_binary(workspace).args(tests).args(["--test", "replay"])),
            Self::Datapath => {
                count(on_binary(workspace).args(tests).args(["--test", "datapath"]).args(one_by_one))
            }
            Self::Netns => count(on_binary(workspace).args(tests).args(["--test", "netns"]).args(one_by_one)),
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    let steps: Vec<Step> = Step::value_variants()
        .iter()
        .copied()
        .filter(|step| arguments.only.is_empty() || arguments.only.contains(step))
        .collect();

    setup::run()?;
    setup::lint_components()?;
    let workspace = Workspace::locate()?;
    println!("setup: {}", seconds(start));
    if !is_root() && steps.iter().any(|step| step.needs_root()) {
        println!("\n!!! NOT ROOT: the tests of the kernel side cannot run, so this run is going to FAIL !!!");
    }
    build(&workspace, &steps)?;

    let mut total = Tally::default();
    let mut lines = Vec::new();
    for step in steps {
        println!("\n=== {step}");
        let step_start = Instant::now();
        let tally = step.run(&workspace).unwrap_or_else(|error| {
            println!("{error:#}");
            Tally::one_failed()
        });
        let verdict = if tally.failed == 0 { "ok" } else { "FAILED" };
        let line = format!("{step:<9} {verdict:<7} {tally}, {}", seconds(step_start));
        println!("=== {line}");
        lines.push(line);
        total = total + tally;
    }

    println!("\n=== summary, {} in all", seconds(start));
    for line in lines {
        println!("{line}");
    }
    println!("{total}");
    if total.failed > 0 {
        bail!("{} failed", total.failed);
    }
    Ok(())
}

/// Builds the binary that the tests run, before the time of any of them is taken.
fn build(workspace: &Workspace, steps: &[Step]) -> Result<()> {
    let runs_binary = |step: &Step| match step {
        Step::Fmt | Step::Tidy | Step::Clippy | Step::Unit => false,
        Step::Replay | Step::Datapath | Step::Netns => true,
    };
    if !steps.iter().any(runs_binary) {
        return Ok(());
    }
    println!("\n=== build");
    let start = Instant::now();
    crate::workspace::run(workspace.cargo().args(["build", "--workspace", "--bins"]))?;
    println!("=== build {}", seconds(start));
    Ok(())
}

/// A cargo command whose tests find the binary.
fn on_binary(workspace: &Workspace) -> Command {
    let mut cargo = workspace.cargo();
    cargo.env("MTUPROBE_BIN", workspace.binary("mtuprobe"));
    cargo
}

/// A command that passes or fails as a whole.
fn check(command: &mut Command) -> Result<Tally> {
    crate::workspace::run(command).map(|()| Tally::one_passed())
}

/// Runs test binaries and adds up what they report, showing it as it comes.
fn count(command: &mut Command) -> Result<Tally> {
    println!("{}", shown(command));
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("run {}", shown(command)))?;
    let output = child.stdout.take().context("the pipe from cargo")?;
    let mut tally = Tally::default();
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    // By bytes, because a test may print anything.
    while reader.read_until(b'\n', &mut line).context("read what the tests print")? > 0 {
        std::io::stdout().write_all(&line).context("print")?;
        tally = tally + Tally::of_line(&String::from_utf8_lossy(&line));
        line.clear();
    }
    let status = child.wait().context("wait for cargo")?;
    if !status.success() && tally.failed == 0 {
        // It did not compile, or died before it could report.
        println!("`{}` failed ({status}) without naming a test", shown(command));
        tally.failed = 1;
    }
    Ok(tally)
}

fn seconds(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f64())
}
