//! `mtuprobe serve` under test, and those who ask it.
use crate::probe::{PATIENCE, Probe, Report, Run, Signal};
use crate::topology::Namespace;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where it listens unless told otherwise.
pub const ADDRESS: &str = "127.0.0.1:14600";

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Header lines.
    pub headers: String,
    /// What was asked for.
    pub body: String,
}

/// Asks once, from inside a namespace.
pub fn get(namespace: &Namespace, address: &str, path: &str, headers: &[&str]) -> Result<Answer> {
    let address: SocketAddr = address.parse().context("an address")?;
    let lines: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{lines}\r\n");
    let mut text = String::new();
    namespace
        .run(|| {
            let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(request.as_bytes())?;
            stream.read_to_string(&mut text)
        })?
        .with_context(|| format!("GET {path} at {address}"))?;
    let (headers, body) = text.split_once("\r\n\r\n").context("no end of headers")?;
    let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
    let is_chunked = headers.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { unchunked(body) } else { body.to_owned() };
    Ok(Answer { status, headers: headers.to_owned(), body })
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or(0);
        let Some(chunk) = rest.get(..length).filter(|chunk| !chunk.is_empty()) else { break };
        whole.push_str(chunk);
        body = rest.get(length + 2..).unwrap_or_default();
    }
    whole
}

/// The running service.
#[derive(Debug)]
pub struct Service<'network> {
    namespace: &'network Namespace,
    probe: Probe,
}

impl<'network> Service<'network> {
    /// Starts it and waits until it is ready.
    pub fn start(namespace: &'network Namespace, arguments: &[&str]) -> Result<Self> {
        Self::start_run(namespace, &Run::command(namespace, &["serve"]).with(arguments))
    }

    /// The same, of a command that is more than arguments.
    pub fn start_run(namespace: &'network Namespace, run: &Run<'_>) -> Result<Self> {
        let service = Self { namespace, probe: run.spawn()? };
        let ready = wait("ready", || {
            let answer = service.get("/readyz").ok()?;
            (answer.status == 200).then_some(())
        });
        match ready {
            Ok(()) => Ok(service),
            Err(error) => Err(error.context(service.probe.stop_with(Signal::Kill)?.evidence())),
        }
    }

    /// Asks.
    pub fn get(&self, path: &str) -> Result<Answer> {
        get(self.namespace, ADDRESS, path, &[])
    }

    /// The page of metrics.
    pub fn metrics(&self) -> Result<Metrics> {
        let answer = self.get("/metrics")?;
        ensure!(answer.status == 200, "/metrics: {answer:?}");
        Ok(Metrics(answer.body))
    }

    /// Waits until the metrics are as wanted, and gives that page.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Metrics) -> bool) -> Result<Metrics> {
        let mut last = Metrics(String::new());
        wait(what, || {
            last = self.metrics().ok()?;
            wanted(&last).then(|| Metrics(last.0.clone()))
        })
        .with_context(|| last.0.clone())
    }

    /// The findings that stand.
    pub fn findings(&self) -> Result<Vec<Value>> {
        let answer = self.get("/findings")?;
        ensure!(answer.status == 200, "/findings: {answer:?}");
        serde_json::from_str(&answer.body).context("read /findings")
    }

    /// The process.
    pub fn probe(&mut self) -> &mut Probe {
        &mut self.probe
    }

    /// Number of its process.
    pub fn pid(&self) -> u32 {
        self.probe.pid()
    }

    /// Ends it as a service manager does.
    pub fn stop(self) -> Result<Report> {
        self.probe.stop_with(Signal::Terminate)
    }
}

/// Metrics in text format.
#[derive(Debug)]
pub struct Metrics(pub String);

impl Metrics {
    /// The sum of the series of a metric that have these labels, written `name="value"`; `None` if there are none.
    pub fn sum(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let values: Vec<f64> = self
            .0
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '))
            .filter(|(series, _)| series.is_empty() || series.starts_with('{'))
            .filter(|(series, _)| labels.iter().all(|label| series.contains(label)))
            .filter_map(|(_, value)| value.parse().ok())
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }
}

/// Asks again and again.
pub fn wait<T>(what: &str, mut wanted: impl FnMut() -> Option<T>) -> Result<T> {
    let end = Instant::now() + 3 * PATIENCE;
    while Instant::now() < end {
        if let Some(found) = wanted() {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("not within {:?}: {what}", 3 * PATIENCE)
}

/// A directory that goes with the test.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A fresh one.
    pub fn new(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("mtuprobe-test-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(Self(path))
    }

    /// Writes a file in it and gives its path.
    pub fn write(&self, name: &str, text: &str) -> Result<String> {
        let path = self.0.join(name);
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path.display().to_string())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's temporary directory.
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}
