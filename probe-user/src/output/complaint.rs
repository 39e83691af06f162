//! What goes wrong, on standard error: `mtuprobe: OPERATION OBJECT: CAUSE`.
use std::fmt::Display;
use std::io::{self, Write};

/// Tells a person; a closed standard error is nothing to fail for.
pub fn complain(what: &dyn Display) {
    let _ = writeln!(io::stderr().lock(), "mtuprobe: {what}");
}
