//! What a path MTU search found, as text or JSON Lines.
mod wire;

use crate::datapath::links::WayOut;
use crate::probing::Ends;
use probe_core::model::amount::amount;
use probe_core::model::pmtu_exception::PmtuException;
use probe_core::model::pod::Pod;
use probe_core::path_search::{Found, Hop, IcmpVerdict, Step, StepVerdict, Vanishing};
use std::io::{self, Write};

pub use wire::json_lines;

/// The whole of a search.
#[derive(Clone, Debug)]
pub struct PathReport {
    /// The pod that was sent from.
    pub pod: Option<Pod>,
    /// Where probes left from, in words.
    pub origin: String,
    /// The destination as it was asked for.
    pub destination: String,
    /// Both ends of the probes.
    pub ends: Ends,
    /// The sender's own way out.
    pub way: WayOut,
    /// What the sender's own route and device take.
    pub ceiling: u32,
    /// Packets sent.
    pub sent: u32,
    /// Each size, in the order in which it was first probed.
    pub steps: Vec<Step>,
    /// The result.
    pub found: Found,
    /// How ICMP errors were asked for once more, where that was in doubt.
    pub asked: Option<Asked>,
    /// A signal ended it.
    pub interrupted: bool,
    /// Where larger packets vanish, if nobody tells and the routers on the way let themselves be seen.
    pub vanishing: Option<Vanishing>,
    /// What was tried before and not answered.
    pub unanswered: Vec<String>,
    /// Path MTUs to the destination that the kernel had learned before.
    pub learned: Vec<PmtuException>,
    /// Those that the search caused.
    pub caused: Vec<PmtuException>,
}

/// Packets that are known to be too big, sent to see whether anybody says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Packets sent.
    pub sent: u32,
    /// Errors that were to be expected.
    pub expected: u32,
    /// Errors that came back.
    pub received: u32,
}

impl PathReport {
    /// How much more a full packet of TCP would carry if the path carried what the sender sends, in bytes.
    pub fn gain(&self) -> u32 {
        self.ceiling.saturating_sub(self.found.mtu)
    }

    /// The gain as a share of what a full packet carries now, in per cent.
    pub fn gain_percent(&self) -> f64 {
        let payload = self.found.mtu.saturating_sub(self.ends.family().tcp_headers()).max(1);
        (f64::from(self.gain()) / f64::from(payload) * 1000.0).round() / 10.0
    }

    /// How many packets were sent that are too big for the path, and how many ICMP errors came back about them.
    pub fn errors(&self) -> (u32, u32) {
        if let Some(asked) = self.asked {
            return (asked.expected, asked.received);
        }
        let beyond = || self.steps.iter().filter(|step| step.size > self.found.mtu);
        let heard = beyond().flat_map(|step| &step.too_big).map(|too_big| too_big.count).sum();
        (beyond().map(|step| step.sent).sum(), heard)
    }

    fn is_full(&self) -> bool {
        self.found.mtu >= self.ceiling
    }

    /// What a search comes to, in one sentence.
    pub fn verdict(&self) -> String {
        let Found { mtu, icmp, black_hole, router, .. } = &self.found;
        let ceiling = self.ceiling;
        match (icmp, router) {
            (None, _) if self.is_full() => format!("the path carries all that this sender sends ({ceiling})"),
            (None, _) => format!("not finished: at least {mtu} passes"),
            (Some(IcmpVerdict::Works), Some((router, announced))) => {
                let (sent, heard) = self.errors();
                let share = if heard < sent {
                    format!(", in answer to {heard} of {sent} packets that are too big")
                } else {
                    String::new()
                };
                format!("the path is smaller, and the sender is told: {router} announces {announced}{share}")
            }
            (Some(IcmpVerdict::Implausible), Some((router, announced))) => {
                format!(
                    "{router} announces {announced} although {mtu} passes: senders shrink more than they must"
                )
            }
            (Some(IcmpVerdict::Implausible), None) if *black_hole => format!(
                "black hole: packets above {mtu} vanish, and what is announced cannot be true, so no sender can follow it"
            ),
            (Some(_), _) if self.found.is_exact() => {
                format!("black hole: packets above {mtu} vanish, and nobody tells the sender")
            }
            (Some(_), _) => {
                let lost = self.found.fails.unwrap_or(ceiling);
                format!(
                    "black hole: packets of {lost} vanish, and nobody tells the sender; at least {mtu} passes"
                )
            }
        }
    }
}

