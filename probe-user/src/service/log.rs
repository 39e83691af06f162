//! What is written down, on standard error: for people, for the journal, or as JSON.
//!
//! Levels: `error` it cannot go on, or something was given up; `warn` findings at `warning` and above, and lost evidence;
//! `info` other findings, changes, starts and ends; `debug` each drop, ICMP error and interface.
use crate::cli::{LogForm, LogLevel};
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::OnceLock;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry, reload};

type LevelHandle = reload::Handle<LevelFilter, Registry>;

static LEVEL: OnceLock<LevelHandle> = OnceLock::new();

/// Begins to write; to be called once.
///
/// # Errors
/// Somebody else writes already.
pub fn begin(form: LogForm, level: LogLevel) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (filter, handle) = reload::Layer::new(filter(level));
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false).with_target(false);
    let layer: Box<dyn Layer<_> + Send + Sync> = match form {
        LogForm::Json => Box::new(layer.json().flatten_event(true).with_current_span(false)),
        LogForm::Auto if is_journal() => Box::new(layer.event_format(Journal::default())),
        LogForm::Auto | LogForm::Text => Box::new(layer),
    };
    tracing::subscriber::set_global_default(Registry::default().with(filter).with(layer))?;
    let _first = LEVEL.set(handle);
    Ok(())
}

/// Another level from now on.
pub fn set_level(level: LogLevel) {
    if let Some(handle) = LEVEL.get()
        && let Err(error) = handle.modify(|current| *current = filter(level))
    {
        tracing::warn!(%error, "the log level stays as it was");
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    }
}

/// Whether standard error is the journal: `JOURNAL_STREAM` names its device and inode (systemd.exec(5)).
fn is_journal() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stream) = std::fs::metadata("/proc/self/fd/2") else { return false };
    named == format!("{}:{}", stream.dev(), stream.ino())
}

/// Lines with the priority in front (sd-daemon(3)) and without a time, which the journal has itself.
struct Journal {
    inner: Format<Full, ()>,
}

impl Default for Journal {
    fn default() -> Self {
        let inner = tracing_subscriber::fmt::format().with_target(false).with_level(false).without_time();
        Self { inner: inner.with_ansi(false) }
    }
}

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        self.inner.format_event(context, writer, event)
    }
}
