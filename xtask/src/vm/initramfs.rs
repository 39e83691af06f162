//! The guest's file system: a userland, the modules, and what is to be run.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::{
    image::Image,
    package,
    payload::{Payload, Test},
};
use crate::workspace::{Workspace, find_program, run, shown};

/// The modules of what the tests build, each after those that it needs.
const MODULES: [&str; 40] = [
    "veth",
    "bridge",
    "br_netfilter",
    "vxlan",
    "dummy",
    "bonding",
    "macvlan",
    "tun",
    "sch_ingress",
    "cls_bpf",
    "sch_netem",
    "nf_conntrack",
    "nf_conntrack_netlink",
    "nf_tables",
    "nft_ct",
    "nft_chain_nat",
    "nft_masq",
    "nft_nat",
    "nft_reject_inet",
    "nft_limit",
    "nft_log",
    "nft_numgen",
    "inet_diag",
    "tcp_diag",
    "udp_diag",
    "openvswitch",
    "vport-vxlan",
    "vport-geneve",
    "geneve",
    "wireguard",
    "ipip",
    "ip_gre",
    "ip6_gre",
    "ip6_tunnel",
    "sit",
    "vrf",
    "ipvlan",
    "8021q",
    "sch_fq_codel",
    "act_mirred",
];

/// This machine's programs that the lab calls. The shell is dash, because busybox's prefers its own `ip` to the one
/// on the path.
const PROGRAMS: [&str; 8] = ["dash", "ip", "bridge", "tc", "ping", "nft", "ethtool", "setpriv"];

/// What the guest's shell script calls; each is a name of busybox.
const APPLETS: [&str; 18] = [
    "base64", "cat", "cut", "dmesg", "echo", "grep", "gzip", "hostname", "insmod", "ln", "ls", "mkdir",
    "mount", "poweroff", "sleep", "tail", "true", "uname",
];

/// Names of protocols and services, which nft looks up.
const NAMES: [&str; 2] = ["/etc/protocols", "/etc/services"];

/// Packs the file system for a kernel.
pub fn pack(workspace: &Workspace, image: &Image, payload: &Payload) -> Result<PathBuf> {
    let root = workspace.target.join("vm/initramfs").join(&image.release);
    let archive = root.with_extension("cpio");
    let tree = Tree::create(root)?;

    tree.program("busybox")?;
    for applet in APPLETS {
        let link = tree.root.join("bin").join(applet);
        symlink("busybox", &link).with_context(|| format!("create {}", link.display()))?;
    }
    for program in PROGRAMS {
        tree.program(program)?;
    }
    for program in package::PROGRAMS {
        tree.unpacked_program(workspace, &program)?;
    }
    symlink("dash", tree.root.join("bin/sh")).context("create bin/sh")?;
    for file in NAMES.iter().filter(|file| Path::new(file).exists()) {
        tree.copy(Path::new(file), file)?;
    }
    tree.modules(image)?;

    let mut order = String::new();
    for Test { name, filters, file } in &payload.tests {
        order.push_str(&format!("{name} {}\n", filters.join(" ")));
        tree.stripped(file, &format!("tests/{name}"))?;
    }
    tree.write("tests/order", &order)?;
    if payload.records {
        tree.write("tests/records", "")?;
    }
    tree.stripped(&payload.mtuprobe, "tests/mtuprobe")?;
    tree.write("init", include_str!("init.sh"))?;
    let init = tree.root.join("init");
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("make {} executable", init.display()))?;
    tree.pack(&archive)?;
    Ok(archive)
}

/// The files before they are packed.
struct Tree {
    root: PathBuf,
}

impl Tree {
    fn create(root: PathBuf) -> Result<Self> {
        let _absent = fs::remove_dir_all(&root);
        for directory in ["bin", "dev", "etc", "proc", "root", "run", "sys", "tests", "tmp"] {
            let path = root.join(directory);
            fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        }
        Ok(Self { root })
    }

    /// Where a file of the guest lies.
    fn place(&self, guest: &str) -> Result<PathBuf> {
        let path = self.root.join(guest.trim_start_matches('/'));
        let directory = path.parent().context("a file lies in a directory")?;
        fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
        Ok(path)
    }

    fn write(&self, guest: &str, text: &str) -> Result<()> {
        let path = self.place(guest)?;
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    }

