//! What the log says of an observation: one event a line, with fields that do not change their names.
use crate::output::{Message, SenseState};
use probe_core::diagnose::{Output, Stage};
use probe_core::model::coverage::CoverageState;
use probe_core::model::finding::{Finding, Severity, State};
use probe_core::model::pod::Pod;

/// Writes a message down.
pub fn note(message: &Message) {
    match message {
        Message::Start(start) => {
            let missing = start.senses.iter().filter(|sense| sense.state != SenseState::Works);
            let missing: Vec<&str> = missing.map(|sense| sense.name.as_ref()).collect();
            tracing::info!(
                version = %start.version,
                kernel = %start.kernel,
                node = %start.node,
                attached = start.attached.len(),
                pending = start.pending.len(),
                senses_missing = missing.join(","),
                "start"
            );
        }
        Message::Progress { attached, pending, .. } => tracing::info!(attached, pending, "attaching"),
        Message::Attached { count, took, .. } => {
            tracing::info!(attached = count, seconds = *took as f64 / 1e9, "attached");
        }
        Message::Attach { interface, pod, .. } => {
            let (interface, role) = (&interface.interface, interface.role.name());
            tracing::debug!(%interface, role, pod = name(pod.as_ref()), "attach");
        }
        Message::Detach { interface, pod, .. } => {
            let (interface, role) = (&interface.interface, interface.role.name());
            tracing::debug!(%interface, role, pod = name(pod.as_ref()), "detach");
        }
        Message::Diagnosis { output, .. } => note_output(output),
        Message::Summary(summary) => tracing::info!(
            seconds = summary.duration / 1_000_000_000,
            findings = summary.findings.len(),
            packets_seen = summary.packets_seen,
            "end"
        ),
    }
}

fn note_output(output: &Output) {
    match output {
        Output::Finding(finding) => note_finding(finding),
        Output::PacketTooBig(report) => {
            let (pod, stage, verdict) = (name(report.pod.as_ref()), report.stage, report.verdict.name());
            let reporter = report.reporter.map(|address| address.to_string()).unwrap_or_default();
            let (next_hop_mtu, family, stage_name) =
                (report.next_hop_mtu, report.family.name(), stage.name());
            if stage == Stage::Dropped {
                tracing::info!(
                    stage = stage_name,
                    family,
                    pod,
                    reporter,
                    next_hop_mtu,
                    verdict,
                    "packet_too_big"
                );
            } else {
                tracing::debug!(
                    stage = stage_name,
                    family,
                    pod,
                    reporter,
                    next_hop_mtu,
                    verdict,
                    "packet_too_big"
                );
            }
        }
        Output::Drop(report) => tracing::debug!(
            reason = %report.reason,
            location = %report.location,
            interface = %report.interface,
            length = report.length,
            limit_mtu = report.limit_mtu,
            packets = report.packets,
            pod = name(report.pod.as_ref()),
            "drop"
        ),
        Output::Coverage(coverage) => {
            let (pod, direction) = (coverage.pod.display_name(), coverage.direction.name());
            let (state, why) = (coverage.state.name(), coverage.why.unwrap_or_default());
            match coverage.state {
                CoverageState::Partial | CoverageState::Blind => {
                    tracing::info!(pod, direction, state, why, "coverage");
                }
                CoverageState::Full | CoverageState::Idle => {
                    tracing::debug!(pod, direction, state, why, "coverage");
                }
            }
        }
        Output::Change(change) => tracing::info!(
            what = change.what.name(),
            object = %change.object,
            from = change.from.as_deref().unwrap_or("none"),
            to = change.to.as_deref().unwrap_or("none"),
            "change"
        ),
        Output::Lost(lost) => {
            tracing::warn!(what = %lost.what, count = lost.count, why = %lost.why, "evidence lost");
        }
    }
}

/// A finding: the message is its title.
fn note_finding(finding: &Finding) {
    let loud = finding.state == State::Open && finding.severity >= Severity::Warning;
    macro_rules! tell {
        ($level:ident) => {
            tracing::$level!(
                id = %finding.id,
                state = finding.state.name(),
                kind = finding.kind.name(),
                reason = finding.reason.map(|reason| reason.name()),
                severity = finding.severity.name(),
                certainty = finding.certainty.name(),
                pod = name(finding.pod.as_ref()),
                direction = finding.direction.map(|direction| direction.name()),
                limit = finding.limit.mtu,
                cause = finding.cause.as_ref().map(|cause| cause.id.as_str()),
                "{}",
                finding.title
            )
        };
    }
    if loud { tell!(warn) } else { tell!(info) }
}

fn name(pod: Option<&Pod>) -> String {
    pod.map(Pod::display_name).unwrap_or_default()
}
