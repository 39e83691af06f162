//! Keeps the evidence of each test that watches, as scenarios to replay.
use std::cell::Cell;
use std::path::PathBuf;

/// Environment variable with the directory that recordings go to; without it nothing is recorded.
const DIRECTORY_VARIABLE: &str = "MTUPROBE_TEST_RECORDINGS";

thread_local! {
    /// Observations that this test began.
    static BEGUN: Cell<u32> = const { Cell::new(0) };
}

/// The option that records, if that is wanted. The file is named after the test, which has a thread of its name.
pub(super) fn option() -> Option<String> {
    let directory = PathBuf::from(std::env::var_os(DIRECTORY_VARIABLE)?);
    let thread = std::thread::current();
    let test = thread.name()?.replace("::", ".");
    let number = BEGUN.get() + 1;
    BEGUN.set(number);
    let name = if number == 1 { format!("{test}.jsonl") } else { format!("{test}.{number}.jsonl") };
    Some(format!("--record={}", directory.join(name).display()))
}
