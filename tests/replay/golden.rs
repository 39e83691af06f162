//! Files with what must come out.
use anyhow::{Context, Result, bail};
use std::path::Path;

/// Environment variable that writes them anew.
const UPDATE_VARIABLE: &str = "UPDATE_GOLDEN";

/// Compares a text with a golden file, line by line for the message.
pub fn compare(file: &Path, text: &str) -> Result<()> {
    if std::env::var_os(UPDATE_VARIABLE).is_some() {
        return std::fs::write(file, text).with_context(|| format!("writing {}", file.display()));
    }
    let golden = std::fs::read_to_string(file)
        .with_context(|| format!("reading {}: {UPDATE_VARIABLE}=1 makes it", file.display()))?;
    if golden == text {
        return Ok(());
    }
    let pairs = golden.lines().zip(text.lines()).enumerate();
    let first = pairs.into_iter().find(|(_, (golden, now))| golden != now);
    let (line, golden, now) = first.map_or_else(
        || (golden.lines().count().min(text.lines().count()), "(no more or less)", "(no more or less)"),
        |(line, (golden, now))| (line, golden, now),
    );
    bail!(
        "{}:{}: it is no longer\n  {golden}\nbut\n  {now}\n({UPDATE_VARIABLE}=1 accepts all that comes now)",
        file.display(),
        line + 1
    )
}
