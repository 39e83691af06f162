//! When to read again.
use std::time::{Duration, Instant};

/// A burst of changes is read once it pauses for this long …
const PAUSE: Duration = Duration::from_millis(5);
/// … or has gone on for this long: a new link must be known at once.
const LONGEST_WAIT: Duration = Duration::from_millis(20);
/// Reading takes at most one part in this many of the time, however many changes there are.
const SHARE: u32 = 4;
/// Addresses and routes inside a new pod come after its link, and not all of it is told of: it is looked at again.
const SETTLING: [Duration; 3] =
    [Duration::from_millis(60), Duration::from_millis(250), Duration::from_secs(1)];

/// Deadlines of the next reading.
#[derive(Debug)]
pub struct Pace {
    refresh_interval: Duration,
    refresh: Instant,
    first_change: Option<Instant>,
    last_change: Option<Instant>,
    not_before: Instant,
    settle: Option<(usize, Instant)>,
}

impl Pace {
    /// The first reading is due now, every further one at the latest after `refresh_interval`.
    pub fn new(refresh_interval: Duration, now: Instant) -> Self {
        Self {
            refresh_interval,
            refresh: now,
            first_change: None,
            last_change: None,
            not_before: now,
            settle: None,
        }
    }

    /// A change was heard of.
    pub fn change(&mut self, now: Instant) {
        self.first_change.get_or_insert(now);
        self.last_change = Some(now);
    }

    /// When to read.
    pub fn next(&self) -> Instant {
        let changed = self
            .last_change
            .zip(self.first_change)
            .map(|(last, first)| (last + PAUSE).min(first + LONGEST_WAIT).max(self.not_before));
        let settle = self.settle.map(|(_, at)| at);
        changed.into_iter().chain(settle).fold(self.refresh, Instant::min)
    }

    /// Whether a reading at `now` is the one that happens without a cause.
    pub fn is_refresh(&self, now: Instant) -> bool {
        now >= self.refresh
    }

    /// A reading took from `begin` to `end`; `undecided` if it left open what some link is.
    pub fn read(&mut self, begin: Instant, end: Instant, undecided: bool) {
        let changed = self.first_change.take().is_some();
        self.last_change = None;
        self.not_before = end + (end - begin) * (SHARE - 1);
        if self.is_refresh(begin) {
            self.refresh = end + self.refresh_interval;
        }
        let step = match self.settle {
            Some((step, at)) if begin >= at => step + 1,
            _ if changed => 0,
            Some((step, _)) => step,
            None => SETTLING.len(),
        };
        self.settle = SETTLING.get(step).filter(|_| undecided).map(|&wait| (step, end + wait));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn after_first_reading(now: Instant) -> Pace {
        let mut pace = Pace::new(Duration::from_secs(2), now);
        pace.read(now, now + MS, false);
        pace
    }

    #[test]
    fn the_first_reading_is_due_at_once_and_then_after_the_interval() {
        let now = Instant::now();
        assert!(Pace::new(Duration::from_secs(2), now).is_refresh(now));
        assert_eq!(after_first_reading(now).next(), now + MS + Duration::from_secs(2));
    }

    #[test]
    fn a_burst_is_read_when_it_pauses_or_lasts() {
        let start = Instant::now();
        let mut pace = after_first_reading(start);
        let now = start + 100 * MS;
        pace.change(now);
        assert_eq!(pace.next(), now + PAUSE);
        for step in 1..30 {
            pace.change(now + step * MS);
        }
        assert_eq!(pace.next(), now + LONGEST_WAIT);
    }

    #[test]
    fn endless_changes_leave_time_for_others() {
        let start = Instant::now();
        let mut pace = after_first_reading(start);
        pace.read(start + 10 * MS, start + 110 * MS, false);
        pace.change(start + 111 * MS);
        assert_eq!(pace.next(), start + 410 * MS);
    }

    #[test]
    fn what_is_undecided_is_looked_at_again_a_few_times() {
        let start = Instant::now();
        let mut pace = after_first_reading(start);
        let mut now = start + 100 * MS;
        pace.change(now);
        for wait in SETTLING {
            pace.read(now, now, true);
            assert_eq!(pace.next(), now + wait);
            now += wait;
        }
        pace.read(now, now, true);
        assert!(pace.is_refresh(pace.next()), "then only with everything else");
    }

    #[test]
    fn what_is_decided_is_left_alone() {
        let start = Instant::now();
        let mut pace = after_first_reading(start);
        let now = start + 100 * MS;
        pace.change(now);
        pace.read(now, now, true);
        pace.read(now + SETTLING[0], now + SETTLING[0], false);
        assert!(pace.is_refresh(pace.next()));
    }
}
