//! `bundle`: what somebody needs who looks at a node's trouble from afar, in one file.
use super::check;
use super::companion::Alone;
use super::recorded::RecordFile;
use super::replay::replay_from;
use super::verdict::Verdict;
use crate::config::{BundleConfig, CheckConfig, WatchConfig};
use crate::output::archive::Archive;
use crate::output::check as told;
use crate::output::check::Checked;
use crate::output::evidence::{Reader, Recorder, Veil};
use crate::output::text::Text;
use crate::output::wall_clock::{WallClock, monotonic_now};
use crate::output::{Message, Writer};
use crate::{cli, system};
use anyhow::Context as _;
use probe_core::diagnose::Senses;
use probe_core::model::finding::Severity;
use std::cell::RefCell;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::fd::FromRawFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// So long is observed unless told otherwise.
const OBSERVED: Duration = Duration::from_secs(10);

/// Collects and writes the archive; tells its name.
///
/// # Errors
/// Nothing useful could be read, or the archive cannot be written.
pub fn bundle(config: &BundleConfig) -> anyhow::Result<Verdict> {
    let clock = WallClock::now();
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut veil = if config.redact { Veil::closed() } else { Veil::open() };
    let node = veil.node(&system::node_name());
    let stamp = clock.rfc3339(monotonic_now()).get(..19).unwrap_or_default().replace(':', "");
    let directory = format!("mtuprobe-{node}-{stamp}");
    let path = config.file.clone().unwrap_or_else(|| PathBuf::from(format!("{directory}.tar.gz")));
    let about = || format!("write {}", path.display());
    let mut archive = Archive::create(&path, directory, seconds).with_context(about)?;
    // A file that is not whole is nobody's use.
    let done = fill(config, clock, veil, &mut archive).and_then(|verdict| {
        archive.finish().with_context(about)?;
        Ok(verdict)
    });
    match done {
        Ok(verdict) => {
            writeln!(io::stdout().lock(), "{}", path.display()).context("write the results")?;
            Ok(verdict)
        }
        Err(error) => {
            // What went wrong matters more than what is left.
            let _ = std::fs::remove_file(&path);
            Err(error)
        }
    }
}

fn fill(
    config: &BundleConfig,
    clock: WallClock,
    veil: Veil,
    archive: &mut Archive,
) -> anyhow::Result<Verdict> {
    let selection = &config.selection;
    let asked = CheckConfig {
        output: cli::OutputForm::Text,
        selection: selection.clone(),
        min_severity: Severity::Info,
        places: config.places.clone(),
    };
    let (checked, mut verdict) = check::checked(&asked)?;
    let (state, veil) = state(&checked, veil, clock).context("keep the state of links and routes")?;
    let (mut text, mut json) = (Vec::new(), Vec::new());
    told::text(&checked, selection, clock, &mut text).context("tell what was checked")?;
    told::json_lines(&checked, selection, clock, &mut json).context("tell what was checked")?;
    let readable = |bytes: Vec<u8>| veil.of_text(&String::from_utf8_lossy(&bytes)).into_bytes();
    let mut members =
        vec![("check.txt", readable(text)), ("check.jsonl", readable(json)), ("state.jsonl", state)];
    match observed(config, &veil) {
        Ok((recording, text, seen)) => {
            members.extend([("recording.jsonl", recording), ("watch.txt", text)]);
            if seen == Verdict::Loud {
                verdict = seen;
            }
        }
        // What could be read is worth sending all the same.
        Err(error) => members.push(("watch.txt", format!("not observed: {error:#}\n").into_bytes())),
    }
    archive.add("README.txt", readme(config.redact).as_bytes()).context("write the archive")?;
    for (name, content) in members {
        archive.add(name, &content).context("write the archive")?;
    }
    Ok(verdict)
}

/// Links, routes, rules, settings, pods and learned exceptions, of the node and inside each pod.
fn state(checked: &Checked, veil: Veil, clock: WallClock) -> io::Result<(Vec<u8>, Veil)> {
    let survey = &checked.survey;
    let nothing =
        Senses { tc: false, kfree_skb: false, icmp_send: false, tcp_retransmit: false, conntrack: false };
    let mut recorder = Recorder::new(Vec::new(), veil, clock, checked.kernel.clone(), &nothing)?;
    recorder.topology(checked.time, &survey.node)?;
    for inside in survey.inside.values() {
        recorder.topology(checked.time, inside)?;
    }
    for read in &survey.exceptions {
        recorder.exceptions(checked.time, read)?;
    }
    Ok(recorder.into_parts())
}

/// Evidence of some seconds, and what it comes to in words.
fn observed(config: &BundleConfig, veil: &Veil) -> anyhow::Result<(Vec<u8>, Vec<u8>, Verdict)> {
    let mut file = nameless_file().context("make a file in memory")?;
    let sink = RecordFile::of("memory".to_owned(), file.try_clone()?, veil.clone());
    let observe = WatchConfig {
        output: None,
        duration: Some(config.duration.unwrap_or(OBSERVED)),
        selection: config.selection.clone(),
        min_severity: Severity::Info,
        hook: cli::HookChoice::Auto,
        record: None,
        capture: None,
        places: config.places.clone(),
    };
    let verdict = super::observe_recorded(observe, Alone, Some(sink))?;
    let mut recording = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut recording)?;
    // Told from the recording: it is under the same veil.
    let words = Rc::new(RefCell::new(Vec::new()));
    let reader = Reader::new(BufReader::new(recording.as_slice()))?;
    let writer = Words { text: Text::new(Vec::new(), reader.clock()), words: Rc::clone(&words) };
    replay_from(reader, Box::new(writer), &config.selection, || "replay the recording".to_owned())?;
    let words = words.take();
    Ok((recording, words, verdict))
}

/// Keeps the text of an observation.
struct Words {
    text: Text<Vec<u8>>,
    words: Rc<RefCell<Vec<u8>>>,
}

impl Writer for Words {
    fn write(&mut self, message: &Message) -> io::Result<()> {
        self.text.write(message)?;
        self.words.borrow_mut().append(self.text.stream_mut());
        Ok(())
    }
}

/// A file that no other program can find and that goes with its last descriptor.
fn nameless_file() -> io::Result<File> {
    let name = CString::from(c"mtuprobe-bundle");
    // SAFETY: the name is a terminated string; the descriptor is new and belongs to nobody else.
    unsafe {
        let descriptor = libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC);
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(File::from_raw_fd(descriptor))
    }
}

fn readme(redacted: bool) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let names = if redacted {
        "Names and addresses are pseudonyms, the same for the same in all files; addresses that share a prefix still do."
    } else {
        "Names and addresses are real: treat it accordingly, or make one with --redact."
    };
    format!(
        "Made by mtuprobe {version} bundle. {names}\n\n\
         check.txt        what `mtuprobe check` tells: the largest packet of each pod and what does not fit\n\
         check.jsonl      the same as JSON Lines\n\
         state.jsonl      links, routes, rules, settings, pods and learned path MTUs: the node first, then inside each pod\n\
         recording.jsonl  evidence of an observation: `mtuprobe replay recording.jsonl` finds the same again, anywhere\n\
         watch.txt        what that observation told, or why there is none\n"
    )
}
