//! A node as full as nodes get.
use anyhow::{Context as _, Result, ensure};
use mtuprobe_tests::probe::Run;
use mtuprobe_tests::topology::{Network, Plan};
use std::io::Read as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const PODS: usize = 500;
/// What it may take in memory, in bytes.
const MEMORY: u64 = 100 << 20;
/// What it may take of processors: tenfold what it takes on an idle machine, and no more where it has to wait for one.
const WORK: Duration = Duration::from_secs(20);

/// What a process took of the machine.
struct Cost {
    /// Bytes resident at most.
    memory: u64,
    /// Of all processors together.
    work: Duration,
}

/// Waits for the end of a process whose output was read.
fn end_of(child: &Child) -> Result<(i32, Cost)> {
    let pid = libc::pid_t::try_from(child.id()).context("process id")?;
    let mut status = 0;
    // SAFETY: a rusage is numbers only, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals, and the process is a child that nobody else waits for.
    let ended = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    ensure!(ended == pid, "wait4: {}", std::io::Error::last_os_error());
    let time = |value: libc::timeval| {
        Duration::from_secs(value.tv_sec.unsigned_abs()) + Duration::from_micros(value.tv_usec.unsigned_abs())
    };
    let memory = usage.ru_maxrss.unsigned_abs() * 1024;
    Ok((libc::WEXITSTATUS(status), Cost { memory, work: time(usage.ru_utime) + time(usage.ru_stime) }))
}

/// Pods as the CNI makes them, all at once.
fn fill(network: &Network) -> Result<()> {
    let names: Vec<String> = (0..PODS).map(|number| format!("many{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let pods = network.lab().add(&names)?;
    let address = |number: usize| format!("10.250.{}.{}", number / 250, number % 250 + 1);
    let links = pods.iter().enumerate().map(|(number, pod)| {
        format!(
            "link add vm{number} mtu 1500 type veth peer name eth0 mtu 1500 netns {}\n\
             link set vm{number} up\nroute add {}/32 dev vm{number}\n",
            pod.name(),
            address(number)
        )
    });
    network.node().ip(&links.collect::<String>())?;
    for (number, pod) in pods.iter().enumerate() {
        pod.ip(&format!(
            "link set eth0 up\naddress add {}/32 dev eth0\n\
             route add 169.254.1.1 dev eth0 scope link\nroute add default via 169.254.1.1 dev eth0\n",
            address(number)
        ))?;
    }
    Ok(())
}

#[test]
fn five_hundred_pods_cost_little() -> Result<()> {
    let network = Plan::new().build()?;
    fill(&network)?;
    let began = Instant::now();
    let mut command = Run::command(network.node(), &["check", "--output", "json"]).prepare()?;
    let mut child = command.stdout(Stdio::piped()).spawn().context("starting it")?;
    let mut output = String::new();
    child.stdout.take().context("no output")?.read_to_string(&mut output).context("reading its output")?;
    let (status, cost) = end_of(&child)?;
    eprintln!(
        "{PODS} pods: {:?}, of which {:?} of work; {} MB",
        began.elapsed(),
        cost.work,
        cost.memory >> 20
    );
    let inside = output.lines().filter(|line| line.starts_with(r#"{"type":"namespace""#)).count();
    ensure!(status == 0 && inside == PODS + 1, "{inside} namespaces seen, exit status {status}");
    ensure!(cost.memory < MEMORY, "{} bytes", cost.memory);
    ensure!(cost.work < WORK, "{:?}", cost.work);
    Ok(())
}
