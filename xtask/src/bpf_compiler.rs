//! Which compiler builds the kernel side: the only place that decides it.
//!
//! Included by the build script of `probe-user`, which uses the compiler, and by `cargo xtask setup`,
//! which installs one if there is none. Therefore it needs nothing but the standard library.

use std::{
    env,
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

/// Names a rustup toolchain, or the absolute path of a sysroot, to be used instead of the search below.
pub const TOOLCHAIN_VARIABLE: &str = "PROBE_EBPF_TOOLCHAIN";

/// Where distributions put a compiler that rustup does not know of.
const DISTRIBUTION_RUSTC: &str = "/usr/bin/rustc";

/// A compiler that can make BPF objects.
#[derive(Debug)]
pub struct BpfCompiler {
    /// The compiler itself, not a rustup proxy.
    pub rustc: PathBuf,
    /// Its directory of `bin/` and `lib/`.
    pub sysroot: PathBuf,
    /// Where the library `core` comes from.
    pub core: Core,
}

/// Where the library `core` for BPF comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    /// The compiler brings it compiled, as Debian's `libstd-rust-web-dev-bpf` does.
    Precompiled,
    /// Compiled along with the program from the component rust-src; only nightly compilers can.
    FromSource,
}

impl fmt::Display for BpfCompiler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = match self.core {
            Core::Precompiled => "with its own core library for BPF",
            Core::FromSource => "with rust-src",
        };
        write!(formatter, "{} {core}", self.rustc.display())
    }
}

impl BpfCompiler {
    /// The compiler for `target` (`bpfel-unknown-none` or `bpfeb-unknown-none`): the one that the variable
    /// names, else rustup's nightly if it has rust-src, else the distribution's if it has `core` for BPF.
    ///
    /// # Errors
    /// A text for the user: what is missing, and the ways to get it.
    pub fn choose(target: &str) -> Result<Self, String> {
        if let Some(wanted) = env::var_os(TOOLCHAIN_VARIABLE).filter(|wanted| !wanted.is_empty()) {
            return Self::named(&wanted, target)
                .map_err(|why| format!("{TOOLCHAIN_VARIABLE}={}: {why}", wanted.display()));
        }
        let nightly = match rustup_sysroot(OsStr::new("nightly")) {
            Ok(sysroot) => Self::in_sysroot(&sysroot, target),
            Err(why) => Err(why),
        };
        let why_not_nightly = match nightly {
            Ok(compiler) => return Ok(compiler),
            Err(why) => why,
        };
        let why_not_distribution = match Self::of_distribution(target) {
            Ok(compiler) => return Ok(compiler),
            Err(why) => why,
        };
        Err(format!(
            "no compiler for {target}:\n\
             - rustup's nightly: {why_not_nightly}\n\
             - the distribution's {DISTRIBUTION_RUSTC}: {why_not_distribution}\n\
             Two ways out:\n\
             1. `cargo xtask setup` installs what is missing (on Debian the packages rustc-web and \
             libstd-rust-web-dev-bpf);\n\
             2. with rustup: `rustup toolchain install nightly --component rust-src`, and then \
             `cargo xtask setup` for bpf-linker.\n\
             {TOOLCHAIN_VARIABLE} chooses another toolchain (a name known to rustup, or the path of a sysroot)."
        ))
    }

    fn named(wanted: &OsStr, target: &str) -> Result<Self, String> {
        let path = Path::new(wanted);
        let sysroot = if path.is_absolute() { path.to_owned() } else { rustup_sysroot(wanted)? };
        Self::in_sysroot(&sysroot, target)
    }

    fn of_distribution(target: &str) -> Result<Self, String> {
        let rustc = Path::new(DISTRIBUTION_RUSTC);
        if !rustc.exists() {
            return Err("not installed".to_owned());
        }
        let sysroot = printed(Command::new(rustc).args(["--print", "sysroot"]))?;
        Self::in_sysroot(Path::new(&sysroot), target)
    }

    fn in_sysroot(sysroot: &Path, target: &str) -> Result<Self, String> {
        let rustc = sysroot.join("bin/rustc");
        if !rustc.exists() {
            return Err(format!("{} does not exist", rustc.display()));
        }
        let compiler = |core| Self { rustc: rustc.clone(), sysroot: sysroot.to_owned(), core };
        let libraries = printed(Command::new(&rustc).args(["--print", "target-libdir", "--target", target]))?;
        if holds_core(Path::new(&libraries)) {
            return Ok(compiler(Core::Precompiled));
        }
        let source = sysroot.join("lib/rustlib/src/rust/library/core");
        if !source.exists() {
            return Err(format!("neither a core library in {libraries} nor the component rust-src"));
        }
        // `-Z build-std` is refused by the cargo of a stable release.
        let version = printed(Command::new(&rustc).arg("--version"))?;
        if !version.contains("-nightly") && !version.contains("-dev") {
            return Err(format!("it has rust-src, but {version} is not a nightly, so it cannot build core"));
        }
        Ok(compiler(Core::FromSource))
    }
}

fn holds_core(directory: &Path) -> bool {
    let Ok(entries) = directory.read_dir() else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
}

fn rustup_sysroot(toolchain: &OsStr) -> Result<PathBuf, String> {
    // RUSTUP_AUTO_INSTALL=0: asking for a toolchain must not download one.
    printed(
        Command::new("rustup")
            .arg("run")
            .arg(toolchain)
            .args(["rustc", "--print", "sysroot"])
            .env("RUSTUP_AUTO_INSTALL", "0"),
    )
    .map(PathBuf::from)
}

/// Runs a command and returns the one line that it prints.
fn printed(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_owned();
    let output = command.output().map_err(|error| format!("cannot run {}: {error}", program.display()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{} says: {}", program.display(), said.lines().next().unwrap_or("nothing")))
    }
}
