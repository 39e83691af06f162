//! `cargo xtask vm`: the kernel side under other kernels than this machine's, in emulated machines.
//!
//! A guest is a cloud kernel of the distribution and an initramfs with the same test binaries as on the host, linked
//! statically. Nothing is installed in it and it has no disk and no network.

mod image;
mod initramfs;
mod machine;
mod package;
mod payload;
mod program_sizes;
mod recordings;

use std::{fmt, fs, path::PathBuf, str::FromStr, thread};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use image::Image;
use payload::{Extent, Payload};
use program_sizes::ProgramSizes;

use crate::{
    setup::{self, Requirement},
    test::{Report, count, on_binary},
    workspace::{Workspace, require_root},
};

/// What making and running a guest takes.
const PROGRAMS: [Requirement; 5] = [
    Requirement { program: "qemu-system-x86_64", package: "qemu-system-x86", why: "runs other kernels" },
    Requirement { program: "busybox", package: "busybox-static", why: "is the guest's userland" },
    Requirement { program: "cpio", package: "cpio", why: "packs the guest's file system" },
    Requirement { program: "depmod", package: "kmod", why: "finds the modules that a guest needs" },
    Requirement { program: "strip", package: "binutils", why: "makes the guest's programs small" },
];

/// The series that are tested under always.
const SERIES: [&str; 2] = ["6.1", "6.12"];

/// Variable that tells the test binary where to write the sizes of the programs.
const SIZES_VARIABLE: &str = "MTUPROBE_PROGRAM_SIZES";

#[derive(Args)]
pub struct Arguments {
    /// `host`, or the series of a cloud kernel that the distribution has
    #[arg(value_name = "KERNEL", default_values = ["host", "6.1", "6.12"])]
    kernels: Vec<Kernel>,
    /// Record the programs' instruction counts and sizes instead of comparing them with the recorded ones
    #[arg(long)]
    update: bool,
    /// Run all tests in the guests, not only those that depend on the kernel; takes an hour and more
    #[arg(long)]
    all: bool,
    /// Keep the evidence of the guests' tests below `target/vm/recordings`, as scenarios to replay
    #[arg(long)]
    record: bool,
    /// Run, of the tests for guests, those only whose names have one of these parts
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    only: Vec<String>,
}

/// A kernel to test under.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kernel {
    /// The one that runs.
    Host,
    /// The distribution's newest of a series, such as `6.1`, in a guest.
    Guest(String),
}

impl FromStr for Kernel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        match text.split_once('.') {
            _ if text == "host" => Ok(Self::Host),
            Some((major, minor)) if is_number(major) && is_number(minor) => Ok(Self::Guest(text.to_owned())),
            Some(_) | None => Err("neither `host` nor a series of kernels such as 6.1".to_owned()),
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Host => "host",
            Self::Guest(series) => series,
        })
    }
}

/// A guest that can be started.
struct Guest {
    series: String,
    image: Image,
}

/// What came of the tests under one kernel.
struct Outcome {
    /// The series, under which sizes are recorded.
    series: String,
    report: Report,
    /// Of each program; none if the tests did not get as far.
    sizes: ProgramSizes,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    setup::run()?;
    let workspace = Workspace::locate()?;
    let mut total = Report::default();
    let guests: Vec<&str> = arguments.kernels.iter().filter_map(Kernel::series).collect();
    let mut outcomes = Vec::new();
    if arguments.kernels.contains(&Kernel::Host) {
        require_root("vm")?;
        crate::workspace::run(workspace.cargo().args(["build", "--workspace", "--bins"]))?;
        outcomes.push(on_host(&workspace)?);
    }
    if !guests.is_empty() {
        let extent = match (arguments.all, arguments.only.is_empty()) {
            (true, _) => Extent::All,
            (false, true) => Extent::Essential,
            (false, false) => Extent::Only(arguments.only.clone()),
        };
        outcomes.extend(in_guests(&workspace, &prepare(&workspace, &guests)?, &extent, arguments.record)?);
    }
    for outcome in outcomes {
        total.add(outcome.conclude(&workspace, arguments.update)?);
    }
    total.print_names();
    println!("{total}");
    if total.failed > 0 {
        bail!("tests failed");
    }
    Ok(())
}

/// The step of `cargo xtask test`: everything, and what cannot be had is skipped and says so.
pub fn test(workspace: &Workspace) -> Result<Report> {
    let mut outcomes = vec![on_host(workspace)?];
    let (guests, mut total) = that_can_be_had(&SERIES, |series| prepare(workspace, &[series]));
    if !guests.is_empty() {
        outcomes.extend(in_guests(workspace, &guests, &Extent::Essential, false)?);
    }
    for outcome in outcomes {
        total.add(outcome.conclude(workspace, false)?);
    }
    Ok(total)
}

