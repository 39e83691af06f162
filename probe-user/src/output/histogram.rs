//! Packet sizes as a picture in the terminal, or as JSON Lines.

mod bars;
mod wire;

use super::wall_clock::WallClock;
use crate::cli::OutputForm;
use probe_core::model::Time;
use probe_core::model::size_histogram::SizeHistogram;
use std::io::{self, Write};

/// What is shown at one moment.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// When.
    pub time: Time,
    /// Nanoseconds since counting began.
    pub observed: Time,
    /// By pod and direction.
    pub histograms: Vec<SizeHistogram>,
}

/// How it is shown.
#[derive(Clone, Copy, Debug)]
pub struct Picture {
    form: OutputForm,
    compare: bool,
    /// Each sheet takes the place of the one before.
    in_place: bool,
}

/// Home, and clear to the end of the screen.
const CLEAR: &str = "\x1b[H\x1b[J";

impl Picture {
    /// `compare` puts two pods side by side; `in_place` lets each sheet take the place of the one before (a terminal).
    pub fn new(form: OutputForm, compare: bool, in_place: bool) -> Self {
        Self { form, compare, in_place }
    }

    /// Shows a sheet.
    ///
    /// # Errors
    /// The stream cannot be written to.
    pub fn write(&self, stream: &mut impl Write, sheet: &Sheet, clock: WallClock) -> io::Result<()> {
        match self.form {
            OutputForm::Json => wire::write(stream, sheet, clock)?,
            OutputForm::Auto | OutputForm::Text => {
                let text = bars::text(sheet, clock, self.compare);
                let clear = if self.in_place { CLEAR } else { "" };
                write!(stream, "{clear}{text}")?;
            }
        }
        stream.flush()
    }
}

/// A sheet as its JSON Lines.
///
/// # Errors
/// It cannot be written as JSON.
pub fn json(sheet: &Sheet, clock: WallClock) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    wire::write(&mut lines, sheet, clock)?;
    Ok(lines)
}

#[cfg(test)]
#[path = "histogram/tests.rs"]
mod tests;
