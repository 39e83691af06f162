use super::*;
use clap::CommandFactory;

fn watch(arguments: &[&str]) -> Result<WatchConfig, clap::Error> {
    match Cli::try_parse_from([&["mtuprobe", "watch"], arguments].concat())?.command {
        Command::Watch(watch) => Ok(watch.into()),
        Command::Bundle(_)
        | Command::Check(_)
        | Command::Serve(_)
        | Command::Histogram(_)
        | Command::Replay(_)
        | Command::Path(_)
        | Command::Pods(_)
        | Command::Explain(_) => {
            panic!("another command")
        }
    }
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_option_has_a_variable() {
    let command = Cli::command();
    let arguments = command.get_subcommands().flat_map(clap::Command::get_arguments);
    for argument in arguments.filter(|argument| argument.get_id() != "help" && !argument.is_positional()) {
        let long = argument.get_long().expect("a long option");
        let expected = format!("MTUPROBE_{}", long.replace('-', "_").to_uppercase());
        assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(expected.as_str()));
    }
}

#[test]
fn options_of_watch() {
    let config = watch(&[
        "--output=json",
        "--duration=30s",
        "--pod=shop/*",
        "--pod=blue",
        "--interface=eth0,veth1",
        "--min-severity=warning",
        "--hook=clsact",
    ])
    .expect("valid");
    assert_eq!(config.output, Some(OutputForm::Json));
    assert_eq!(config.duration, Some(Duration::from_secs(30)));
    assert_eq!(config.selection.pods.len(), 2);
    assert_eq!(config.selection.interfaces, ["eth0", "veth1"]);
    assert_eq!((config.min_severity, config.hook), (Severity::Warning, HookChoice::Clsact));
}

#[test]
fn an_unknown_kind_is_answered_with_the_list() {
    let error = Cli::try_parse_from(["mtuprobe", "explain", "nonsense"]).expect_err("refused");
    assert_eq!(error.exit_code(), 2);
    for rule in RULES {
        assert!(error.to_string().contains(rule.kind.name()), "{:?}", rule.kind);
    }
}

#[test]
fn bad_usage_ends_with_status_2() {
    for arguments in
        [&["--duration=soon"][..], &["--output=xml"], &["--pod=a/b/c"], &["--interface="], &["--nonsense"]]
    {
        assert_eq!(watch(arguments).expect_err("refused").exit_code(), 2, "{arguments:?}");
    }
}
