//! Runs the real binary in a node's namespace and reads what it says.
mod denial;
mod expected;
mod finding;
mod recording;
mod report;

pub use expected::Expected;
pub use finding::Finding;
pub use report::Report;

use crate::topology::Namespace;
use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Tenfold what it may take on an idle machine: a test waits this long, and fails afterwards.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Environment variable with the path of the binary.
pub const BINARY_VARIABLE: &str = "MTUPROBE_BIN";

/// A signal that ends an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// What a service manager sends.
    Terminate,
    /// Read the configuration again.
    HangUp,
    /// No chance to clean up.
    Kill,
}

/// The binary under test: `MTUPROBE_BIN`, else the one that was built beside this program.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(BINARY_VARIABLE) {
        return Ok(path.into());
    }
    let program = std::env::current_exe().context("asking for the path of this program")?;
    program
        .ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join("mtuprobe"))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            anyhow!("no mtuprobe beside {}: build it, or name it in {BINARY_VARIABLE}", program.display())
        })
}

/// How to run the binary.
#[derive(Debug)]
pub struct Run<'network> {
    namespace: &'network Namespace,
    wrapper: Vec<String>,
    arguments: Vec<String>,
    denied: bool,
}

impl<'network> Run<'network> {
    /// `mtuprobe watch --output json` in this namespace.
    pub fn watch(namespace: &'network Namespace) -> Self {
        Self::command(namespace, &["watch", "--output", "json"])
    }

    /// Any command of the binary in this namespace.
    pub fn command(namespace: &'network Namespace, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { namespace, wrapper: Vec::new(), arguments, denied: false }
    }

    /// More arguments.
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Run by another program, as `setpriv` with its options.
    pub fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|argument| (*argument).to_owned()).collect();
        self
    }

    /// Without the right to attach to tracepoints.
    pub fn without_tracepoints(mut self) -> Self {
        self.denied = true;
        self
    }

    /// The command, ready to be started.
    pub fn prepare(&self) -> Result<Command> {
        let binary = binary()?;
        let mut command = match self.wrapper.split_first() {
            None => self.namespace.command(&binary),
            Some((program, options)) => {
                let mut command = self.namespace.command(program);
                command.args(options).arg(&binary);
                command
            }
        };
        command.args(&self.arguments).stdin(Stdio::null());
        if self.arguments.first().is_some_and(|name| name == "watch") {
            command.args(recording::option());
        }
        if self.denied {
            // SAFETY: what is called between fork and exec is one system call with values of its own stack.
            unsafe { command.pre_exec(denial::tracepoints) };
        }
        Ok(command)
    }

    /// Starts it and does not wait.
    pub fn spawn(&self) -> Result<Probe> {
        let mut command = self.prepare()?;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let lines = Arc::new(Lines::default());
        let stdout = child.stdout.take().context("no standard output")?;
        let stderr = child.stderr.take().context("no standard error")?;
        let sink = Arc::clone(&lines);
        let reader = std::thread::spawn(move || sink.fill(stdout));
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            // What cannot be read is missing in the report of a failure, no more.
            let _unreadable = BufReader::new(stderr).read_to_string(&mut text);
            text
        });
        Ok(Probe { child, lines, readers: Some((reader, errors)) })
    }

    /// Starts it and waits until everything is attached.
    pub fn start(&self) -> Result<Probe> {
        let probe = self.spawn()?;
        match probe.wait_for("attached", |line| line["type"] == "attached") {
            Ok(_) => Ok(probe),
            Err(error) => {
                let report = probe.stop_with(Signal::Kill)?;
                Err(error.context(report.evidence()))
            }
        }
    }

    /// Runs it to its own end, as a command that is refused.
    pub fn to_end(&self) -> Result<Report> {
        self.spawn()?.wait()
    }
}

/// Lines as they come in.
#[derive(Debug, Default)]
struct Lines {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<(Instant, String)>,
    ended: bool,
}

