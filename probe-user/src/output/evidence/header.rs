//! The first line of a recording.
use super::session::Senses;
use serde::{Deserialize, Serialize};

/// Name of the format.
pub(super) const FORMAT: &str = "mtuprobe-evidence";
/// Version of the format. A field or type more is the same version; whatever an older reader would take for something
/// else is the next one.
pub(super) const VERSION: u32 = 1;

/// What a reader must know before it reads on, of any version.
#[derive(Debug, Deserialize)]
pub(super) struct Identity {
    pub format: String,
    pub version: u32,
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub r#type: String,
    pub format: String,
    pub version: u32,
    /// Version of the program that wrote it.
    pub mtuprobe: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Names and addresses are pseudonyms.
    pub redacted: bool,
    /// Unix time in nanoseconds at zero of the monotonic clock.
    pub boot: u64,
    pub senses: Senses,
}
