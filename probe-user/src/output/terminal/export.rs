//! The selected row as JSON Lines, the same objects that `--output json` writes.
use super::Session;
use super::panes::{findings, flows, icmp, sizes};
use super::view::Pane;
use crate::output::histogram;
use crate::output::json_lines::JsonLines;
use crate::output::{Message, Writer};
use probe_core::diagnose::Output;
use probe_core::model::finding::Finding;
use probe_core::model::pod::Pod;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

/// Something to write down.
#[derive(Debug)]
pub struct Export {
    /// Name of the file, in the working directory.
    pub name: String,
    /// What goes into it.
    pub content: Vec<u8>,
}

impl Export {
    /// The selected row; `None` if there is none.
    pub(super) fn of(session: &Session) -> Option<Self> {
        let row = session.selected()?;
        let scene = session.scene();
        let content = match session.view.pane {
            Pane::Findings => {
                lines(session, findings::behind(scene, &row.key).into_iter().cloned().map(Output::Finding))
            }
            Pane::Flows => lines(session, flows::finding_of(scene, &row.key).cloned().map(Output::Finding)),
            Pane::Icmp => {
                let reports = icmp::behind(scene, &row.key).into_iter().flat_map(|error| &error.reports);
                lines(session, reports.cloned().map(Output::PacketTooBig))
            }
            Pane::Sizes => {
                let histograms = sizes::behind(scene, &row.key).into_iter().cloned().collect();
                let (time, observed) =
                    (scene.reading.time, scene.reading.time.saturating_sub(began(session)));
                histogram::json(&histogram::Sheet { time, observed, histograms }, scene.clock).ok()?
            }
            Pane::Interfaces => interface(&row.cells, &row.details),
        };
        let time = scene.clock.time_of_day(session.live.now).replace(':', "");
        let key: String = row
            .key
            .chars()
            .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
            .take(24)
            .collect();
        let pane = session.view.pane.name().to_lowercase();
        Some(Self { name: format!("mtuprobe-{pane}-{time}-{key}.jsonl"), content })
    }

    /// Writes the file; one that is there already stays as it is.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn write(&self) -> io::Result<()> {
        // What flows it names is nobody else's business.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.name)?;
        file.write_all(&self.content)
    }
}

fn began(session: &Session) -> u64 {
    session.live.told.start.as_ref().map_or(0, |start| start.time)
}

fn lines(session: &Session, outputs: impl IntoIterator<Item = Output>) -> Vec<u8> {
    let scene = session.scene();
    let mut content = Vec::new();
    let mut writer = JsonLines::new(&mut content, scene.clock);
    for output in outputs {
        // A vector takes everything.
        let _ = writer.write(&Message::Diagnosis { time: scene.now, output });
    }
    content
}

fn interface(cells: &[String], details: &[(String, String)]) -> Vec<u8> {
    let name = cells.first().cloned().unwrap_or_default();
    let details: serde_json::Map<String, serde_json::Value> =
        details.iter().map(|(word, rest)| (word.clone(), rest.clone().into())).collect();
    let mut line = serde_json::json!({"type": "interface", "interface": name, "details": details})
        .to_string()
        .into_bytes();
    line.push(b'\n');
    line
}

/// The pod that the selected row is about.
pub(super) fn pod_of(session: &Session) -> Option<Pod> {
    let row = session.selected()?;
    let scene = session.scene();
    let of = |finding: &Finding| finding.pod.clone().or_else(|| finding.pods.first().cloned());
    match session.view.pane {
        Pane::Findings => findings::behind(scene, &row.key).first().and_then(|finding| of(finding)),
        Pane::Flows => flows::finding_of(scene, &row.key).and_then(of),
        Pane::Icmp => icmp::behind(scene, &row.key)?.reports.iter().find_map(|report| report.pod.clone()),
        Pane::Sizes => sizes::behind(scene, &row.key).first().map(|histogram| histogram.pod.clone()),
        Pane::Interfaces => {
            let seen = scene.reading.interfaces.iter().find(|seen| seen.interface.name == row.key)?;
            seen.pod.clone()
        }
    }
}
