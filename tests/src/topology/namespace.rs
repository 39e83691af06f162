//! One network namespace: running things in it, configuring it, reading its counters.
use anyhow::{Context, Result, anyhow, bail};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where `ip netns` keeps the names.
pub const DIRECTORY: &str = "/run/netns";

/// A network namespace with a name.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    file: File,
}

impl Namespace {
    /// The namespace that `ip netns` knows by this name.
    pub fn open(name: String) -> Result<Self> {
        let path = Path::new(DIRECTORY).join(&name);
        let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        Ok(Self { name, file })
    }

    /// Full name, as in `ip netns exec NAME`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number by which the kernel tells namespaces apart.
    pub fn inode(&self) -> Result<u64> {
        Ok(self.file.metadata().context("reading the inode of a namespace")?.ino())
    }

    /// Runs `work` in this namespace, on a thread of its own: the caller stays where it is. Sockets made there
    /// belong to this namespace wherever they are used.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let descriptor = self.file.as_raw_fd();
        std::thread::scope(|scope| {
            scope
                .spawn(move || -> Result<T> {
                    enter(descriptor).with_context(|| format!("entering {}", self.name))?;
                    Ok(work())
                })
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Starts `work` in this namespace, beside the caller.
    pub fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<Task<T>> {
        let file = self.file.try_clone().context("duplicating a namespace's descriptor")?;
        let name = self.name.clone();
        let thread = std::thread::spawn(move || -> Result<T> {
            enter(file.as_raw_fd()).with_context(|| format!("entering {name}"))?;
            Ok(work())
        });
        Ok(Task { thread })
    }

    /// A command that will run in this namespace, in a process group of its own (Ctrl-C is the lab's to handle),
    /// and that dies with the thread that starts it.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let descriptor = self.file.as_raw_fd();
        let mut command = Command::new(program);
        command.process_group(0);
        // SAFETY: between fork and exec only setns and prctl are called, both plain system calls.
        unsafe {
            command.pre_exec(move || {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                enter(descriptor)
            });
        }
        command
    }

    /// Runs a program to its end and gives its standard output; a failure is an error with what it said.
    pub fn output(&self, program: &str, arguments: &[&str]) -> Result<String> {
        self.output_of(program, arguments, "")
    }

    /// The same for a program that reads its standard input.
    pub fn output_of(&self, program: &str, arguments: &[&str], input: &str) -> Result<String> {
        let mut child = self
            .command(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("running {program}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that ended early says why on its standard error, which is read below.
            let _ended_early = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().with_context(|| format!("waiting for {program}"))?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(stdout);
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{program} {} in {}: {}: {stderr}{stdout}", arguments.join(" "), self.name, output.status)
    }

    /// Runs lines of `ip` commands.
    pub fn ip(&self, script: &str) -> Result<()> {
        ip_batch(Some(&self.name), script)
    }

    /// Loads nftables rules.
    pub fn nft(&self, rules: &str) -> Result<()> {
        feed(self.command("nft").args(["-f", "-"]), rules)
            .with_context(|| format!("nft rules in {}", self.name))
    }

    /// Sets kernel settings, named as below `/proc/sys`.
    pub fn sysctl(&self, settings: &[(String, String)]) -> Result<()> {
        self.run(|| {
            for (name, value) in settings {
                fs::write(Path::new("/proc/sys").join(name), value)
                    .with_context(|| format!("setting {name} to {value} in {}", self.name))?;
            }
            Ok(())
        })?
    }

    /// Sets one kernel setting, named as below `/proc/sys`.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        self.sysctl(&[(name.to_owned(), value.to_owned())])
    }

    /// Sets a link's MTU in bytes at layer 3.
    pub fn set_mtu(&self, interface: &str, mtu: u32) -> Result<()> {
        self.ip(&format!("link set {interface} mtu {mtu}\n"))
    }

    /// Switches off what makes packets larger than the wire on these interfaces, as behind a simple NIC.
    pub fn no_offloads(&self, interfaces: &[&str]) -> Result<()> {
        for interface in interfaces {
            self.output("ethtool", &["-K", interface, "tso", "off", "gso", "off", "gro", "off"])?;
        }
        Ok(())
    }

    /// A counter of `/proc/net/snmp`, `netstat` or `snmp6`: ("Ip", "FragCreates"), ("Ip6", "InTooBigErrors").
    pub fn counter(&self, protocol: &str, name: &str) -> Result<u64> {
        let (tables, plain) = self.run(|| {
            let read =
                |file: &str| fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
            (read("snmp") + &read("netstat"), read("snmp6"))
        })?;
        let whole = format!("{protocol}{name}");
        let from_plain = plain.lines().find_map(|line| {
            let (key, value) = line.split_once(char::is_whitespace)?;
            (key == whole).then(|| value.trim().parse().ok())?
        });
        from_plain
            .or_else(|| counter_of_tables(&tables, protocol, name))
            .ok_or_else(|| anyhow!("no counter {whole} in {}", self.name))
    }

    /// Packets that an interface dropped on receiving and on sending.
    pub fn drops(&self, interface: &str) -> Result<Drops> {
        let table =
            self.run(|| fs::read_to_string("/proc/thread-self/net/dev"))?.context("reading net/dev")?;
        let row = table
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(&format!("{interface}:")))
            .ok_or_else(|| anyhow!("no interface {interface} in {}", self.name))?;
        let column = |index: usize| row.split_whitespace().nth(index).and_then(|text| text.parse().ok());
        match (column(3), column(11)) {
            (Some(received), Some(sent)) => Ok(Drops { received, sent }),
            _ => bail!("net/dev has an unknown form: {row}"),
        }
    }
}

/// Work that goes on in a namespace.
#[derive(Debug)]
pub struct Task<T> {
    thread: std::thread::JoinHandle<Result<T>>,
}

impl<T> Task<T> {
    /// Waits for its end.
    pub fn join(self) -> Result<T> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Packets dropped at an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drops {
    /// On receiving (`rx_dropped`).
    pub received: u64,
    /// On sending (`tx_dropped`).
    pub sent: u64,
}

/// Runs lines of `ip` commands, in the named namespace or in our own.
pub fn ip_batch(namespace: Option<&str>, script: &str) -> Result<()> {
    let mut command = Command::new("ip");
    if let Some(name) = namespace {
        command.args(["-n", name]);
    }
    feed(command.args(["-batch", "-"]), script).with_context(|| {
        format!("ip commands in {}:\n{}", namespace.unwrap_or("the initial namespace"), numbered(script))
    })
}

/// Ends the processes whose network namespace is one of these. They are ours: nobody else uses a lab's namespace
/// but those whom the lab itself let in.
pub fn kill_processes_in(names: &[String]) {
    let inodes: Vec<u64> = names
        .iter()
        .filter_map(|name| fs::metadata(Path::new(DIRECTORY).join(name)).ok())
        .map(|metadata| metadata.ino())
        .collect();
    let Ok(processes) = fs::read_dir("/proc") else { return };
    for process in processes.flatten() {
        let pid = process.file_name().to_str().and_then(|name| name.parse::<libc::pid_t>().ok());
        let inode = fs::metadata(process.path().join("ns/net")).map(|metadata| metadata.ino());
        if let (Some(pid), Ok(inode)) = (pid, inode)
            && inodes.contains(&inode)
        {
            // SAFETY: kill takes two integers and touches no memory of ours.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
}

fn enter(descriptor: RawFd) -> std::io::Result<()> {
    // SAFETY: setns takes two integers; it moves only the calling thread.
    match unsafe { libc::setns(descriptor, libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

fn feed(command: &mut Command, input: &str) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {program}: is it installed?"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended early says why on its standard error, which is read below.
        let _ended_early = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().with_context(|| format!("waiting for {program}"))?;
    if output.status.success() {
        return Ok(());
    }
    bail!("{program}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim_end())
}

fn numbered(script: &str) -> String {
    script.lines().enumerate().map(|(index, line)| format!("{:4} {line}\n", index + 1)).collect()
}

/// Tables of two lines each: names, then values.
fn counter_of_tables(tables: &str, protocol: &str, name: &str) -> Option<u64> {
    let mark = format!("{protocol}:");
    let mut rows = tables.lines().filter_map(|line| line.strip_prefix(&mark));
    while let (Some(names), Some(values)) = (rows.next(), rows.next()) {
        let column = names.split_whitespace().position(|column| column == name);
        if let Some(value) = column.and_then(|index| values.split_whitespace().nth(index)) {
            return value.parse().ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_counter_in_tables_of_two_lines() {
        let tables = "Ip: Forwarding FragOKs\nIp: 1 7\nTcp: RetransSegs\nTcp: 3\n";
        assert_eq!(counter_of_tables(tables, "Ip", "FragOKs"), Some(7));
        assert_eq!(counter_of_tables(tables, "Tcp", "RetransSegs"), Some(3));
        assert_eq!(counter_of_tables(tables, "Tcp", "FragOKs"), None);
    }
}
