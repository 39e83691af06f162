//! The programs pass this kernel's verifier, are not larger than they need to be, and attach.
use anyhow::{Context, Result, ensure};
use mtuprobe_tests::attachment::{self, ProgramInfo};
use mtuprobe_tests::probe::Run;
use mtuprobe_tests::topology::{Network, Plan, Pod};
use probe_common::record::direction::{EGRESS, INGRESS};
use probe_user::datapath::load::{Datapath, Settings, Tracepoint};
use std::fmt::Write;
use std::fs;

/// File that `cargo xtask vm` reads the sizes from.
const SIZES_VARIABLE: &str = "MTUPROBE_PROGRAM_SIZES";
/// The first kernel with TCX.
const TCX_SINCE: (u32, u32) = (6, 6);

#[test]
fn all_are_accepted_and_attached() -> Result<()> {
    let mut datapath = Datapath::load(&Settings { our_netns: 1, slots: 64, ..Settings::default() })?;
    let mut refused = Vec::new();
    for (direction, has_ethernet) in [(INGRESS, true), (INGRESS, false), (EGRESS, true), (EGRESS, false)] {
        refused.extend(datapath.classifier(direction, has_ethernet).err().map(|error| error.to_string()));
    }
    for Tracepoint { name, why_not } in datapath.attach_tracepoints() {
        refused.extend(why_not.map(|why| format!("{name}: {why}")));
    }
    // Kept while the programs are looked at: it is what keeps its own.
    let settings = datapath.take_pod_settings();
    refused.extend(settings.as_ref().err().map(|error| format!("pod_settings: {error}")));
    let programs = attachment::own_programs()?;
    let table = table(&programs)?;
    println!("{table}");
    if let Some(path) = std::env::var_os(SIZES_VARIABLE) {
        fs::write(&path, table).with_context(|| format!("writing {}", path.display()))?;
    }
    ensure!(refused.is_empty(), "{}", refused.join("\n"));
    ensure!(
        programs.len() >= 9,
        "four at the hooks, four at tracepoints and an iterator, but there are {programs:?}"
    );
    ensure!(programs.iter().all(|program| program.verified_instructions > 0), "{programs:?}");
    Ok(())
}

#[test]
fn hooks_are_those_that_this_kernel_has() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    let report = Run::watch(network.node()).start()?.stop()?;
    let start = report.lines_of("start").next().context("no line `start`")?;
    let attached = start["attached"].as_array().context("no list of what is attached")?;
    let wanted = if kernel()? >= TCX_SINCE { "tcx" } else { "clsact" };
    ensure!(attached.iter().all(|hook| hook["hook"] == wanted), "not only {wanted}: {start}");
    let uplink = attached.iter().any(|hook| hook["role"] == "uplink");
    ensure!(uplink, "nothing at the uplink: {start}");
    let pod = Network::host_interface("pod");
    let lines = report.stdout();
    ensure!(lines.iter().any(|line| line.contains(&format!("\"{pod}\""))), "nothing at {pod}: {lines:?}");
    for left in [attachment::clsact(network.node())?, attachment::clsact_qdiscs(network.node())?] {
        ensure!(left.is_empty(), "left behind: {left:?}");
    }
    Ok(())
}

/// Major and minor number of the running kernel.
fn kernel() -> Result<(u32, u32)> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("reading the kernel's release")?;
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse().ok());
    numbers.next().zip(numbers.next()).with_context(|| format!("no version in {release}"))
}

fn table(programs: &[ProgramInfo]) -> Result<String> {
    let mut table = String::new();
    for program in programs {
        let ProgramInfo { name, verified_instructions, translated_bytes, machine_code_bytes } = program;
        writeln!(table, "{name} {verified_instructions} {translated_bytes} {machine_code_bytes}")?;
    }
    Ok(table)
}
