//! What tests reported: how many passed, and which failed.

use std::fmt;

/// Counts of tests; a check without tests of its own, such as rustfmt, counts as one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub passed: u64,
    pub failed: u64,
    /// Marked `#[ignore]`, or of [`Self::omissions`].
    pub skipped: u64,
    /// The names of what failed.
    pub failures: Vec<String>,
    /// What could not be had, and why: nothing was tested with it.
    pub omissions: Vec<String>,
}

impl Report {
    pub fn passed() -> Self {
        Self { passed: 1, ..Self::default() }
    }

    pub fn failed(what: String) -> Self {
        Self { failed: 1, failures: vec![what], ..Self::default() }
    }

    /// Says loudly that nothing is tested with `what`, which cannot be had; the summary says it again.
    pub fn omitted(what: &str, why: &anyhow::Error) -> Self {
        let omission = format!("nothing is tested {what}, which cannot be had: {why:#}");
        println!("\n!!! SKIPPED: {omission}\n");
        Self { skipped: 1, omissions: vec![omission], ..Self::default() }
    }

    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.failures.extend(other.failures);
        self.omissions.extend(other.omissions);
    }

    /// Names what failed and what was left out.
    pub fn print_names(&self) {
        for omission in &self.omissions {
            println!("!!! SKIPPED: {omission}");
        }
        for failure in &self.failures {
            println!("failed: {failure}");
        }
    }

    /// Takes a line of a test binary: the verdict on one test, `test name ... FAILED`, or the sum at its end,
    /// `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`.
    pub fn read_line(&mut self, line: &str) {
        if let Some((_, counts)) = line.split_once("test result: ") {
            let count = |word: &str| {
                counts
                    .split(';')
                    .filter_map(|part| part.trim().strip_suffix(word))
                    .filter_map(|part| part.split_whitespace().last())
                    .find_map(|number| number.parse::<u64>().ok())
                    .unwrap_or(0)
            };
            self.passed += count("passed");
            self.failed += count("failed");
            self.skipped += count("ignored");
        } else if let Some(name) =
            line.trim_end().strip_suffix(" ... FAILED").and_then(|line| line.strip_prefix("test "))
        {
            self.failures.push(name.to_owned());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_test_binary_prints() {
        let mut report = Report::default();
        for line in [
            "running 16 tests; 3 failed\n",
            "test diagnose::tests::stays_silent ... ok\n",
            "test diagnose::tests::finds_it ... FAILED\n",
            "test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 7 filtered out; finished in 0.00s\n",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        ] {
            report.read_line(line);
        }
        let failures = vec!["diagnose::tests::finds_it".to_owned()];
        assert_eq!(report, Report { passed: 15, failed: 1, skipped: 2, failures, ..Report::default() });
    }

    #[test]
    fn prints_the_form_that_scripts_read() {
        let mut report = Report::passed();
        report.add(Report::failed("fmt".to_owned()));
        assert_eq!(report.to_string(), "1 passed, 1 failed, 0 skipped");
        assert_eq!(report.failures, ["fmt"]);
    }
}
