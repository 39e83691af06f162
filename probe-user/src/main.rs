//! The binary: parse, run, exit status.
use clap::Parser;
use probe_user::cli::{Cli, Command};
use probe_user::output::complaint::complain;
use probe_user::run;
use std::process::ExitCode;

/// It could not do its job; clap ends with the same status on bad usage.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Watch(arguments) => run::watch(arguments.into()),
        Command::Histogram(arguments) => run::histogram(arguments.into()).map(|()| run::Verdict::Quiet),
        Command::Check(arguments) => run::check(&arguments.into()),
        Command::Replay(arguments) => run::replay(&arguments.into()),
        Command::Explain(arguments) => run::explain(&arguments),
    };
    match result {
        Ok(verdict) => ExitCode::from(verdict.exit_status()),
        Err(error) => {
            complain(&format_args!("{error:#}"));
            ExitCode::from(FAILED)
        }
    }
}
