//! The line of an event: time, a word for what it is, the rest.
use crate::output::wall_clock::WallClock;
use crate::output::{AttachedInterface, Message, SenseState, Start};
use probe_core::diagnose::{DropReport, Output, PacketTooBigReport, Verdict};
use probe_core::model::Time;
use probe_core::model::amount::amount;
use probe_core::model::coverage::Coverage;
use probe_core::model::finding::{Finding, Severity, State};
use probe_core::model::pod::Pod;
use std::fmt::Write;

/// The text of a message that is no summary; it ends with a newline.
pub(super) fn text(message: &Message, clock: WallClock) -> String {
    match message {
        Message::Start(start) => head(start),
        Message::Progress { time, attached, pending } => {
            let rest = format!("{attached} of {}", counted(attached + pending, "interface"));
            line(clock, *time, "attaching", &rest)
        }
        Message::Attached { time, count, took } => {
            let seconds = took / 1_000_000_000;
            let tenths = took / 100_000_000 % 10;
            let rest = format!("{} after {seconds}.{tenths} s", counted(*count, "interface"));
            line(clock, *time, "attached", &rest)
        }
        Message::Attach { time, interface, pod } => {
            line(clock, *time, "attach", &interface_text(interface, pod.as_ref()))
        }
        Message::Detach { time, interface, pod } => {
            line(clock, *time, "detach", &interface_text(interface, pod.as_ref()))
        }
        Message::Diagnosis { time, output } => match output {
            Output::Finding(finding) => line(clock, *time, &finding_word(finding), &finding_text(finding)),
            Output::PacketTooBig(report) => line(clock, report.time, "icmp", &packet_too_big(report)),
            Output::Drop(report) => line(clock, report.time, "drop", &drop_text(report)),
            Output::Coverage(coverage) => line(clock, *time, "coverage", &coverage_text(coverage)),
            Output::Change(change) => line(
                clock,
                change.time,
                "change",
                &format!(
                    "{} {} {} -> {}",
                    change.what.name(),
                    change.object,
                    change.from.as_deref().unwrap_or("none"),
                    change.to.as_deref().unwrap_or("none"),
                ),
            ),
            Output::Lost(lost) => {
                let interface = lost.interface.as_ref().map(|name| format!(" on {name}")).unwrap_or_default();
                let rest = format!("{} {}{interface} ({})", lost.what, lost.count, lost.why);
                line(clock, lost.time, "lost", &rest)
            }
        },
        Message::Summary(_) => String::new(),
    }
}

fn line(clock: WallClock, time: Time, word: &str, rest: &str) -> String {
    format!("{} {word:<9} {rest}\n", clock.time_of_day(time))
}

/// `1 interface`, `2 interfaces`.
pub(in crate::output) fn counted(number: usize, what: &str) -> String {
    amount(number as u64, what)
}

/// The first lines: who observes, what is seen and what is not.
fn head(start: &Start) -> String {
    let mut text =
        format!("mtuprobe {}  node {}  kernel {}  times in UTC\n", start.version, start.node, start.kernel);
    let mut seen: Vec<String> = start
        .attached
        .iter()
        .map(|attached| format!("{} {} ({})", attached.role.name(), attached.interface, attached.hook.name()))
        .collect();
    if !start.pending.is_empty() {
        seen.push(format!("{} to come", counted(start.pending.len(), "interface")));
    }
    if seen.is_empty() {
        seen.push("no interface".to_owned());
    }
    let _ = writeln!(text, "sees      {}", seen.join(", "));
    text.push_str(&senses(start));
    text
}

/// What works, and a line for each sense that does not.
pub(super) fn senses(start: &Start) -> String {
    let mut text = String::new();
    let works: Vec<&str> = start
        .senses
        .iter()
        .filter(|sense| sense.state == SenseState::Works)
        .map(|sense| sense.name.as_ref())
        .collect();
    if !works.is_empty() {
        let _ = writeln!(text, "senses    {}", works.join(", "));
    }
    for sense in start.senses.iter().filter(|sense| sense.state != SenseState::Works) {
        let why = sense.why.as_deref().unwrap_or("no reason known");
        let _ = writeln!(text, "{:<9} {}: {why}", sense.state.name(), sense.name);
    }
    text
}

fn interface_text(interface: &AttachedInterface, pod: Option<&Pod>) -> String {
    let pod = pod.map(|pod| format!("  pod {}", pod.display_name())).unwrap_or_default();
    format!("{} {} ({}){pod}", interface.role.name(), interface.interface, interface.hook.name())
}

/// `CRITICAL` stands out among words in lower case.
pub(in crate::output) fn severity(severity: Severity) -> String {
    match severity {
        Severity::Critical => severity.name().to_uppercase(),
        Severity::Warning | Severity::Info => severity.name().to_owned(),
    }
}

fn finding_word(finding: &Finding) -> String {
    match finding.state {
        State::Open => severity(finding.severity),
        State::Closed | State::Retracted => finding.state.name().to_owned(),
    }
}

fn finding_text(finding: &Finding) -> String {
    let kind = match finding.reason {
        Some(reason) => format!("{}/{}", finding.kind.name(), reason.name()),
        None => finding.kind.name().to_owned(),
    };
    let who = finding.pod.as_ref().map_or_else(|| "node".to_owned(), Pod::display_name);
    format!("{}  {kind}  {who}  {}  [{}]", finding.certainty.name(), finding.title, finding.id)
}

fn packet_too_big(report: &PacketTooBigReport) -> String {
    let mut text = report.stage.name().to_owned();
    if let Some(mtu) = report.next_hop_mtu {
        let _ = write!(text, "  next hop takes {mtu}");
    }
    if let Some(reporter) = report.reporter {
        let _ = write!(text, ", says {reporter}");
    }
    if let Some(original) = &report.original {
        let length = report.original_length.map(|length| format!(" of {length}")).unwrap_or_default();
        let _ = write!(text, "  about {original}{length}");
    }
    if let Some((interface, _)) = &report.seen_at {
        let _ = write!(text, "  at {interface}");
    }
    if let Some(pod) = &report.pod {
        let _ = write!(text, "  pod {}", pod.display_name());
    }
    if report.verdict != Verdict::Plausible {
        let why = report.why.as_deref().unwrap_or_default();
        let _ = write!(text, "  {}: {why}", report.verdict.name());
    }
    text
}

fn drop_text(report: &DropReport) -> String {
    let mut text = match report.limit_mtu {
        Some(limit) => format!("{} > {limit}", report.length),
        None => report.length.to_string(),
    };
    let _ = write!(text, "  at {}", report.interface);
    if let Some(flow) = &report.flow {
        let _ = write!(text, "  {flow}");
    }
    if let Some(pod) = &report.pod {
        let _ = write!(text, "  pod {}", pod.display_name());
    }
    if report.packets > 1 {
        let _ = write!(text, "  {} packets", report.packets);
    }
    let place = if report.location.is_empty() { "unknown place" } else { &report.location };
    let _ = write!(text, "  {place} {}", report.reason);
    text
}

fn coverage_text(coverage: &Coverage) -> String {
    let why = coverage.why.map(|why| format!(" ({why})")).unwrap_or_default();
    let instead = coverage.instead.map(|instead| format!(": {instead}")).unwrap_or_default();
    let (direction, state) = (coverage.direction.name(), coverage.state.name());
    format!("{} {direction} {state}{why}{instead}", coverage.pod.display_name())
}
