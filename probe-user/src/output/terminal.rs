//! The terminal's form: a screen that follows the observation, and keys that choose what of it shows.
//!
//! # Layout
//! - `told`: what was told, as JSON tells it; [`reading`]: what was read beside; `panes`: rows made of both.
//! - `view`: what the person chose; `keys`: what keys mean; `help`: the list of them.
//! - `screen`: all of it drawn; `sheet`: rows in columns; [`palette`]: colours, where they are wanted.
//! - `export`: the selected row, as JSON Lines.
//! - [`device`]: the terminal itself, which is given back whatever happens.

pub mod device;
mod export;
mod help;
mod keys;
pub mod palette;
mod panes;
pub mod reading;
mod screen;
mod sheet;
mod told;
mod view;

pub use export::Export;

use super::Message;
use super::wall_clock::WallClock;
use palette::Palette;
use panes::Scene;
use probe_core::model::{SECOND, Time};
use ratatui::Frame;
use ratatui::crossterm::event::KeyEvent;
use reading::{Rates, Reading};
use sheet::{Row, Sheet};
use told::Told;
use view::View;

/// What was done is told so long.
const NOTICE: Time = 6 * SECOND;

/// What a key asks of those who hold the session.
#[derive(Debug)]
pub enum Command {
    /// End the observation.
    Quit,
    /// Give the terminal back until the shell brings us to the foreground again.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Write this down.
    Export(Export),
}

/// What is known, what of it shows, and what it looks like.
#[derive(Debug)]
pub struct Session {
    live: Scene,
    /// What showed when it was paused.
    frozen: Option<Box<Scene>>,
    view: View,
    palette: Palette,
    notice: Option<(Time, String)>,
    /// What went wrong beside the evidence, the last ones.
    complaints: Vec<String>,
}

impl Session {
    /// Nothing is known yet.
    pub fn new(clock: WallClock, palette: Palette) -> Self {
        let (told, reading, rates) = (Told::default(), Reading::default(), Rates::default());
        Self {
            live: Scene { told, reading, rates, now: 0, clock },
            frozen: None,
            view: View::default(),
            palette,
            notice: None,
            complaints: Vec::new(),
        }
    }

    /// Takes in what the observation tells.
    pub fn hear(&mut self, message: &Message) {
        self.live.told.hear(message);
    }

    /// Takes in what was read.
    pub fn read(&mut self, mut reading: Reading) {
        self.live.rates.take(&reading);
        self.live.told.refresh(std::mem::take(&mut reading.findings));
        self.live.reading = reading;
    }

    /// Takes in what went wrong.
    pub fn complain(&mut self, complaints: Vec<String>) {
        if !complaints.is_empty() {
            self.complaints = complaints;
        }
    }

    /// Tells the person what became of a command.
    pub fn notify(&mut self, text: String) {
        self.notice = Some((self.live.now + NOTICE, text));
    }

    /// Takes a key in.
    pub fn press(&mut self, key: KeyEvent) -> Option<Command> {
        keys::press(self, key)
    }

    /// Draws everything as of a time.
    pub fn draw(&mut self, frame: &mut Frame<'_>, now: Time) {
        self.live.now = now;
        if self.notice.as_ref().is_some_and(|(until, _)| *until < now) {
            self.notice = None;
        }
        screen::draw(self, frame);
    }

    fn scene(&self) -> &Scene {
        self.frozen.as_deref().unwrap_or(&self.live)
    }

    /// The rows of the pane that the filter lets through.
    fn sheet(&self) -> Sheet {
        let mut sheet = self.scene().sheet(self.view.pane, self.view.sort());
        let all = sheet.rows.len();
        sheet.rows.retain(|row| self.view.filter.lets_through(&row.text()));
        if sheet.rows.is_empty() && all > 0 {
            sheet.empty =
                format!("Nothing of {all} matches the filter \"{}\"; Esc removes it.", self.view.filter);
        }
        sheet
    }

    /// The selected row.
    fn selected(&self) -> Option<Row> {
        let mut rows = self.sheet().rows;
        let keys: Vec<String> = rows.iter().map(|row| row.key.clone()).collect();
        let index = view::position(&keys, self.view.choice().selected.as_deref());
        (index < rows.len()).then(|| rows.swap_remove(index))
    }

    /// Stops the picture, or lets it follow again; what comes meanwhile is not missed.
    fn pause(&mut self) {
        self.frozen = match self.frozen.take() {
            Some(_) => None,
            None => Some(Box::new(self.live.clone())),
        };
    }
}

#[cfg(test)]
mod picture;
#[cfg(test)]
#[path = "terminal/tests.rs"]
mod tests;
