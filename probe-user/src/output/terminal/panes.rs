//! The rows of each part of the screen.

pub(super) mod findings;
pub(super) mod flows;
pub(super) mod icmp;
pub(super) mod interfaces;
pub(super) mod sizes;

use super::reading::{Rates, Reading};
use super::sheet::Sheet;
use super::told::Told;
use super::view::Pane;
use crate::output::wall_clock::WallClock;
use probe_core::model::Time;

/// What is shown: what was told and what was read, at one moment.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub told: Told,
    pub reading: Reading,
    pub rates: Rates,
    pub now: Time,
    pub clock: WallClock,
}

impl Scene {
    /// The rows of a pane, sorted by one of its [`Pane::sorts`].
    pub fn sheet(&self, pane: Pane, sort: &str) -> Sheet {
        match pane {
            Pane::Findings => findings::sheet(self, sort),
            Pane::Interfaces => interfaces::sheet(self, sort),
            Pane::Flows => flows::sheet(self, sort),
            Pane::Icmp => icmp::sheet(self, sort),
            Pane::Sizes => sizes::sheet(self, sort),
        }
    }
}
