//! `cargo xtask test`: everything that must hold before a change lands.

mod report;
mod runtimes;

use std::{
    fmt,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
pub use report::Report;

use crate::{
    dist, setup, tidy, vm,
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
    /// The binary that the following steps run; done before them in any case
    Build,
    /// Packages of a build of the dev profile, which the two following kinds of tests look at; done before them in any case
    Dist,
    /// Packages, documents, chart, manifests, alert rules, dashboard, unit and seccomp profile
    Deploy,
    /// Recorded evidence to findings and outputs, without privilege
    Replay,
    /// The kernel side through BPF_PROG_TEST_RUN
    Datapath,
    /// The binary on real veths in network namespaces
    Netns,
    /// Pods of real container runtimes, which are installed for it
    Runtimes,
    /// The programs and the classic faults under this kernel and under the distribution's others
    Vm,
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Fmt => "fmt",
            Self::Tidy => "tidy",
            Self::Clippy => "clippy",
            Self::Unit => "unit",
            Self::Build => "build",
            Self::Dist => "dist",
            Self::Deploy => "deploy",
            Self::Replay => "replay",
            Self::Datapath => "datapath",
            Self::Netns => "netns",
            Self::Runtimes => "runtimes",
            Self::Vm => "vm",
        })
    }
}

impl Step {
    fn needs_root(self) -> bool {
        match self {
            Self::Fmt | Self::Tidy | Self::Clippy | Self::Unit | Self::Build | Self::Dist | Self::Replay => {
                false
            }
            Self::Deploy | Self::Datapath | Self::Netns | Self::Runtimes | Self::Vm => true,
        }
    }

    fn runs_binary(self) -> bool {
        match self {
            Self::Fmt | Self::Tidy | Self::Clippy | Self::Unit | Self::Build | Self::Dist => false,
            Self::Deploy | Self::Replay | Self::Datapath | Self::Netns | Self::Runtimes | Self::Vm => true,
        }
    }

    fn looks_at_packages(self) -> bool {
        matches!(self, Self::Deploy | Self::Runtimes)
    }

    fn run(self, workspace: &Workspace) -> Result<Report> {
        if self.needs_root() {
            require_root("test")?;
        }
        let tests = ["test", "--workspace", "--no-fail-fast"];
        // Network namespaces and the kernel's counters are shared by all threads.
        let one_by_one = ["--", "--test-threads=1"];
        match self {
            Self::Fmt => check(workspace.cargo().args(["fmt", "--all", "--check"])),
            Self::Tidy => tidy::run().map(|()| Report::passed()),
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
                let mut report = count(workspace.cargo().args(tests).args(["--lib", "--bins"]))?;
                report.add(count(workspace.cargo().args(tests).arg("--doc"))?);
                Ok(report)
            }
            Self::Build => check(workspace.cargo().args(["build", "--workspace", "--bins"])),
            Self::Dist => dist::for_tests(workspace).map(|_| Report::passed()),
            Self::Deploy => {
                let python = setup::deploy_python(workspace)?;
                let mut deploy = on_binary(workspace);
                deploy.env("MTUPROBE_DEPLOY_PYTHON", python);
                count(deploy.args(tests).args(["--test", "deploy"]).args(one_by_one))
            }
            Self::Replay => count(on_binary(workspace).args(tests).args(["--test", "replay"])),
            Self::Datapath => {
                count(on_binary(workspace).args(tests).args(["--test", "datapath"]).args(one_by_one))
            }
            Self::Netns => count(on_binary(workspace).args(tests).args(["--test", "netns"]).args(one_by_one)),
            Self::Runtimes => runtimes::test(workspace),
            Self::Vm => vm::test(workspace),
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    let only = &arguments.only;
    let wanted = |step: Step| {
        let is_prerequisite = (step == Step::Build && only.iter().any(|step| step.runs_binary()))
            || (step == Step::Dist && only.iter().any(|step| step.looks_at_packages()));
        only.is_empty() || only.contains(&step) || is_prerequisite
    };
    let steps: Vec<Step> = Step::value_variants().iter().copied().filter(|step| wanted(*step)).collect();

    setup::run()?;
    setup::lint_components()?;
    if steps.iter().any(|step| matches!(step, Step::Deploy | Step::Netns)) {
        setup::test_programs()?;
    }
    let workspace = Workspace::locate()?;
    println!("setup: {}", seconds(start));
    if !is_root() && steps.iter().any(|step| step.needs_root()) {
        println!("\n!!! NOT ROOT: the tests of the kernel side cannot run, so this run is going to FAIL !!!");
    }

    let mut total = Report::default();
    let mut lines = Vec::new();
    for step in steps {
        println!("\n=== {step}");
        let step_start = Instant::now();
        let report = step.run(&workspace).unwrap_or_else(|error| {
            println!("{error:#}");
            Report::failed(step.to_string())
        });
        let verdict = if report.failed == 0 { "ok" } else { "FAILED" };
        let line = format!("{step:<9} {verdict:<7} {report}, {}", seconds(step_start));
        println!("=== {line}");
        lines.push(line);
        total.add(report);
    }

    println!("\n=== summary, {} in all", seconds(start));
    for line in lines {
        println!("{line}");
    }
    total.print_names();
    println!("{total}");
    if total.failed > 0 {
        bail!("tests failed");
    }
    Ok(())
}

/// A cargo command whose tests find the binary and the packages.
pub fn on_binary(workspace: &Workspace) -> Command {
    let mut cargo = workspace.cargo();
    cargo.env("MTUPROBE_BIN", workspace.binary("mtuprobe"));
    cargo.env("MTUPROBE_DIST", dist::directory(workspace, std::env::consts::ARCH, true));
    cargo
}

/// A command that passes or fails as a whole.
fn check(command: &mut Command) -> Result<Report> {
    crate::workspace::run(command).map(|()| Report::passed())
}

/// Runs test binaries and adds up what they report, showing it as it comes.
pub fn count(command: &mut Command) -> Result<Report> {
    println!("{}", shown(command));
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("run {}", shown(command)))?;
    let output = child.stdout.take().context("the pipe from cargo")?;
    let mut report = Report::default();
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    // By bytes, because a test may print anything.
    while reader.read_until(b'\n', &mut line).context("read what the tests print")? > 0 {
        std::io::stdout().write_all(&line).context("print")?;
        report.read_line(&String::from_utf8_lossy(&line));
        line.clear();
    }
    let status = child.wait().context("wait for cargo")?;
    if !status.success() && report.failed == 0 {
        // It did not compile, or died before it could report.
        report.add(Report::failed(format!("`{}` ({status})", shown(command))));
    }
    Ok(report)
}

fn seconds(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f64())
}
