//! What goes wrong, on standard error: `mtuprobe: OPERATION OBJECT: CAUSE`; of a service, in its log.
use std::fmt::Display;
use std::io::{self, Write};

/// Tells a person; a closed standard error is nothing to fail for.
pub fn complain(what: &dyn Display) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!("{what}");
    } else {
        let _ = writeln!(io::stderr().lock(), "mtuprobe: {what}");
    }
}

/// Tells why the program ends without having done its job.
pub fn fail(what: &dyn Display) {
    if tracing::dispatcher::has_been_set() {
        tracing::error!("{what}");
    } else {
        let _ = writeln!(io::stderr().lock(), "mtuprobe: {what}");
    }
}
