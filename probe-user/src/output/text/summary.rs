//! The end: what was seen and what was not, what changed, and the causes by harm.
use super::{Context, event};
use crate::output::Summary;
use crate::output::wall_clock::WallClock;
use probe_core::model::amount::amount;
use probe_core::model::coverage::{Coverage, CoverageState};
use probe_core::model::finding::{Finding, State};
use probe_core::model::pod::Pod;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;

/// Flows with names at both ends that are told for a cause.
const FLOWS_TOLD: usize = 3;
/// Fixes of one kind that are told for a cause: pods that share one have a command each.
const FIXES_TOLD: usize = 4;

/// Names of pods that are spelt out for a cause.
const PODS_NAMED: usize = 5;

/// The text of the summary.
pub(super) fn text(summary: &Summary, context: &Context, clock: WallClock) -> String {
    let mut text = String::from("\n");
    if let Some(start) = &context.start {
        let seconds = summary.duration / 1_000_000_000;
        let _ = writeln!(
            text,
            "mtuprobe {}  node {}  kernel {}  observed {seconds} s",
            start.version, start.node, start.kernel
        );
        let noun = if summary.packets_seen == 1 { "packet" } else { "packets" };
        let packets = format!("{} {noun}", grouped(summary.packets_seen));
        let _ =
            writeln!(text, "sees      {}, {packets} of pods", event::counted(context.attached, "interface"));
        text.push_str(&event::senses(start));
    }
    text.push_str(&gaps(&context.coverage));
    for change in &context.changes {
        let _ = writeln!(
            text,
            "changed   {} {} {} {} -> {}",
            clock.time_of_day(change.time),
            change.what.name(),
            change.object,
            change.from.as_deref().unwrap_or("none"),
            change.to.as_deref().unwrap_or("none"),
        );
    }
    for (what, count) in summary.lost.iter().filter(|(_, count)| **count > 0) {
        let _ = writeln!(text, "lost      {what} {}", grouped(*count));
    }
    let causes = numbered(&summary.findings, clock);
    text.push_str(&causes);
    if summary.hidden > 0 {
        let found = if causes.is_empty() { "nothing that was asked for, " } else { "" };
        let hidden = event::counted(summary.hidden, "finding");
        let _ = writeln!(text, "{found}{hidden} of other severity, pod or interface not shown");
    } else if causes.is_empty() {
        text.push_str("nothing found\n");
    }
    text
}

/// The causes by harm, each with who suffers, the proof and what to do.
pub(in crate::output) fn numbered(findings: &[Finding], clock: WallClock) -> String {
    let causes = causes(findings);
    causes.iter().enumerate().map(|(number, findings)| cause(number + 1, findings, clock)).collect()
}

/// One line per direction and reason for all pods that are not fully seen.
pub(in crate::output) fn gaps(coverage: &[Coverage]) -> String {
    let mut pods: BTreeMap<(&str, &str, &str), (usize, Option<&str>)> = BTreeMap::new();
    for gap in coverage {
        match gap.state {
            CoverageState::Partial | CoverageState::Blind => {}
            CoverageState::Full | CoverageState::Idle => continue,
        }
        let key = (gap.state.name(), gap.direction.name(), gap.why.unwrap_or("unknown"));
        pods.entry(key).or_insert((0, gap.instead)).0 += 1;
    }
    let mut text = String::new();
    for ((state, direction, why), (count, instead)) in pods {
        let instead = instead.map(|instead| format!(": {instead}")).unwrap_or_default();
        let _ = writeln!(text, "{state:<9} {direction} of {} ({why}){instead}", event::counted(count, "pod"));
    }
    text
}

/// Findings by their cause, the worst first; refuted suspicions are left out.
pub(in crate::output) fn causes(findings: &[Finding]) -> Vec<Vec<&Finding>> {
    let mut by_cause: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.state != State::Retracted) {
        let id = finding.cause.as_ref().map_or(finding.id.as_str(), |cause| cause.id.as_str());
        by_cause.entry(id).or_default().push(finding);
    }
    let mut causes: Vec<Vec<&Finding>> = by_cause.into_values().collect();
    for findings in &mut causes {
        findings.sort_by_key(|finding| Reverse(harm(finding)));
    }
    causes.sort_by_key(|findings| Reverse(findings.first().map(|worst| harm(worst))));
    causes
}

/// What makes a finding come before another.
fn harm(finding: &Finding) -> impl Ord + use<> {
    (
        finding.severity,
        finding.state == State::Open,
        finding.impact.stalled_flows,
        finding.impact.lost_per_minute,
        finding.counts.dropped_packets,
        finding.certainty,
        Reverse(finding.first_seen),
    )
}

fn cause(number: usize, findings: &[&Finding], clock: WallClock) -> String {
    let Some(worst) = findings.first() else { return String::new() };
    let (severity, certainty) = (event::severity(worst.severity), worst.certainty.name());
    let mut text = format!("{number} {severity} {certainty}  {}", title(findings));
    let _ = writeln!(text, "     {}", extent(findings, clock));
    for (word, rest) in details(findings) {
        let _ = writeln!(text, "    {word:<8} {rest}");
    }
    text
}

/// One line about a cause.
pub(in crate::output) fn title<'a>(findings: &[&'a Finding]) -> &'a str {
    let Some(worst) = findings.first() else { return "" };
    worst.cause.as_ref().map_or(worst.title.as_str(), |cause| cause.title.as_str())
}

