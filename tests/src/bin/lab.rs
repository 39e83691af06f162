//! The lab by hand: `lab demo` shows the main job of mtuprobe and checks it, `lab hold` keeps the lab up.
//! Usually started by `cargo xtask demo`.
use anyhow::{Result, bail};
use mtuprobe_tests::demo;
use std::io;
use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "the errors of a program")]
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut out = io::stdout();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["demo"] => demo::run(&mut out),
        ["hold"] => demo::hold(&mut out),
        _ => bail!("usage: lab demo | lab hold"),
    }
}