impl Kernel {
    fn series(&self) -> Option<&str> {
        match self {
            Self::Host => None,
            Self::Guest(series) => Some(series),
        }
    }
}

impl Outcome {
    /// Compares the sizes with the recorded ones, or records them.
    fn conclude(self, workspace: &Workspace, update: bool) -> Result<Report> {
        let Self { series, mut report, sizes } = self;
        let path = workspace.root.join("tests/kernels").join(format!("{series}.txt"));
        if sizes.is_empty() && report.failed == 0 {
            // Not among the tests that were asked for.
            return Ok(report);
        }
        if update {
            if !sizes.is_empty() {
                fs::write(&path, sizes.to_string()).with_context(|| format!("write {}", path.display()))?;
                println!("{series}: recorded in {}", path.display());
            }
            return Ok(report);
        }
        let Ok(recorded) = fs::read_to_string(&path) else {
            println!("{series}: no sizes recorded in {}: `cargo xtask vm --update`", path.display());
            return Ok(report);
        };
        let recorded = recorded.parse().with_context(|| format!("read {}", path.display()))?;
        let grown = sizes.growth_over(&recorded);
        if grown.is_empty() {
            println!("{series}: {} programs, none grew by more than a fifth", sizes.len());
            report.add(Report::passed());
        } else {
            println!(
                "{series}: grown by more than a fifth (`cargo xtask vm --update` if that is wanted)\n{grown}"
            );
            report.add(Report::failed(format!("{series}: program sizes")));
        }
        Ok(report)
    }
}

fn on_host(workspace: &Workspace) -> Result<Outcome> {
    let path = workspace.target.join("program-sizes");
    // Otherwise those of the last run might be taken for those of this one.
    let _absent = fs::remove_file(&path);
    let mut cargo = on_binary(workspace);
    cargo.env(SIZES_VARIABLE, &path).args([
        "test",
        "--workspace",
        "--no-fail-fast",
        "--test",
        "vm",
        "--",
        "--test-threads=1",
    ]);
    let report = count(&mut cargo)?;
    let sizes = fs::read_to_string(&path).unwrap_or_default().parse()?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("read the kernel's release")?;
    let series = release.split('.').take(2).collect::<Vec<_>>().join(".");
    Ok(Outcome { series, report, sizes })
}

/// Gets what the guests need from outside.
fn prepare(workspace: &Workspace, series: &[&str]) -> Result<Vec<Guest>> {
    if !cfg!(target_arch = "x86_64") {
        bail!("guests are made of x86_64 kernels, with this machine's programs in them");
    }
    setup::install_missing(&PROGRAMS)?;
    package::fetch_programs(workspace)?;
    let guest =
        |series: &&str| Ok(Guest { series: (*series).to_owned(), image: Image::fetch(workspace, series)? });
    series.iter().map(guest).collect()
}

/// The guests of all series that can be prepared; each of the others is reported as skipped.
fn that_can_be_had<T>(series: &[&str], prepare: impl Fn(&str) -> Result<Vec<T>>) -> (Vec<T>, Report) {
    let mut guests = Vec::new();
    let mut report = Report::default();
    for series in series {
        match prepare(series) {
            Ok(prepared) => guests.extend(prepared),
            Err(why) => report.add(Report::omitted(&format!("under kernel {series}"), &why)),
        }
    }
    (guests, report)
}

/// Builds what runs in the guests, and runs them side by side.
fn in_guests(
    workspace: &Workspace,
    guests: &[Guest],
    extent: &Extent,
    records: bool,
) -> Result<Vec<Outcome>> {
    let payload = Payload::build(workspace, extent, records)?;
    let archives = guests
        .iter()
        .map(|guest| initramfs::pack(workspace, &guest.image, &payload))
        .collect::<Result<Vec<PathBuf>>>()?;
    thread::scope(|scope| {
        let running: Vec<_> = guests
            .iter()
            .zip(&archives)
            .map(|(guest, archive)| {
                scope.spawn(|| machine::run(workspace, guest, archive, extent.time_limit()))
            })
            .collect();
        running
            .into_iter()
            .map(|guest| guest.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn what_cannot_be_had_is_skipped_by_name_and_the_rest_is_run() {
        let prepare = |series: &str| match series {
            "6.12" => Err(anyhow!("no route to host").context("download linux-image-6.12")),
            series => Ok(vec![series.to_owned()]),
        };
        let (guests, report) = that_can_be_had(&SERIES, prepare);
        assert_eq!(guests, ["6.1"]);
        assert_eq!((report.passed, report.failed, report.skipped), (0, 0, 1));
        let [omission] = report.omissions.as_slice() else { panic!("{:?}", report.omissions) };
        for part in ["under kernel 6.12", "download linux-image-6.12: no route to host"] {
            assert!(omission.contains(part), "{omission}");
        }
        assert!(report.to_string().ends_with("1 skipped"), "{report}");
    }
}
