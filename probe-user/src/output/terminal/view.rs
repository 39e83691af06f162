//! What the person chose to see.
use std::fmt;

/// A part of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pane {
    Findings,
    Interfaces,
    Flows,
    Icmp,
    Sizes,
}

impl Pane {
    pub const ALL: [Self; 5] = [Self::Findings, Self::Interfaces, Self::Flows, Self::Icmp, Self::Sizes];

    pub fn name(self) -> &'static str {
        match self {
            Self::Findings => "Findings",
            Self::Interfaces => "Interfaces",
            Self::Flows => "Flows",
            Self::Icmp => "ICMP",
            Self::Sizes => "Sizes",
        }
    }

    /// What its rows can be sorted by; the first is the default.
    pub fn sorts(self) -> &'static [&'static str] {
        match self {
            Self::Findings => &["harm", "newest", "pod"],
            Self::Interfaces => &["traffic", "oversize", "MTU", "name"],
            Self::Flows => &["harm", "packets", "largest"],
            Self::Icmp => &["newest", "MTU", "sender"],
            Self::Sizes => &["packets", "pod"],
        }
    }

    fn step(self, forward: bool) -> Self {
        let index = Self::ALL.iter().position(|pane| *pane == self).unwrap_or(0);
        let count = Self::ALL.len();
        let next = if forward { index + 1 } else { index + count - 1 } % count;
        Self::ALL.get(next).copied().unwrap_or(self)
    }
}

/// What one pane shows of its rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    /// Key of the selected row; `None` is the first.
    pub selected: Option<String>,
    /// Index into [`Pane::sorts`].
    pub sort: usize,
    /// First line of the details that shows.
    pub scroll: u16,
}

/// Words that a row must have; in any case and order.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub text: String,
}

impl Filter {
    pub fn lets_through(&self, row: &str) -> bool {
        let row = row.to_lowercase();
        self.text.to_lowercase().split_whitespace().all(|word| row.contains(word))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What the keys mean at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Look,
    /// The filter is typed.
    Type,
    Help,
}

/// All that was chosen.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub pane: Pane,
    pub mode: Mode,
    pub filter: Filter,
    /// The details have all of the body.
    pub zoomed: bool,
    choices: [Choice; Pane::ALL.len()],
}

impl Default for View {
    fn default() -> Self {
        Self {
            pane: Pane::Findings,
            mode: Mode::Look,
            filter: Filter::default(),
            zoomed: false,
            choices: Default::default(),
        }
    }
}

impl View {
    pub fn choice(&self) -> &Choice {
        let [findings, interfaces, flows, icmp, sizes] = &self.choices;
        match self.pane {
            Pane::Findings => findings,
            Pane::Interfaces => interfaces,
            Pane::Flows => flows,
            Pane::Icmp => icmp,
            Pane::Sizes => sizes,
        }
    }

    pub fn choice_mut(&mut self) -> &mut Choice {
        let [findings, interfaces, flows, icmp, sizes] = &mut self.choices;
        match self.pane {
            Pane::Findings => findings,
            Pane::Interfaces => interfaces,
            Pane::Flows => flows,
            Pane::Icmp => icmp,
            Pane::Sizes => sizes,
        }
    }

    pub fn show(&mut self, pane: Pane) {
        self.pane = pane;
        self.zoomed = false;
    }

    pub fn step(&mut self, forward: bool) {
        self.show(self.pane.step(forward));
    }

    /// Name of what the pane is sorted by.
    pub fn sort(&self) -> &'static str {
        let sorts = self.pane.sorts();
        sorts.get(self.choice().sort % sorts.len()).copied().unwrap_or_default()
    }

    pub fn sort_by_next(&mut self) {
        let count = self.pane.sorts().len();
        let choice = self.choice_mut();
        choice.sort = (choice.sort + 1) % count;
    }

    /// Selects the row `by` rows further down (or up) in the order of `keys`.
    pub fn select(&mut self, keys: &[String], by: isize) {
        let choice = self.choice_mut();
        let index = position(keys, choice.selected.as_deref());
        let last = keys.len().saturating_sub(1);
        let next = index.saturating_add_signed(by).min(last);
        choice.selected = keys.get(next).cloned();
        choice.scroll = 0;
    }

    pub fn scroll(&mut self, by: i16) {
        let choice = self.choice_mut();
        choice.scroll = choice.scroll.saturating_add_signed(by);
    }
}

/// Index of the selected key; of the first row where it is not (any more) there.
pub(super) fn position(keys: &[String], selected: Option<&str>) -> usize {
    selected.and_then(|selected| keys.iter().position(|key| key == selected)).unwrap_or(0)
}
