//! `histogram`: packet sizes per pod and direction, now and then and at the end.
use super::companion::Companion;
use super::observation::{Observation, Progress};
use crate::config::{HistogramConfig, Selection};
use crate::output::histogram::{Picture, Sheet};
use crate::output::wall_clock::{WallClock, monotonic_now};
use anyhow::Context as _;
use probe_core::model::Time;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

/// Counts packet sizes until a signal or the end of the duration.
///
/// # Errors
/// Nothing can be observed, or the results cannot be written.
pub fn histogram(config: HistogramConfig) -> anyhow::Result<()> {
    let shown = Shown {
        picture: Picture::new(
            config.form,
            config.compare,
            config.interval.is_some() && io::stdout().is_terminal(),
        ),
        selection: config.observe.selection.clone(),
        interval: config.interval.map(nanoseconds),
        next: config.interval.map(|interval| monotonic_now() + nanoseconds(interval)),
        clock: WallClock::now(),
    };
    super::observe_with(config.observe, shown)?;
    Ok(())
}

fn nanoseconds(duration: Duration) -> Time {
    Time::try_from(duration.as_nanos()).unwrap_or(Time::MAX)
}

struct Shown {
    picture: Picture,
    selection: Selection,
    /// Shown again so often; `None` shows the end only.
    interval: Option<Time>,
    next: Option<Time>,
    clock: WallClock,
}

impl Shown {
    /// False if nobody reads it.
    fn show(&self, now: Time, observation: &Observation) -> anyhow::Result<bool> {
        let mut histograms = observation.size_histograms()?;
        histograms.retain(|histogram| self.selection.wants_pod(&histogram.pod));
        histograms.sort_by_cached_key(|histogram| {
            (histogram.pod.display_name(), histogram.interface.clone(), histogram.direction)
        });
        let sheet = Sheet { time: now, observed: now.saturating_sub(observation.began()), histograms };
        match self.picture.write(&mut io::stdout().lock(), &sheet, self.clock) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            written => written.map(|()| true).context("write the results"),
        }
    }
}

impl Companion for Shown {
    fn look(&mut self, now: Time, observation: &mut Observation) -> anyhow::Result<Progress> {
        let (Some(interval), Some(next)) = (self.interval, self.next) else { return Ok(Progress::GoOn) };
        if now < next || !observation.is_running() {
            return Ok(Progress::GoOn);
        }
        self.next = Some(now + interval);
        Ok(if self.show(now, observation)? { Progress::GoOn } else { Progress::NobodyListens })
    }

    fn look_last(&mut self, now: Time, observation: &mut Observation) -> anyhow::Result<()> {
        self.show(now, observation).map(|_| ())
    }
}
