//! How large the programs are for a kernel: what the verifier had to walk through, and what it made of them.

use std::{collections::BTreeMap, fmt, str::FromStr};

use anyhow::{Context as _, Error, Result};

/// The columns of the table.
const COLUMNS: [&str; 3] = ["verified_instructions", "translated_bytes", "machine_code_bytes"];

/// By program; a table in text, with a line for each.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ProgramSizes {
    programs: BTreeMap<String, [u64; COLUMNS.len()]>,
}

/// Programs that have become larger than they may; a table in text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// Program, column, before and now.
    lines: Vec<(String, &'static str, u64, u64)>,
}

impl ProgramSizes {
    pub fn len(&self) -> usize {
        self.programs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.programs.is_empty()
    }

    /// What exceeds the recorded size by more than a fifth. A program that was not recorded has grown from nothing.
    pub fn growth_over(&self, recorded: &Self) -> Growth {
        let mut lines = Vec::new();
        for (program, sizes) in &self.programs {
            let before = recorded.programs.get(program).copied().unwrap_or_default();
            for ((column, before), now) in COLUMNS.into_iter().zip(before).zip(*sizes) {
                if now * 5 > before * 6 {
                    lines.push((program.clone(), column, before, now));
                }
            }
        }
        Growth { lines }
    }
}

impl FromStr for ProgramSizes {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut programs = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
            let mut words = line.split_whitespace();
            let mut sizes = [0; COLUMNS.len()];
            let program = words.next().context("a line without a program")?;
            for size in &mut sizes {
                *size = words
                    .next()
                    .and_then(|word| word.parse().ok())
                    .with_context(|| format!("not a program and {} numbers: {line}", COLUMNS.len()))?;
            }
            programs.insert(program.to_owned(), sizes);
        }
        Ok(Self { programs })
    }
}

impl fmt::Display for ProgramSizes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "# {:<18}{}", "program", COLUMNS.map(|column| format!("{column:>24}")).concat())?;
        for (program, sizes) in &self.programs {
            writeln!(formatter, "{program:<20}{}", sizes.map(|size| format!("{size:>24}")).concat())?;
        }
        Ok(())
    }
}

impl Growth {
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (program, column, before, now) in &self.lines {
            write!(formatter, "  {program:<20}{column:<24}{before:>8} -> {now:<8}")?;
            match (now * 100).checked_div(*before) {
                Some(percent) => writeln!(formatter, " +{} %", percent.saturating_sub(100))?,
                None => writeln!(formatter, " not recorded")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(text: &str) -> ProgramSizes {
        text.parse().unwrap()
    }

    #[test]
    fn is_read_as_it_is_written() {
        let table = sizes("# comment\ntc_ingress 1000 800 700\nkfree_skb 50 40 30\n");
        assert_eq!(table.len(), 2);
        assert_eq!(sizes(&table.to_string()), table);
        assert!("tc_ingress 1000 many 700".parse::<ProgramSizes>().is_err());
    }

    #[test]
    fn names_what_grew_by_more_than_a_fifth() {
        let recorded = sizes("a 1000 100 100\nb 10 10 10\n");
        assert!(sizes("a 1200 120 120\n").growth_over(&recorded).is_empty());
        let grown = sizes("a 1201 100 90\nc 1 0 0\n").growth_over(&recorded).to_string();
        assert!(grown.contains("1000 -> 1201") && grown.contains("+20 %"), "{grown}");
        assert!(grown.contains("not recorded"), "{grown}");
        assert_eq!(grown.lines().count(), 2);
    }
}