impl Lines {
    fn fill(&self, stdout: impl Read) {
        for line in BufReader::new(stdout).lines() {
            let Ok(line) = line else { break };
            self.change(|state| state.lines.push((Instant::now(), line)));
        }
        self.change(|state| state.ended = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.more.notify_all();
    }
}

/// The running binary. It is killed when this is dropped.
#[derive(Debug)]
pub struct Probe {
    child: Child,
    lines: Arc<Lines>,
    readers: Option<(JoinHandle<()>, JoinHandle<String>)>,
}

impl Probe {
    /// Waits for a line of its output, from the first line on.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        self.wait_timed(what, wanted).map(|(_, line)| line)
    }

    /// Waits for a line of the text form in which this stands.
    pub fn wait_for_text(&self, part: &str) -> Result<()> {
        self.wait_line(part, |text| Ok(text.contains(part).then_some(()))).map(|_| ())
    }

    /// The same as [`Self::wait_for`], with the time when the line came.
    pub fn wait_timed(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<(Instant, Value)> {
        self.wait_line(what, |text| {
            let line: Value = serde_json::from_str(text).with_context(|| format!("not JSON: {text}"))?;
            Ok(wanted(&line).then_some(line))
        })
    }

    fn wait_line<T>(&self, what: &str, wanted: impl Fn(&str) -> Result<Option<T>>) -> Result<(Instant, T)> {
        let end = Instant::now() + PATIENCE;
        let mut state = self.lines.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut read = 0;
        loop {
            for (time, text) in &state.lines[read..] {
                if let Some(found) = wanted(text)? {
                    return Ok((*time, found));
                }
            }
            read = state.lines.len();
            if state.ended {
                bail!("mtuprobe ended without: {what}");
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("nothing in {PATIENCE:?} that says: {what}");
            }
            state = self.lines.more.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until a finding is shown that is as expected.
    pub fn wait_for_finding(&self, expected: &Expected) -> Result<(Instant, Finding)> {
        let (time, line) = self
            .wait_timed(&expected.to_string(), |line| {
                line["type"] == "finding" && expected.accepts(&Finding::new(line.clone()))
            })
            .with_context(|| self.so_far())?;
        Ok((time, Finding::new(line)))
    }

    /// Lines up to now.
    pub fn seen(&self) -> Vec<Value> {
        let state = self.lines.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lines.iter().filter_map(|(_, line)| serde_json::from_str(line).ok()).collect()
    }

    /// Number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it by Ctrl-C.
    pub fn stop(self) -> Result<Report> {
        self.stop_with(Signal::Interrupt)
    }

    /// Ends it by a signal.
    pub fn stop_with(mut self, signal: Signal) -> Result<Report> {
        self.send(signal)?;
        self.wait()
    }

    /// Sends a signal, and does not wait for anything.
    pub fn send(&mut self, signal: Signal) -> Result<()> {
        if self.child.try_wait().context("asking for the state of mtuprobe")?.is_some() {
            return Ok(());
        }
        let number = match signal {
            Signal::Interrupt => libc::SIGINT,
            Signal::Terminate => libc::SIGTERM,
            Signal::HangUp => libc::SIGHUP,
            Signal::Kill => libc::SIGKILL,
        };
        let pid = libc::pid_t::try_from(self.child.id()).context("a process number")?;
        // SAFETY: kill takes two integers. The process is a child not yet waited for, so the number is still its.
        unsafe { libc::kill(pid, number) };
        Ok(())
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Result<Report> {
        let status = self.ended()?;
        let Some((reader, errors)) = self.readers.take() else { bail!("waited for twice") };
        let (Ok(()), Ok(stderr)) = (reader.join(), errors.join()) else {
            bail!("a reader of its output panicked")
        };
        let mut state = self.lines.state.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = std::mem::take(&mut state.lines).into_iter().map(|(_, line)| line).collect();
        Ok(Report::new(status, lines, stderr))
    }

    fn ended(&mut self) -> Result<ExitStatus> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().context("waiting for mtuprobe")? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _killed = self.child.kill();
        bail!("mtuprobe did not end within {PATIENCE:?} and was killed")
    }

    fn so_far(&self) -> String {
        report::shown(&self.seen())
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for already.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}
