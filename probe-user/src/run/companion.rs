//! What lives off an observation beside the findings.
use super::observation::{Observation, Progress};
use probe_core::model::Time;

/// Something that looks at an observation again and again: a picture of packet sizes, a page of metrics.
pub(super) trait Companion {
    /// Looks at the observation; asked at every tick once everything found at the start is attached.
    ///
    /// # Errors
    /// What it cannot do ends the observation.
    fn look(&mut self, now: Time, observation: &Observation) -> anyhow::Result<Progress>;

    /// The last look, before the programs are taken off.
    ///
    /// # Errors
    /// The same.
    fn look_last(&mut self, now: Time, observation: &Observation) -> anyhow::Result<()>;
}

/// No companion: the findings are all.
#[derive(Debug)]
pub(super) struct Alone;

impl Companion for Alone {
    fn look(&mut self, _now: Time, _observation: &Observation) -> anyhow::Result<Progress> {
        Ok(Progress::GoOn)
    }

    fn look_last(&mut self, _now: Time, _observation: &Observation) -> anyhow::Result<()> {
        Ok(())
    }
}
