//! Times of the kernel's monotonic clock as times of day.
use probe_core::model::Time;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds of `CLOCK_MONOTONIC`, the clock of `bpf_ktime_get_ns`.
pub fn monotonic_now() -> Time {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec to write to; CLOCK_MONOTONIC exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// What to add to a monotonic time to get the time of day.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    boot: SystemTime,
}

impl WallClock {
    /// Compares both clocks now. Taken once, so that one moment is the same text wherever it is printed, whatever is
    /// done to the system's clock meanwhile.
    pub fn now() -> Self {
        Self::at(SystemTime::now(), monotonic_now())
    }

    /// From a pair of times of the same moment.
    pub fn at(wall: SystemTime, monotonic: Time) -> Self {
        Self { boot: wall.checked_sub(Duration::from_nanos(monotonic)).unwrap_or(UNIX_EPOCH) }
    }

    /// From the Unix time in nanoseconds at zero of the monotonic clock.
    pub fn of_boot(unix_nanos: u64) -> Self {
        Self { boot: UNIX_EPOCH + Duration::from_nanos(unix_nanos) }
    }

    /// The Unix time in nanoseconds at zero of the monotonic clock.
    pub fn boot_unix_nanos(&self) -> u64 {
        let since_epoch = self.boot.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
    }

    /// RFC 3339 in UTC with microseconds.
    pub fn rfc3339(&self, time: Time) -> String {
        humantime::format_rfc3339_micros(self.boot + Duration::from_nanos(time)).to_string()
    }

    /// Time of day in UTC, `14:02:13`.
    pub fn time_of_day(&self, time: Time) -> String {
        let text = humantime::format_rfc3339_seconds(self.boot + Duration::from_nanos(time)).to_string();
        text.get(11..19).unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_after_the_comparison() {
        let clock = WallClock::at(UNIX_EPOCH + Duration::from_secs(1_700_000_000), 5_000_000_000);
        assert_eq!(clock.rfc3339(6_500_000_000), "2023-11-14T22:13:21.500000Z");
        assert_eq!(clock.time_of_day(6_500_000_000), "22:13:21");
    }
}
