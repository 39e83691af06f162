//! How long an answer is waited for, and how fast probes follow each other.
use crate::model::{SECOND, Time};

/// Between probes as long as all is well: fifty a second at most.
const POLITE: Time = SECOND / 50;
/// Between an answer and the next probe, once control probes get lost. A host answers with one ICMP error a second and
/// destination (`net.ipv4.icmp_ratelimit`), after a burst of six.
const SLOW: Time = SECOND * 11 / 10;
/// Before anything was answered (RFC 6298 section 2).
const FIRST_TIMEOUT: Time = SECOND;
const SHORTEST_TIMEOUT: Time = SECOND / 4;
const LONGEST_TIMEOUT: Time = 2 * SECOND;

/// The pace of a search.
#[derive(Debug)]
pub(super) struct Pace {
    sent: Option<Time>,
    /// When the destination last answered, or failed to: only an answer costs it anything.
    spoke: Option<Time>,
    interval: Time,
    /// Smoothed round-trip time and its variation (RFC 6298 section 2).
    round_trip: Option<(Time, Time)>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { sent: None, spoke: None, interval: POLITE, round_trip: None }
    }
}

impl Pace {
    /// Until when to wait before the next probe, if that is not now.
    pub fn wait(&self, now: Time) -> Option<Time> {
        let polite = self.sent.map(|sent| sent + POLITE);
        let answerable = self.spoke.map(|spoke| spoke + self.interval);
        polite.max(answerable).filter(|&next| next > now)
    }

    pub fn sent(&mut self, now: Time) {
        self.sent = Some(now);
    }

    /// An answer came: a little faster again, for loss that does not depend on size comes and goes.
    pub fn answered(&mut self, now: Time, took: Time) {
        self.spoke = Some(now);
        self.interval = (self.interval * 7 / 8).max(POLITE);
        self.round_trip = Some(match self.round_trip {
            None => (took, took / 2),
            Some((smoothed, variation)) => {
                ((smoothed * 7 + took) / 8, (variation * 3 + smoothed.abs_diff(took)) / 4)
            }
        });
    }

    /// Loss that does not depend on size, or a limit on answers: slower.
    pub fn control_lost(&mut self, now: Time) {
        self.spoke = Some(now);
        self.interval = (self.interval * 4).min(SLOW);
    }

    /// Whether several control probes were lost lately.
    pub fn is_slow(&self) -> bool {
        self.interval > SHORTEST_TIMEOUT
    }

    pub fn timeout(&self) -> Time {
        let measured = self.round_trip.map(|(smoothed, variation)| smoothed + 4 * variation);
        measured.map_or(FIRST_TIMEOUT, |time| time.clamp(SHORTEST_TIMEOUT, LONGEST_TIMEOUT))
    }
}
