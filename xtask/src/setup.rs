//! `cargo xtask setup`: installs what is missing, and says what and why.
//!
//! On a machine that has everything it installs nothing, so every other command calls it first.

mod linker;
mod packages;
mod python;

use std::{env, process::Command};

use anyhow::{Result, anyhow, bail};

pub use packages::{Requirement, install, install_missing, refresh as refresh_packages, unpack};
pub use python::deploy_python;

use crate::{
    bpf_compiler::{BpfCompiler, TOOLCHAIN_VARIABLE},
    workspace::{Workspace, run as run_command},
};

/// The target of the kernel side on this machine.
const BPF_TARGET: &str =
    if cfg!(target_endian = "big") { "bpfeb-unknown-none" } else { "bpfel-unknown-none" };

/// Programs that the lab and the tests call.
const PROGRAMS: [Requirement; 6] = [
    Requirement { program: "ip", package: "iproute2", why: "builds the networks of the demo and the tests" },
    Requirement { program: "tc", package: "iproute2", why: "shows and sets traffic control in the tests" },
    Requirement { program: "nft", package: "nftables", why: "filters and rewrites packets in the tests" },
    Requirement { program: "ping", package: "iputils-ping", why: "sends packets of a given size" },
    Requirement {
        program: "ethtool",
        package: "ethtool",
        why: "switches segmentation offloads in the tests",
    },
    Requirement {
        program: "bpftool",
        package: "bpftool",
        why: "shows in the tests what is loaded and attached",
    },
];

/// Programs that only the tests call, too large to install for a demo.
const TEST_PROGRAMS: [Requirement; 9] = [
    Requirement {
        program: "prometheus",
        package: "prometheus",
        why: "scrapes `mtuprobe serve` in the tests",
    },
    Requirement { program: "promtool", package: "prometheus", why: "tests the alert rules" },
    Requirement { program: "systemd-analyze", package: "systemd", why: "checks the unit" },
    Requirement { program: "strace", package: "strace", why: "tells what the seccomp profile has to allow" },
    Requirement {
        program: "openssl",
        package: "openssl",
        why: "makes the certificate of a server in the tests",
    },
    Requirement { program: "python3", package: "python3", why: "is that server" },
    Requirement { program: "groff", package: "groff-base", why: "shows the man pages in the tests" },
    Requirement { program: "tshark", package: "tshark", why: "reads packet files in the tests" },
    Requirement { program: "capinfos", package: "wireshark-common", why: "tells what is in a packet file" },
];

/// Installs what only the tests need and is missing.
pub fn test_programs() -> Result<()> {
    install_missing(&TEST_PROGRAMS)
}

/// Installs whatever building, running and the demo need and is missing.
pub fn run() -> Result<()> {
    let workspace = Workspace::locate()?;
    install_missing(&PROGRAMS)?;
    if env::var_os("PROBE_EBPF_OBJECT").is_some_and(|object| !object.is_empty()) {
        println!("setup: kernel side given by PROBE_EBPF_OBJECT, neither compiler nor linker needed");
        return Ok(());
    }
    let compiler = compiler()?;
    let linker = linker::ensure(&workspace, &compiler)?;
    println!("setup: complete; kernel side built by {compiler}, linked by {}", linker.display());
    Ok(())
}

/// Installs rustfmt and clippy if the toolchain came without.
pub fn lint_components() -> Result<()> {
    let workspace = Workspace::locate()?;
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let present = workspace.cargo().args([subcommand, "--version"]).output()?.status.success();
        if !present {
            println!("setup: installing the rustup component {component}: `cargo xtask test` runs it");
            run_command(Command::new("rustup").args(["component", "add", component])).map_err(|error| {
                error.context(format!("install cargo's subcommand {subcommand} ({component})"))
            })?;
        }
    }
    Ok(())
}

fn compiler() -> Result<BpfCompiler> {
    let missing = match BpfCompiler::choose(BPF_TARGET) {
        Ok(compiler) => return Ok(compiler),
        Err(missing) => missing,
    };
    if env::var_os(TOOLCHAIN_VARIABLE).is_some_and(|toolchain| !toolchain.is_empty()) {
        // The user chose; to install something else would be wrong.
        bail!(missing);
    }
    install(
        &["rustc-web", "libstd-rust-web-dev-bpf"],
        "a Rust compiler with its core library for BPF, because rustup's nightly with rust-src is not there",
    )
    .map_err(|error| {
        error.context(
            "no compiler for the kernel side, and none could be installed. Either install Debian's packages \
             rustc-web and libstd-rust-web-dev-bpf, or run `rustup toolchain install nightly --component rust-src`",
        )
    })?;
    BpfCompiler::choose(BPF_TARGET).map_err(|missing| anyhow!(missing))
}
