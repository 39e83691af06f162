//! Rules about files as such: their size, their names, what no text may contain.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{Violation, source};
use crate::workspace::Workspace;

/// A file of more lines is worth splitting.
pub const LINES_WARN: usize = 400;
/// A file of more lines must be split.
pub const LINES_MOST: usize = 600;

/// Names that tell nothing of what is inside.
const VAGUE_NAMES: [&str; 4] = ["utils.rs", "util.rs", "misc.rs", "helpers.rs"];

/// A text file of the project.
#[derive(Debug)]
pub struct File {
    /// Relative to the workspace.
    pub path: PathBuf,
    pub text: String,
    /// Of Rust source, the text without comments, literals and tests; of anything else nothing.
    pub code: String,
}

impl File {
    pub fn new(path: impl Into<PathBuf>, text: String) -> Self {
        let path = path.into();
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        let code = if is_rust { source::without_tests(&source::code_only(&text)) } else { String::new() };
        Self { path, text, code }
    }
}

/// Reads every text file of the project: all but the target directory, `.git` and what is not UTF-8.
pub fn read_all(workspace: &Workspace) -> Result<Vec<File>> {
    let mut files = Vec::new();
    let mut directories = vec![workspace.root.clone()];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory).with_context(|| format!("read {}", directory.display()))?;
        for entry in entries {
            let path = entry.with_context(|| format!("read {}", directory.display()))?.path();
            let generated = path == workspace.target || path.ends_with("target") || path.ends_with(".git");
            if generated || path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let relative = path.strip_prefix(&workspace.root).context("a file outside the workspace")?;
                files.push(File::new(relative, text));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    blank_test_modules(&mut files);
    Ok(files)
}

/// Takes files that exist for tests only (`#[cfg(test)] mod tests;`) out of the code that the rules look at.
fn blank_test_modules(files: &mut [File]) {
    let modules: Vec<PathBuf> = files
        .iter()
        .flat_map(|file| {
            let directory = match file.path.file_name().and_then(|name| name.to_str()) {
                Some("lib.rs" | "main.rs") => file.path.parent().unwrap_or(Path::new("")).to_owned(),
                _ => file.path.with_extension(""),
            };
            let names = source::test_modules(&source::code_only(&file.text));
            names.into_iter().map(move |name| directory.join(name))
        })
        .collect();
    for file in files {
        let module = file.path.with_extension("");
        if modules.iter().any(|test| module.starts_with(test)) {
            file.code.clear();
        }
    }
}

pub fn check(workspace: &Workspace, files: &[File]) -> Vec<Violation> {
    let mut violations = long(files, LINES_MOST, usize::MAX);
    violations.extend(files.iter().filter_map(|file| bad_name(&file.path)));
    violations.extend(machine_paths(files, &paths_of_this_machine(&workspace.root)));
    violations
}

/// Source files of more than `above` and at most `most` lines.
pub fn long(files: &[File], above: usize, most: usize) -> Vec<Violation> {
    files
        .iter()
        .filter(|file| file.path.extension().is_some_and(|extension| extension == "rs"))
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines > above && *lines <= most)
        .map(|(file, lines)| Violation {
            file: file.path.clone(),
            line: 0,
            rule: "file length",
            what: format!("{lines} lines, more than {above}: split it by noun"),
            why: "a file should be read in one go",
        })
        .collect()
}

fn bad_name(path: &Path) -> Option<Violation> {
    let name = path.file_name()?.to_str()?;
    let violation = |rule, what: &str, why| {
        Some(Violation { file: path.to_owned(), line: 0, rule, what: what.to_owned(), why })
    };
    if name == "mod.rs" {
        return violation(
            "module files",
            "name it after its directory: foo.rs beside foo/",
            "an editor with five tabs called mod.rs helps nobody",
        );
    }
    if VAGUE_NAMES.contains(&name) {
        return violation(
            "noun names",
            "name it after the thing that it is about",
            "a drawer for everything is never tidied",
        );
    }
    None
}

/// Absolute paths that mean something on this machine alone: the checkout and the home directory.
fn paths_of_this_machine(root: &Path) -> Vec<String> {
    let home = env::var_os("HOME").map(PathBuf::from);
    [Some(root.to_owned()), home]
        .into_iter()
        .flatten()
        .filter(|path| path.components().count() > 1)
        .map(|path| format!("{}/", path.display()))
        .chain(["/home/".to_owned(), "/Users/".to_owned()])
        .collect()
}

fn machine_paths(files: &[File], forbidden: &[String]) -> Vec<Violation> {
    let mut violations = Vec::new();
    // This file names some of them in order to find them.
    for file in files.iter().filter(|file| !file.path.ends_with(file!())) {
        for (index, line) in file.text.lines().enumerate() {
            let Some(path) = forbidden.iter().find(|path| names_path(line, path)) else { continue };
            violations.push(Violation {
                file: file.path.clone(),
                line: index + 1,
                rule: "machine paths",
                what: format!("names a place below {path}"),
                why: "the project must build and run anywhere",
            });
        }
    }
    violations
}

/// Whether a line holds an absolute path that starts like this; `/srv/home/x` does not start with `/home/`.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | '~' | '/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_files_that_are_too_long() {
        let files = [File::new("a.rs", "x\n".repeat(601)), File::new("b.rs", "x\n".repeat(600))];
        let found = long(&files, 600, usize::MAX);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].file, Path::new("a.rs"));
        assert_eq!(long(&files, 400, 600).len(), 1);
    }

    #[test]
    fn leaves_files_of_tests_alone() {
        let mut files = [
            File::new("probe-core/src/decode.rs", "#[cfg(test)]\nmod tests;\nmod packet;".to_owned()),
            File::new("probe-core/src/decode/tests.rs", "use std::fs;".to_owned()),
            File::new("probe-core/src/decode/packet.rs", "use std::fs;".to_owned()),
        ];
        blank_test_modules(&mut files);
        assert_eq!(files[1].code, "");
        assert_eq!(files[2].code, "use std::fs;");
    }

    #[test]
    fn finds_names_that_tell_nothing() {
        assert!(bad_name(Path::new("probe-core/src/model/mod.rs")).is_some());
        assert!(bad_name(Path::new("probe-core/src/utils.rs")).is_some());
        assert!(bad_name(Path::new("probe-core/src/model.rs")).is_none());
    }

    #[test]
    fn finds_absolute_paths_only() {
        assert!(names_path("let x = \"/home/me/y\";", "/home/"));
        assert!(!names_path("cd ./home/me", "/home/"));
        assert!(!names_path("ls /srv/home/me", "/home/"));
    }
}
