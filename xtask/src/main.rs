//! The project's own commands, `cargo xtask COMMAND`: one file for each.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "commands for a person at a terminal")]

mod bench;
mod bpf_compiler;
mod demo;
mod dist;
mod manifests;
mod setup;
mod test;
mod tidy;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about, bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what building, testing and the demo need, as far as it is missing
    Setup,
    /// Build a small Kubernetes-like node with MTU faults and show what mtuprobe says about it (needs root)
    Demo(demo::Arguments),
    /// Check format, lints and the architecture, and run all tests (needs root)
    Test(test::Arguments),
    /// Measure what a packet pays for being observed (needs root)
    Bench(bench::Arguments),
    /// Test the kernel side under other kernels, in emulated machines (needs root for the kernel that runs)
    Vm(vm::Arguments),
    /// Build what is released: static binary, man pages, completions, image archive, Debian package, checksums
    Dist(dist::Arguments),
    /// Render the plain manifests in deploy/ from the chart
    Manifests,
    /// Check the rules of ARCHITECTURE.md that a compiler cannot
    Tidy,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Setup => setup::run(),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Vm(arguments) => vm::run(&arguments),
        Command::Dist(arguments) => dist::run(&arguments),
        Command::Manifests => manifests::run(),
        Command::Tidy => tidy::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
