//! Commands in the documents are commands of the binary, of xtask, or of programs that everybody has. Those of the README
//! are run as well: by `netns readme::`.
use super::{project, read};
use anyhow::{Context as _, Result};
use clap::Parser as _;
use mtuprobe_tests::documents::{calls, commands};
use probe_user::cli::Cli;

/// Programs whose commands are not run, because they need what a test has not: a cluster, a service manager, a release.
const NOT_RUN: [&str; 5] = ["kubectl", "helm", "systemctl", "cargo", "curl"];

#[test]
fn commands_in_the_documents_are_understood() -> Result<()> {
    let mut checked = 0;
    for document in ["README.md", "docs/kubernetes.md", "docs/configuration.md", "docs/names.md"] {
        for arguments in calls(&read(document)?) {
            let parsed = Cli::try_parse_from(["mtuprobe".to_owned()].into_iter().chain(arguments.clone()));
            assert!(parsed.is_ok(), "{document}: {arguments:?}: {}", parsed.expect_err("refused"));
            checked += 1;
        }
    }
    assert!(checked >= 10, "{checked} commands found");
    Ok(())
}

#[test]
fn what_other_programs_are_given_exists() -> Result<()> {
    let mut checked = 0;
    for document in ["README.md", "CONTRIBUTING.md", "docs/kubernetes.md", "docs/names.md"] {
        let lines = commands(&read(document)?);
        for words in lines.iter().filter(|words| NOT_RUN.contains(&words[0].as_str())) {
            for path in words.iter().filter(|word| word.starts_with("deploy/")) {
                assert!(project(path).exists(), "{document}: {words:?}: no {path}");
                checked += 1;
            }
            if let ["cargo", "xtask", command, ..] = words.iter().map(String::as_str).collect::<Vec<_>>()[..]
            {
                let file = format!("xtask/src/{command}.rs");
                assert!(project(&file).exists(), "{document}: {words:?}: no {file}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 4, "{checked} found");
    Ok(())
}

#[test]
fn pictures_and_pages_that_are_linked_exist() -> Result<()> {
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/kubernetes.md"] {
        let text = read(document)?;
        let directory = project(document).parent().context("a directory")?.to_owned();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let file = link.split('#').next().unwrap_or(link);
            assert!(directory.join(file).exists(), "{document} links {link}");
        }
    }
    Ok(())
}
