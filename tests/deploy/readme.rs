//! Commands in the documents are commands of the binary, of xtask, or of programs that everybody has.
use super::read;
use anyhow::Result;
use clap::Parser as _;
use probe_user::cli::Cli;

/// The lines of a document's code blocks that call mtuprobe, as words.
fn calls(text: &str) -> Vec<Vec<String>> {
    let mut in_block = false;
    let mut calls = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        }
        let line = line.trim_start_matches("# ");
        let (command, _) = line.split_once("  #").unwrap_or((line, ""));
        let mut words = command.split_whitespace().map(str::to_owned);
        let program = words.next().unwrap_or_default();
        if in_block && (program == "mtuprobe" || program.ends_with("/mtuprobe")) {
            let arguments: Vec<String> = words.collect();
            // What it says of itself begins with its version.
            if arguments.first().is_some_and(|first| !first.starts_with(|c: char| c.is_ascii_digit())) {
                calls.push(arguments);
            }
        }
    }
    calls
}

#[test]
fn commands_in_the_documents_are_understood() -> Result<()> {
    let mut checked = 0;
    for document in ["README.md", "docs/kubernetes.md", "docs/configuration.md"] {
        for arguments in calls(&read(document)?) {
            let parsed = Cli::try_parse_from(["mtuprobe".to_owned()].into_iter().chain(arguments.clone()));
            assert!(parsed.is_ok(), "{document}: {arguments:?}: {}", parsed.expect_err("refused"));
            checked += 1;
        }
    }
    assert!(checked >= 10, "{checked} commands found");
    Ok(())
}
