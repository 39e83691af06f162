//! What goes wrong with the kernel side, in words that name operation, object and cause.
use super::btf::BtfError;
use super::floor;
use aya::maps::MapError;
use aya::programs::ProgramError;
use std::io;

/// What goes wrong with the kernel side.
#[derive(Debug, thiserror::Error)]
pub enum DatapathError {
    /// The kernel's type information.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// The kernel refused.
    #[error("{operation} {object}: {error}{}", hint(error))]
    System {
        /// What was to be done.
        operation: &'static str,
        /// To what.
        object: String,
        /// What the kernel said.
        error: io::Error,
    },
    /// The loader or the verifier refused.
    #[error("{operation} {object}: {message}")]
    Refused {
        /// What was to be done.
        operation: &'static str,
        /// To what.
        object: String,
        /// Why not.
        message: String,
    },
    /// The kernel lacks what no observation can do without.
    #[error("{operation} {object}: {cause}: {lack}. {}", floor::NEEDED)]
    BelowFloor {
        /// What was tried.
        operation: &'static str,
        /// With what.
        object: String,
        /// What the kernel said.
        cause: String,
        /// What that shows to be missing.
        lack: String,
    },
    /// The build had no kernel side (`PROBE_EBPF_SKIP`).
    #[error("this build has no kernel side (built with PROBE_EBPF_SKIP=1): build it again without")]
    NoObject,
}

/// What a person can do about an error number.
fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            " (needs CAP_BPF and CAP_NET_ADMIN, and CAP_PERFMON for kernel drops)"
        }
        Some(libc::ENOMEM | libc::E2BIG) => " (no room: fewer slots, or more memory for this container)",
        _ => "",
    }
}

/// The error number somewhere in a chain of causes.
fn system_error(error: &(dyn std::error::Error + 'static)) -> Option<io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(number) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return Some(io::Error::from_raw_os_error(number));
        }
        cause = error.source();
    }
    None
}

impl DatapathError {
    pub(super) fn of(
        operation: &'static str,
        object: &str,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        let object = object.to_owned();
        match system_error(error) {
            Some(error) => Self::System { operation, object, error },
            None => Self::Refused { operation, object, message: chain(error) },
        }
    }

    pub(super) fn map(operation: &'static str, name: &str, error: MapError) -> Self {
        Self::of(operation, &format!("map {name}"), &error)
    }

    pub(super) fn program(operation: &'static str, name: &str, error: &ProgramError) -> Self {
        if let ProgramError::LoadError { io_error, verifier_log } = error {
            // The verifier's reason is in its last lines; a refusal for want of rights has none.
            let log = verifier_log.to_string();
            let object = format!("program {name}");
            let Some(number) = io_error.raw_os_error().filter(|_| log.trim().is_empty()) else {
                let lines: Vec<&str> = log.lines().rev().take(12).collect();
                let tail: Vec<&str> = lines.into_iter().rev().collect();
                let message = format!("{io_error}; the verifier says: {}", tail.join(" | "));
                return Self::Refused { operation, object, message };
            };
            return Self::System { operation, object, error: io::Error::from_raw_os_error(number) };
        }
        Self::of(operation, &format!("program {name}"), error)
    }

    /// Whether the process lacks the right.
    pub fn is_permission(&self) -> bool {
        match self {
            Self::System { error, .. } => matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES)),
            Self::Btf(_) | Self::BelowFloor { .. } | Self::Refused { .. } | Self::NoObject => false,
        }
    }
}

pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    message
}
