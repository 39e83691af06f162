//! What the service manager hears (sd_notify(3)); without one, nothing.
use probe_core::model::Time;
use sd_notify::NotifyState;
use std::io;

/// Tells systemd how it goes.
#[derive(Debug)]
pub struct Manager {
    /// A sign of life is due so often; `None` without a watchdog.
    period: Option<Time>,
    next: Time,
    status: String,
    ready: bool,
}

impl Manager {
    /// As the environment says.
    pub fn from_environment() -> Self {
        let watchdog = sd_notify::watchdog_enabled();
        // Twice as often as demanded, as sd_watchdog_enabled(3) recommends.
        let period = watchdog.map(|limit| Time::try_from(limit.as_nanos() / 2).unwrap_or(Time::MAX));
        Self { period, next: 0, status: String::new(), ready: false }
    }

    /// Everything found at the start is observed.
    pub fn ready(&mut self) {
        if !self.ready {
            self.ready = true;
            tell(&[NotifyState::Ready]);
        }
    }

    /// A line for `systemctl status`.
    pub fn status(&mut self, status: String) {
        if status != self.status {
            tell(&[NotifyState::Status(&status)]);
            self.status = status;
        }
    }

    /// The observation goes on.
    pub fn live(&mut self, now: Time) {
        if let Some(period) = self.period
            && self.next <= now
        {
            self.next = now + period;
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// The configuration is read anew, which ends with [`Self::reloaded`].
    pub fn reloading(&mut self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => complain(&error),
        }
    }

    /// It was.
    pub fn reloaded(&mut self) {
        tell(&[NotifyState::Ready]);
    }

    /// The end begins.
    pub fn stopping(&mut self) {
        tell(&[NotifyState::Stopping]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        complain(&error);
    }
}

fn complain(error: &io::Error) {
    tracing::warn!(%error, "the service manager cannot be told");
}
