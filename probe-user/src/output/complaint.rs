//! What goes wrong, on standard error: `mtuprobe: OPERATION OBJECT: CAUSE`; of a service, in its log.
use std::fmt::Display;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// Complaints that are kept while a screen shows, at most.
const MAX_HELD: usize = 100;

/// What was not written because a screen is where it would go.
static HELD: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// Tells a person; a closed standard error is nothing to fail for.
pub fn complain(what: &dyn Display) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!("{what}");
        return;
    }
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    match held.as_mut() {
        Some(held) if held.len() < MAX_HELD => held.push(what.to_string()),
        Some(_) => {}
        None => write(what),
    }
}

/// Tells why the program ends without having done its job.
pub fn fail(what: &dyn Display) {
    if tracing::dispatcher::has_been_set() {
        tracing::error!("{what}");
    } else {
        write(what);
    }
}

fn write(what: &dyn Display) {
    let _ = writeln!(io::stderr().lock(), "mtuprobe: {what}");
}

/// From now on complaints wait: the terminal shows something else.
pub fn hold() {
    HELD.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
}

/// What waits.
pub fn held() -> Vec<String> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
}

/// Tells what waited, and from now on at once.
pub fn release() {
    let held = HELD.lock().unwrap_or_else(PoisonError::into_inner).take();
    for complaint in held.unwrap_or_default() {
        complain(&complaint);
    }
}
