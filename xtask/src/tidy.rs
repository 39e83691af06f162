//! `cargo xtask tidy`: the rules of ARCHITECTURE.md that a compiler cannot check.

mod documents;
mod files;
mod layering;
mod source;

use std::{fmt, path::PathBuf};

use anyhow::{Result, bail};

use crate::workspace::Workspace;

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    /// Relative to the workspace.
    file: PathBuf,
    /// From 1; 0 means the file as a whole.
    line: usize,
    rule: &'static str,
    /// What is wrong here.
    what: String,
    /// Why the rule is there.
    why: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.file.display())?;
        if self.line > 0 {
            write!(formatter, ":{}", self.line)?;
        }
        write!(formatter, ": [{}] {}\n    why: {}", self.rule, self.what, self.why)
    }
}

pub fn run() -> Result<()> {
    let workspace = Workspace::locate()?;
    let files = files::read_all(&workspace)?;
    for warning in files::long(&files, files::LINES_WARN, files::LINES_MOST) {
        println!("tidy: warning: {warning}");
    }
    let mut violations = files::check(&workspace, &files);
    violations.extend(layering::check(&files));
    violations.extend(documents::check(&workspace, &files)?);
    violations.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    for violation in &violations {
        println!("tidy: {violation}");
    }
    if !violations.is_empty() {
        bail!("tidy: {} place(s) break the rules of ARCHITECTURE.md", violations.len());
    }
    println!("tidy: {} files keep the rules", files.len());
    Ok(())
}
