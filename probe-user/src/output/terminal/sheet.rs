//! Rows in columns, and lines that fit.
use probe_core::model::finding::Severity;

/// A column; one without a width takes what the others leave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub title: &'static str,
    pub width: Option<usize>,
    pub right: bool,
}

impl Column {
    pub const fn left(title: &'static str, width: usize) -> Self {
        Self { title, width: Some(width), right: false }
    }

    pub const fn right(title: &'static str, width: usize) -> Self {
        Self { title, width: Some(width), right: true }
    }

    pub const fn rest(title: &'static str) -> Self {
        Self { title, width: None, right: false }
    }
}

/// A row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// What it is known by while others come and go.
    pub key: String,
    pub cells: Vec<String>,
    /// What it is coloured by.
    pub severity: Severity,
    /// It is over.
    pub faint: bool,
    /// What the details below say, which the filter looks into as well: a word and the rest.
    pub details: Vec<(String, String)>,
}

impl Row {
    /// What the filter looks into.
    pub fn text(&self) -> String {
        let details = self.details.iter().map(|(word, rest)| format!("{word} {rest}"));
        self.cells.iter().cloned().chain(details).collect::<Vec<_>>().join(" ")
    }
}

/// Rows under their titles.
#[derive(Clone, Debug)]
pub(super) struct Sheet {
    pub columns: &'static [Column],
    pub rows: Vec<Row>,
    /// What is said where there is no row.
    pub empty: String,
}

impl Sheet {
    /// The line of titles.
    pub fn titles(&self, width: usize) -> String {
        let titles: Vec<&str> = self.columns.iter().map(|column| column.title).collect();
        line(self.columns, &titles, width)
    }

    /// The line of a row.
    pub fn line(&self, row: &Row, width: usize) -> String {
        let cells: Vec<&str> = row.cells.iter().map(String::as_str).collect();
        line(self.columns, &cells, width)
    }
}

fn line(columns: &[Column], cells: &[&str], width: usize) -> String {
    let fixed: usize = columns.iter().filter_map(|column| column.width).sum();
    let gaps = columns.len().saturating_sub(1);
    let rests = columns.iter().filter(|column| column.width.is_none()).count();
    let rest = width.saturating_sub(fixed + gaps).checked_div(rests).unwrap_or(0);
    let mut text = String::new();
    for (index, (column, cell)) in columns.iter().zip(cells).enumerate() {
        if index > 0 {
            text.push(' ');
        }
        text.push_str(&fit(cell, column.width.unwrap_or(rest), column.right));
    }
    fit(&text, width, false)
}

/// A text in exactly `width` columns. Names and addresses are one column a letter.
pub(super) fn fit(text: &str, width: usize, right: bool) -> String {
    let length = text.chars().count();
    if length > width {
        let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
        if width > 0 {
            short.push('…');
        }
        short
    } else if right {
        format!("{text:>width$}")
    } else {
        format!("{text:<width$}")
    }
}

/// Lines of at most `width` columns, broken between words where there are any.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        let gap = usize::from(used > 0);
        if used + gap + length > width && used > 0 {
            lines.push(String::new());
            used = 0;
        }
        let mut letters = word.chars().peekable();
        if used > 0
            && let Some(line) = lines.last_mut()
        {
            line.push(' ');
            used += 1;
        }
        while letters.peek().is_some() {
            let Some(line) = lines.last_mut() else { break };
            let part: String = letters.by_ref().take(width - used.min(width - 1)).collect();
            used += part.chars().count();
            line.push_str(&part);
            if letters.peek().is_some() {
                lines.push(String::new());
                used = 0;
            }
        }
    }
    lines
}

/// A number in at most five columns: `950`, `12.3k`, `1.2M`.
pub(super) fn short(number: u64) -> String {
    let units = [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    match units.into_iter().find(|(size, _)| number >= *size) {
        Some((size, unit)) if number / size >= 100 => format!("{}{unit}", number / size),
        Some((size, unit)) => format!("{}.{}{unit}", number / size, number % size * 10 / size),
        None => number.to_string(),
    }
}

/// A span of time in at most four columns: `42s`, `17m`, `5h`, `3d`.
pub(super) fn age(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    match seconds {
        0..100 => format!("{seconds}s"),
        100..6_000 => format!("{}m", seconds / 60),
        6_000..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_and_says_so() {
        assert_eq!(fit("shop/cart", 12, false), "shop/cart   ");
        assert_eq!(fit("42", 5, true), "   42");
        assert_eq!(fit("shop/cart", 5, false), "shop…");
        assert_eq!(fit("shop", 0, false), "");
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("the other end takes 1400", 10), ["the other", "end takes", "1400"]);
        assert_eq!(wrapped("abcdefghijkl mn", 5), ["abcde", "fghij", "kl mn"]);
        assert_eq!(wrapped("", 5), [""]);
    }

    #[test]
    fn numbers_stay_narrow() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1.0k"), (123_456, "123k"), (2_500_000, "2.5M")];
        for (number, text) in cases {
            assert_eq!(short(number), text);
        }
        assert_eq!([age(42_000_000_000), age(600_000_000_000)], ["42s", "10m"]);
    }
}
