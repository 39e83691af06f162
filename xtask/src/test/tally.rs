//! How many tests passed, failed and were skipped.

use std::{fmt, ops::Add};

/// Counts of tests; a check without tests of its own, such as rustfmt, counts as one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
    /// Marked `#[ignore]`.
    pub skipped: u64,
}

impl Tally {
    pub fn one_passed() -> Self {
        Self { passed: 1, ..Self::default() }
    }

    pub fn one_failed() -> Self {
        Self { failed: 1, ..Self::default() }
    }

    /// What a line of a test binary adds: nothing, unless it is
    /// `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`.
    pub fn of_line(line: &str) -> Self {
        let Some((_, counts)) = line.split_once("test result: ") else { return Self::default() };
        let count = |word: &str| {
            counts
                .split(';')
                .filter_map(|part| part.trim().strip_suffix(word))
                .filter_map(|part| part.split_whitespace().last())
                .find_map(|number| number.parse().ok())
                .unwrap_or(0)
        };
        Self { passed: count("passed"), failed: count("failed"), skipped: count("ignored") }
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_result_line_of_a_test_binary() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.00s\n";
        assert_eq!(Tally::of_line(line), Tally { passed: 12, failed: 3, skipped: 1 });
    }

    #[test]
    fn takes_nothing_from_other_lines() {
        assert_eq!(Tally::of_line("test diagnose::tests::one_passed ... ok"), Tally::default());
        assert_eq!(Tally::of_line("running 5 tests; 3 failed"), Tally::default());
    }

    #[test]
    fn prints_the_form_that_scripts_read() {
        assert_eq!((Tally::one_passed() + Tally::one_failed()).to_string(), "1 passed, 1 failed, 0 skipped");
    }
}
