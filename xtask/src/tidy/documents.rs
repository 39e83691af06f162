//! Rules about the documents: they must tell what the code does today.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Violation, files::File};
use crate::workspace::Workspace;

/// One file for each finding kind, named after it.
const RULE_FILES: &str = "probe-core/src/diagnose/rules";
/// Where they are listed.
const RULE_TABLE: &str = "probe-core/src/diagnose/rules.rs";
/// Documents that the project promises to have.
const DOCUMENTS: [&str; 7] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
];

pub fn check(workspace: &Workspace, files: &[File]) -> Result<Vec<Violation>> {
    let mut violations: Vec<Violation> = DOCUMENTS
        .iter()
        .filter(|name| text_of(files, name).is_none())
        .map(|name| violation(name, "documents", "does not exist".to_owned(), "a newcomer looks for it"))
        .collect();
    violations.extend(kinds_missing(files));
    violations.extend(rules_unlisted(files));
    violations.extend(tests_missing(files));
    let version = version(files).with_context(|| format!("no version in {}", workspace.root.display()))?;
    violations.extend(version_missing(files, &version));
    Ok(violations)
}

/// Finding kinds that the README does not tell of.
fn kinds_missing(files: &[File]) -> Vec<Violation> {
    let Some(readme) = text_of(files, "README.md") else { return Vec::new() };
    kinds(files)
        .filter(|kind| !readme.contains(&format!("`{kind}`")))
        .map(|kind| {
            violation(
                "README.md",
                "finding kinds",
                format!("does not explain `{kind}`, for which there is {RULE_FILES}/{kind}.rs"),
                "one stem everywhere: whoever reads a finding looks it up by its kind",
            )
        })
        .collect()
}

/// Finding kinds whose rule is in no table, so that nobody would ever read its texts.
fn rules_unlisted(files: &[File]) -> Vec<Violation> {
    let table = text_of(files, RULE_TABLE).unwrap_or_default();
    kinds(files)
        .filter(|kind| !table.contains(&format!("&{kind}::RULE")))
        .map(|kind| {
            violation(
                RULE_TABLE,
                "finding kinds",
                format!("RULES lacks &{kind}::RULE"),
                "`explain`, the texts of findings and the documentation are made from the table",
            )
        })
        .collect()
}

/// Tests that the README names as proof, `target::file` or `target::file::test`, and that do not exist.
fn tests_missing(files: &[File]) -> Vec<Violation> {
    let Some(readme) = text_of(files, "README.md") else { return Vec::new() };
    let exists = |name: &str| {
        let parts: Vec<&str> = name.split("::").collect();
        let text = |target: &str, file: &str| text_of(files, &format!("tests/{target}/{file}.rs"));
        match parts.as_slice() {
            [target, file] => text(target, file).is_some(),
            [target, file, test] => {
                text(target, file).is_some_and(|text| text.contains(&format!("fn {test}()")))
            }
            _ => false,
        }
    };
    let rows = readme.lines().filter(|line| line.starts_with("| "));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    quoted
        .filter(|name| name.contains("::") && !exists(name))
        .map(|name| {
            violation(
                "README.md",
                "tests as proof",
                format!("names `{name}`, which is no test"),
                "a table of what works is worth what shows it",
            )
        })
        .collect()
}

fn kinds(files: &[File]) -> impl Iterator<Item = &str> {
    files
        .iter()
        .filter(|file| file.path.parent() == Some(Path::new(RULE_FILES)))
        .filter_map(|file| file.path.file_stem()?.to_str())
}

fn version_missing(files: &[File], version: &str) -> Option<Violation> {
    let changelog = text_of(files, "CHANGELOG.md")?;
    let told = changelog.lines().any(|line| line.starts_with("## ") && line.contains(version));
    (!told).then(|| {
        violation(
            "CHANGELOG.md",
            "changelog",
            format!("has no section for version {version} of Cargo.toml"),
            "users read there what an upgrade brings",
        )
    })
}

/// The version under `[workspace.package]`.
fn version(files: &[File]) -> Option<String> {
    let manifest = text_of(files, "Cargo.toml")?;
    let (_, package) = manifest.split_once("[workspace.package]")?;
    let line = package.lines().find(|line| line.starts_with("version"))?;
    line.split('"').nth(1).map(str::to_owned)
}

fn text_of<'a>(files: &'a [File], path: &str) -> Option<&'a str> {
    files.iter().find(|file| file.path == Path::new(path)).map(|file| file.text.as_str())
}

fn violation(file: &str, rule: &'static str, what: String, why: &'static str) -> Violation {
    Violation { file: file.into(), line: 0, rule, what, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wants_each_kind_in_the_readme() {
        let rule = File::new("probe-core/src/diagnose/rules/veth_mtu_mismatch.rs", String::new());
        let told = File::new("README.md", "| `veth_mtu_mismatch` | ends differ |".to_owned());
        let untold = File::new("README.md", "veth_mtu_mismatch_other".to_owned());
        assert_eq!(kinds_missing(&[rule, told]).len(), 0);
        let rule = File::new("probe-core/src/diagnose/rules/veth_mtu_mismatch.rs", String::new());
        assert_eq!(kinds_missing(&[rule, untold]).len(), 1);
    }

    #[test]
    fn wants_the_tests_that_the_readme_names() {
        let files = |named: &str| {
            let test = "#[test]\nfn a_vrf_leads_out() -> Result<()> {".to_owned();
            [
                File::new("tests/guests/vrf.rs", test),
                File::new("README.md", format!("| `tc` | works | `{named}` |")),
            ]
        };
        for named in ["guests::vrf", "guests::vrf::a_vrf_leads_out"] {
            assert_eq!(tests_missing(&files(named)), []);
        }
        for named in ["guests::vrfs", "guests::vrf::a_vrf_leads", "guests::vrf::tests::a_vrf_leads_out"] {
            assert_eq!(tests_missing(&files(named)).len(), 1, "{named}");
        }
    }

    #[test]
    fn wants_each_rule_in_the_table() {
        let files = |table: &str| {
            [
                File::new("probe-core/src/diagnose/rules/pmtu_black_hole.rs", String::new()),
                File::new(RULE_TABLE, table.to_owned()),
            ]
        };
        assert_eq!(rules_unlisted(&files("pub mod pmtu_black_hole;")).len(), 1);
        assert_eq!(rules_unlisted(&files("[&pmtu_black_hole::RULE]")), []);
    }

    #[test]
    fn wants_the_version_in_the_changelog() {
        let changelog = [File::new("CHANGELOG.md", "## 0.1.0\n".to_owned())];
        assert!(version_missing(&changelog, "0.1.0").is_none());
        assert!(version_missing(&changelog, "0.2.0").is_some());
    }

    #[test]
    fn reads_the_version_of_the_workspace() {
        let manifest = "[workspace]\nresolver = \"3\"\n\n[workspace.package]\nversion = \"1.2.3\"\n";
        let files = [File::new("Cargo.toml", manifest.to_owned())];
        assert_eq!(version(&files).as_deref(), Some("1.2.3"));
    }
}
