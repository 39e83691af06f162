//! Colours, where the terminal and the person want them. No meaning is in a colour alone.
use probe_core::model::finding::Severity;
use ratatui::style::{Color, Modifier, Style};

/// Which colours are used.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    colour: bool,
}

impl Palette {
    /// Colours, or only bold, dim and reversed text.
    pub fn new(colour: bool) -> Self {
        Self { colour }
    }

    /// Without colours where `NO_COLOR` is set to anything (no-color.org).
    pub fn from_environment() -> Self {
        Self::new(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    fn tinted(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    pub(super) fn severity(self, severity: Severity) -> Style {
        match severity {
            Severity::Critical => self.tinted(Color::Red).add_modifier(Modifier::BOLD),
            Severity::Warning => self.tinted(Color::Yellow),
            Severity::Info => Style::new(),
        }
    }

    /// Something that is not seen, or lost.
    pub(super) fn alarm(self) -> Style {
        self.tinted(Color::Red).add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }

    /// Something that a person should know before trusting the rest.
    pub(super) fn caution(self) -> Style {
        self.tinted(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn label(self) -> Style {
        self.tinted(Color::Cyan)
    }

    pub(super) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn bar(self) -> Style {
        self.tinted(Color::Blue)
    }

    pub(super) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}
