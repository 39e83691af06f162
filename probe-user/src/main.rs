//! The binary: parse, run, exit status.
use clap::Parser;
use probe_user::cli::{Cli, Command};
use probe_user::output::complaint::fail;
use probe_user::run;
use std::process::ExitCode;

/// It could not do its job, or was asked wrongly.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    forget_empty_variables();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            fail(&text.strip_prefix("error: ").unwrap_or(&text).trim_end());
            return ExitCode::from(FAILED);
        }
        // Help and version are no errors.
        Err(answer) => answer.exit(),
    };
    let result = match cli.command {
        Command::Watch(arguments) => run::watch(arguments.form(), arguments.into()),
        Command::Serve(arguments) => run::serve(*arguments).map(|()| run::Verdict::Quiet),
        Command::Histogram(arguments) => run::histogram(arguments.into()).map(|()| run::Verdict::Quiet),
        Command::Check(arguments) => run::check(&arguments.into()),
        Command::Bundle(arguments) => run::bundle(&arguments.into()),
        Command::Replay(arguments) => run::replay(&arguments.into()),
        Command::Path(arguments) => run::path(&arguments.into()),
        Command::Pods(arguments) => run::pods(&arguments.into()).map(|()| run::Verdict::Quiet),
        Command::Explain(arguments) => run::explain(&arguments),
    };
    match result {
        Ok(verdict) => ExitCode::from(verdict.exit_status()),
        Err(error) => {
            fail(&format_args!("{error:#}"));
            ExitCode::from(FAILED)
        }
    }
}

/// `MTUPROBE_OUTPUT=` in a manifest or a unit file means that nothing was chosen.
fn forget_empty_variables() {
    let empty = std::env::vars_os()
        .filter(|(name, value)| value.is_empty() && name.as_encoded_bytes().starts_with(b"MTUPROBE_"));
    for (name, _) in empty {
        // SAFETY: no other thread runs yet that could read the environment.
        unsafe { std::env::remove_var(name) };
    }
}