/// Writes it for people.
///
/// # Errors
/// The stream cannot be written to.
pub fn text(report: &PathReport, stream: &mut impl Write) -> io::Result<()> {
    let PathReport { ends, way, found, .. } = report;
    let port = if ends.dst_port == 0 { String::new() } else { format!(" port {}", ends.dst_port) };
    writeln!(
        stream,
        "path from {} ({}) by {} {} to {} ({}), {}{port}",
        report.origin,
        ends.src,
        way.interface,
        way.mtu,
        report.destination,
        ends.dst,
        ends.method.name()
    )?;
    for text in &report.unanswered {
        writeln!(stream, "tried    {text}")?;
    }
    writeln!(stream, "    size  sent  answered")?;
    for step in &report.steps {
        writeln!(
            stream,
            "  {:>6} {:>5} {:>9}  {}",
            step.size,
            step.sent,
            step.answered,
            remark(report, step)
        )?;
    }
    let exact = if found.is_exact() {
        format!("{} passes, {} does not", found.mtu, found.mtu + 1)
    } else {
        let how = if report.interrupted { "was interrupted" } else { "ended" };
        format!("at least {} passes; the search {how} before it was exact", found.mtu)
    };
    writeln!(stream, "result   {exact} ({} sent)", amount(report.sent.into(), "packet"))?;
    writeln!(stream, "verdict  {}", report.verdict())?;
    if let Some(vanishing) = &report.vanishing {
        writeln!(stream, "where    {}", whereabouts(vanishing))?;
    }
    if found.icmp.is_some() {
        let bound = if found.is_exact() { "" } else { "at most " };
        writeln!(
            stream,
            "gain     {bound}{} bytes, {} % more in each full packet, if the path carried {}",
            report.gain(),
            report.gain_percent(),
            report.ceiling
        )?;
    }
    for exception in &report.learned {
        writeln!(
            stream,
            "learned  the kernel believes in {} already, for {} s more",
            exception.mtu, exception.expires
        )?;
    }
    for exception in &report.caused {
        writeln!(
            stream,
            "caused   an ICMP error about a probe left a learned path MTU of {} in the kernel, for {} s",
            exception.mtu, exception.expires
        )?;
    }
    Ok(())
}

fn whereabouts(vanishing: &Vanishing) -> String {
    let Vanishing { size, after, before } = vanishing;
    let hop = |hop: &Hop| format!("hop {} ({})", hop.distance, hop.address);
    match after {
        Some(after) => format!(
            "packets of {size} reach {} and not {}: what is between them, or that hop's own way out, drops them",
            hop(after),
            hop(before)
        ),
        None => format!(
            "packets of {size} do not reach {}: the link to it, or what is on this node before it, drops them",
            hop(before)
        ),
    }
}

fn remark(report: &PathReport, step: &Step) -> String {
    let says = |step: &Step| {
        let announced: Vec<String> = step
            .too_big
            .iter()
            .map(|too_big| {
                let why = too_big.implausible.map(|why| format!(", which {why}")).unwrap_or_default();
                format!("{} announces {}{why}", too_big.router, too_big.next_hop_mtu)
            })
            .collect();
        announced.join("; ")
    };
    match step.verdict() {
        StepVerdict::Passes => "passes".to_owned(),
        StepVerdict::Announced => format!("too big: {}", says(step)),
        StepVerdict::Silent if step.too_big.is_empty() => "vanishes".to_owned(),
        StepVerdict::Silent => format!("vanishes; {}", says(step)),
        StepVerdict::Refused => format!("refused by this sender's own {}", report.way.interface),
        StepVerdict::Open if step.size > report.ceiling => "more than the route takes".to_owned(),
        StepVerdict::Open => "undecided".to_owned(),
    }
}
