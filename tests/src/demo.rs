//! The demonstration: a small node with the three classic faults beside healthy pods, and what the product says.
mod cast;
mod verdict;

use crate::probe::{self, PATIENCE, Run};
use crate::topology::Network;
use anyhow::{Context, Result, bail, ensure};
use cast::{Act, CAST};
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long evidence may be under way once the traffic has ended.
const DRAIN: Duration = Duration::from_secs(1);
/// Time between two rounds of traffic while the lab is held.
const HOLD_PAUSE: Duration = Duration::from_secs(5);

/// Builds the lab, runs `mtuprobe watch` on it under real traffic, and checks that exactly the faulty pods were
/// named. An error means that the product, or the lab, was wrong.
pub fn run(out: &mut impl Write) -> Result<()> {
    let begin = Instant::now();
    probe::binary()?;
    let network = build(out)?;
    writeln!(
        out,
        "\n$ mtuprobe watch        (in the namespace of the node; a second one beside it writes JSON)\n"
    )?;
    out.flush()?;
    let watch = Run::watch(network.node()).spawn()?;
    let text = Text::start(&network)?;
    watch.wait_for("attached", |line| line["type"] == "attached")?;
    text.wait_until_attached()?;
    let acts = perform(&network)?;
    std::thread::sleep(DRAIN);
    let report = watch.stop()?;
    text.stop()?;
    writeln!(out, "\nWhat the applications saw:")?;
    for act in &acts {
        writeln!(out, "  {act}")?;
    }
    let right = verdict::print(out, &network, &acts, &report)?;
    writeln!(out, "\n{:.0} s, and everything is removed again.", begin.elapsed().as_secs_f64())?;
    if right {
        return Ok(());
    }
    bail!("the findings are not as they should be\n{}", report.outcome())
}

/// Keeps the lab up, with traffic, until a signal ends the process.
pub fn hold(out: &mut impl Write) -> Result<()> {
    let network = build(out)?;
    let binary = probe::binary()?;
    let (binary, node) = (binary.display(), network.node().name());
    let full = |name: &str| network.lab().full_name(name);
    let server = network.address("server", crate::topology::Family::V4)?;
    writeln!(out, "\nThe lab is up. The node is the namespace {node}, a pod is {}.", full("POD"))?;
    writeln!(out, "All pods send every few seconds, as in the demo. In another terminal, try:\n")?;
    for (command, about) in [
        (format!("ip netns exec {node} {binary} watch"), "what is wrong here"),
        (format!("ip netns exec {node} bash"), "a shell on the node"),
        (format!("ip netns exec {node} ip -d link"), "its devices and their MTUs"),
        (
            format!("ip netns exec {} ping -M do -s 1472 {server}", full("web")),
            "1,500 bytes from a healthy pod",
        ),
        (
            format!("ip netns exec {} ping -M do -s 1400 {server}", full("cart")),
            "lost in the veth, nobody is told",
        ),
        (
            format!("ip netns exec {} ping -M do -s 8972 {server}", full("batch")),
            "the pod is told: mtu = 1500",
        ),
        (
            format!("ip netns exec {} ping -M do -s 8972 {server}", full("report")),
            "its own filter hides that",
        ),
        (format!("ip -n {node} link set vethcart mtu 1500"), "repairs cart"),
    ] {
        writeln!(out, "  # {about}\n  {command}\n")?;
    }
    writeln!(out, "Ctrl-C removes everything, shells in there included.")?;
    out.flush()?;
    loop {
        perform(&network)?;
        std::thread::sleep(HOLD_PAUSE);
    }
}

fn build(out: &mut impl Write) -> Result<Network> {
    let begin = Instant::now();
    writeln!(out, "Building a node out of network namespaces:\n")?;
    for member in CAST {
        writeln!(out, "  {member}")?;
    }
    let network = cast::build()?;
    writeln!(out, "\nBuilt as {}-* in {:.1} s.", network.lab().name(), begin.elapsed().as_secs_f64())?;
    Ok(network)
}

/// All traffic at the same time; each flow's fate in the order of the cast.
fn perform(network: &Network) -> Result<Vec<Act>> {
    let started = CAST.iter().map(|member| member.start(network)).collect::<Result<Vec<_>>>()?;
    started.into_iter().map(cast::Started::end).collect()
}

/// The human form, on the terminal of whoever looks.
#[derive(Debug)]
struct Text {
    child: Child,
    attached: mpsc::Receiver<()>,
    /// Shows its lines as they come.
    forwarder: JoinHandle<io::Result<()>>,
}

impl Text {
    fn start(network: &Network) -> Result<Self> {
        let mut child = Run::command(network.node(), &["watch", "--output", "text"])
            .prepare()?
            .stdout(Stdio::piped())
            .spawn()
            .context("starting mtuprobe")?;
        let lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let (sender, attached) = mpsc::channel();
        let forwarder = std::thread::spawn(move || {
            for line in lines {
                let line = line?;
                writeln!(io::stdout(), "{line}")?;
                if line.split_whitespace().nth(1) == Some("attached") {
                    // Nobody waits any more when the demo has failed already.
                    let _nobody_waits = sender.send(());
                }
            }
            Ok(())
        });
        Ok(Self { child, attached, forwarder })
    }

    fn wait_until_attached(&self) -> Result<()> {
        self.attached.recv_timeout(PATIENCE).context("mtuprobe watch --output text never said: attached")
    }

    fn stop(mut self) -> Result<()> {
        let pid = libc::pid_t::try_from(self.child.id()).context("a process number")?;
        // SAFETY: kill takes two integers. The child is not yet waited for, so the number is still its.
        unsafe { libc::kill(pid, libc::SIGINT) };
        let end = Instant::now() + PATIENCE;
        while self.child.try_wait().context("waiting for mtuprobe")?.is_none() {
            ensure!(Instant::now() < end, "mtuprobe did not end on Ctrl-C");
            std::thread::sleep(Duration::from_millis(20));
        }
        match self.forwarder.join() {
            Ok(shown) => shown.context("showing what mtuprobe says"),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}
