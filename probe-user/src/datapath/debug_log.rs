//! The kernel side's debug lines on standard error (feature `debug-log`).
use super::load::DatapathError;
use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};

/// Reads the lines; the programs need it before they are loaded, and for as long as they run.
pub struct DebugLog {
    logger: EbpfLogger<StandardError>,
}

/// Prints a line.
struct StandardError;

impl Log for StandardError {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    #[expect(clippy::print_stderr, reason = "whoever builds with this feature wants to read it there")]
    fn log(&self, record: &Record<'_>) {
        eprintln!("mtuprobe kernel side: {}", record.args());
    }

    fn flush(&self) {}
}

impl DebugLog {
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, DatapathError> {
        let logger = EbpfLogger::init_with_logger(ebpf, StandardError)
            .map_err(|error| DatapathError::of("read", "debug lines", &error))?;
        Ok(Self { logger })
    }

    /// Prints what came since the last time.
    pub fn flush(&mut self) {
        self.logger.flush();
    }
}