/// What is told of a cause, the worst of its findings first: each line with the word that it begins with.
pub(in crate::output) fn details(findings: &[&Finding]) -> Vec<(&'static str, String)> {
    let Some(worst) = findings.first() else { return Vec::new() };
    let mut details = vec![("pods", sufferers(findings))];
    details.extend(Some(ends(findings)).filter(|ends| !ends.is_empty()).map(|ends| ("flows", ends)));
    details.push(("limit", limit(findings, worst)));
    details.extend(worst.chain.clone().map(|chain| ("chain", chain)));
    details.extend(worst.cause.as_ref().and_then(|cause| cause.changed.clone()).map(|it| ("changed", it)));
    // Pods behind one fault share evidence and fixes: each is told once.
    let mut told = HashSet::new();
    for finding in findings.iter().filter(|finding| told.insert(&finding.explanation)) {
        details.push(("proof", finding.explanation.clone()));
    }
    let mut told = HashSet::new();
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for fix in findings.iter().flat_map(|finding| &finding.fixes) {
        let rest = match &fix.command {
            Some(command) if fix.text.is_empty() => command.clone(),
            Some(command) => format!("{command}   ({})", fix.text),
            None => fix.text.clone(),
        };
        if told.insert((fix.when.name(), rest.clone())) {
            let times = times.entry(fix.when.name()).or_default();
            *times += 1;
            if *times <= FIXES_TOLD {
                details.push((fix.when.name(), rest));
            }
        }
    }
    for (when, times) in times {
        if times > FIXES_TOLD {
            details.push((when, format!("and {} more like these", times - FIXES_TOLD)));
        }
    }
    details
}

/// Who sends to whom, where both ends have names.
fn ends(findings: &[&Finding]) -> String {
    let flows = findings.iter().flat_map(|finding| &finding.flows);
    let named: BTreeSet<String> = flows
        .filter_map(|report| {
            let (src, dst) = (report.src_name.as_ref()?, report.dst_name.as_ref()?);
            let port = report.flow.dst_port;
            // Before what is in parentheses: `kube-system/coredns:53 (service kube-dns)`.
            let (name, more) = dst.split_once(' ').filter(|_| dst.contains('(')).unwrap_or((dst, ""));
            let port = if port == 0 { String::new() } else { format!(":{port}") };
            Some(format!("{src} > {name}{port} {more}").trim_end().to_owned())
        })
        .collect();
    let more = named.len().saturating_sub(FLOWS_TOLD);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.into_iter().take(FLOWS_TOLD).collect::<Vec<_>>().join(", "))
}

/// How many suffer, since when, and whether it is over.
pub(in crate::output) fn extent(findings: &[&Finding], clock: WallClock) -> String {
    let mut parts = Vec::new();
    // Each finding tells how many there were when it last changed.
    let causes = || findings.iter().filter_map(|finding| finding.cause.as_ref());
    let affected = causes().map(|cause| cause.pods_affected).max();
    let total = causes().map(|cause| cause.pods_total).max().filter(|total| *total > 0);
    if let (Some(affected), Some(total)) = (affected, total) {
        parts.push(format!("{affected} of {}", amount(total.into(), "pod")));
    }
    let stalled: u64 = findings.iter().map(|finding| finding.impact.stalled_flows).sum();
    if stalled > 0 {
        let flows = if stalled == 1 { "flow" } else { "flows" };
        parts.push(format!("{} {flows} stalled", grouped(stalled)));
    }
    if let Some(first) = findings.iter().map(|finding| finding.first_seen).min() {
        parts.push(format!("since {}", clock.time_of_day(first)));
    }
    let ended = findings.iter().map(|finding| finding.ended).collect::<Option<Vec<_>>>();
    if let Some(end) = ended.and_then(|ends| ends.into_iter().max()) {
        parts.push(format!("until {}", clock.time_of_day(end)));
    }
    parts.join(", ")
}

fn sufferers(findings: &[&Finding]) -> String {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let worst = findings.iter().map(|finding| finding.severity).max();
    let own: BTreeSet<String> =
        findings.iter().filter_map(|finding| finding.pod.as_ref()).map(Pod::display_name).collect();
    for finding in findings {
        match &finding.pod {
            Some(pod) => {
                let direction = finding.direction.map(|direction| format!(" {}", direction.name()));
                // The line above tells the worst: who suffers less is not to be taken for it.
                let less = Some(finding.severity) < worst;
                let severity = if less { format!(" ({})", finding.severity.name()) } else { String::new() };
                names.insert(format!("{}{}{severity}", pod.display_name(), direction.unwrap_or_default()));
            }
            None if finding.pods.is_empty() => {
                names.insert("the node itself".to_owned());
            }
            // Who has a finding of its own is named with it.
            None => {
                let others = finding.pods.iter().map(Pod::display_name);
                names.extend(others.filter(|name| !own.contains(name)));
            }
        }
    }
    let more = names.len().saturating_sub(PODS_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named: Vec<String> = names.into_iter().take(PODS_NAMED).collect();
    format!("{}{more}", named.join(", "))
}

fn limit(findings: &[&Finding], worst: &Finding) -> String {
    let passes = match (worst.limit.mtu, worst.limit.between) {
        (Some(mtu), _) => format!("largest that passes {mtu}"),
        (None, Some((arrives, lost))) => format!("{arrives} passes, {lost} does not"),
        (None, None) => "largest that passes is unknown".to_owned(),
    };
    let sent = findings.iter().flat_map(|finding| &finding.flows).map(|flow| flow.largest_packet).max();
    let sent = sent.map(|sent| format!(", they send {sent}")).unwrap_or_default();
    let place = match (&worst.limit.interface, worst.limit.router) {
        (Some(interface), _) => format!(" at {interface}"),
        (None, Some(router)) => format!(" at {router}"),
        (None, None) => String::new(),
    };
    format!("{passes}{sent}  ({}{place}, {})", worst.limit.at.name(), worst.limit.how.name())
}

/// A number with commas between thousands.
pub(in crate::output) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