    fn copy(&self, from: &Path, guest: &str) -> Result<()> {
        let to = self.place(guest)?;
        fs::copy(from, &to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
        Ok(())
    }

    fn stripped(&self, from: &Path, guest: &str) -> Result<()> {
        run(Command::new("strip").arg("-o").arg(self.place(guest)?).arg(from))
    }

    /// A program of this machine, with the libraries that it loads.
    fn program(&self, name: &str) -> Result<()> {
        let file = find_program(name).with_context(|| format!("no program {name} on PATH"))?;
        self.copy(&file, &format!("bin/{name}"))?;
        self.libraries(&file, &[])
    }

    /// A program out of unpacked packages, with the libraries that it loads from there and from this machine.
    fn unpacked_program(&self, workspace: &Workspace, program: &package::Program) -> Result<()> {
        let roots: Vec<PathBuf> =
            program.packages.iter().map(|package| package::place(workspace, package)).collect();
        let own = roots.first().context("a program without a package")?.join(program.path);
        let name = own.file_name().and_then(|name| name.to_str()).context("a program without a name")?;
        self.copy(&own, &format!("bin/{name}"))?;
        let directories: Vec<PathBuf> =
            roots.iter().map(|root| root.join("usr/lib/x86_64-linux-gnu")).collect();
        self.libraries(&own, &directories)
    }

    /// Copies what a program loads: out of `directories` first, then from this machine.
    fn libraries(&self, file: &Path, directories: &[PathBuf]) -> Result<()> {
        let path = std::env::join_paths(directories).context("a path with a colon")?;
        let output =
            Command::new("ldd").arg(file).env("LD_LIBRARY_PATH", path).output().context("run ldd")?;
        // A statically linked program makes it fail, and needs none.
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            // Either `libc.so.6 => /lib/… (0x…)` or, for the loader, `/lib64/… (0x…)`.
            let (name, path) = line.split_once("=> ").unwrap_or((line, line));
            let path = path.trim();
            if path == "not found" {
                bail!("{} needs {}, which is in none of its packages", file.display(), name.trim());
            }
            let Some(path) = path.split_whitespace().next().filter(|path| path.starts_with('/')) else {
                continue;
            };
            let library = Path::new(path);
            let guest = match library.file_name().and_then(|name| name.to_str()) {
                Some(name) if directories.iter().any(|directory| library.starts_with(directory)) => {
                    format!("/lib/x86_64-linux-gnu/{name}")
                }
                Some(_) | None => path.to_owned(),
            };
            if !self.root.join(guest.trim_start_matches('/')).exists() {
                self.copy(library, &guest)?;
            }
        }
        Ok(())
    }

    /// The modules, unpacked, and the order in which they are to be loaded.
    fn modules(&self, image: &Image) -> Result<()> {
        let mut order = String::new();
        let mut seen = BTreeSet::new();
        for module in MODULES {
            let mut modprobe = Command::new(find_program("modprobe").context("no program modprobe on PATH")?);
            modprobe.arg("--dirname").arg(&image.root).args(["--set-version", &image.release]);
            modprobe.args(["--show-depends", module]);
            let output = modprobe.output().with_context(|| format!("run {}", shown(&modprobe)))?;
            if !output.status.success() {
                bail!("{}: {}", shown(&modprobe), String::from_utf8_lossy(&output.stderr).trim_end());
            }
            let listed = String::from_utf8_lossy(&output.stdout).into_owned();
            // A path, and perhaps parameters; the other lines tell what is built in.
            for line in listed.lines().filter_map(|line| line.trim().strip_prefix("insmod ")) {
                let (path, parameters) = line.split_once(' ').unwrap_or((line, ""));
                if seen.insert(path.to_owned()) {
                    order.push_str(&format!("{} {parameters}\n", self.module(Path::new(path))?));
                }
            }
        }
        self.write("modules.order", &order)
    }

    /// Puts a module into the guest and returns its path there.
    fn module(&self, file: &Path) -> Result<String> {
        let name = file.file_name().and_then(|name| name.to_str()).context("a module without a name")?;
        let guest = format!("/modules/{}", name.trim_end_matches(".xz"));
        if !name.ends_with(".xz") {
            self.copy(file, &guest)?;
            return Ok(guest);
        }
        let to = self.place(&guest)?;
        let unpacked = File::create(&to).with_context(|| format!("create {}", to.display()))?;
        run(Command::new("busybox").args(["unxz", "-c"]).arg(file).stdout(unpacked))?;
        Ok(guest)
    }

    /// Packs everything, as root's, whoever made it. Not compressed: unpacking would take the guest longer than
    /// reading it takes us.
    fn pack(&self, archive: &Path) -> Result<()> {
        let mut find = Command::new("find")
            .arg(".")
            .current_dir(&self.root)
            .stdout(Stdio::piped())
            .spawn()
            .context("run find")?;
        let list = find.stdout.take().context("the pipe from find")?;
        let packed = File::create(archive).with_context(|| format!("create {}", archive.display()))?;
        run(Command::new("cpio")
            .args(["--create", "--format=newc", "--owner=0:0", "--quiet"])
            .current_dir(&self.root)
            .stdin(list)
            .stdout(packed))?;
        if !find.wait().context("wait for find")?.success() {
            bail!("listing {} failed", self.root.display());
        }
        Ok(())
    }
}
