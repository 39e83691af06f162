//! What lives off an observation beside the findings.
use super::observation::{Observation, Progress};
use crate::output::Writer;
use probe_core::model::Time;

/// Something that looks at an observation again and again: a picture of packet sizes, a page of metrics.
pub(super) trait Companion {
    /// Who is told what the observation tells, in the place of standard output; asked once.
    fn writer(&self) -> Option<Box<dyn Writer>> {
        None
    }

    /// Whether SIGHUP is for the companion; else it ends the observation, as a terminal that is gone.
    fn takes_hang_up(&self) -> bool {
        false
    }

    /// Looks at the observation; asked at every tick and after every input, also before everything found at the start is
    /// attached ([`Observation::is_running`]).
    ///
    /// # Errors
    /// What it cannot do ends the observation.
    fn look(&mut self, now: Time, observation: &mut Observation) -> anyhow::Result<Progress>;

    /// The last look, before the programs are taken off.
    ///
    /// # Errors
    /// The same.
    fn look_last(&mut self, now: Time, observation: &mut Observation) -> anyhow::Result<()>;
}

/// No companion: the findings are all.
#[derive(Debug)]
pub(super) struct Alone;

impl Companion for Alone {
    fn look(&mut self, _now: Time, _observation: &mut Observation) -> anyhow::Result<Progress> {
        Ok(Progress::GoOn)
    }

    fn look_last(&mut self, _now: Time, _observation: &mut Observation) -> anyhow::Result<()> {
        Ok(())
    }
}
