//! Carries notices to receivers, each with a queue of its own: one that does not answer delays no other, and nothing here.
use super::receiver::PostError;
use super::{Notice, Receiver};
use crate::output::wall_clock::WallClock;
use crate::service::metrics::{Family, Value, catalogue};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{self, error::TrySendError};

/// Notices that wait for one receiver; more are dropped, and counted.
const QUEUE: usize = 256;
/// A receiver is asked so often; the pauses are 1, 2, 4 … seconds.
const ATTEMPTS: u32 = 8;
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);

/// What became of notices, by receiver and result.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<Mutex<BTreeMap<(&'static str, &'static str), u64>>>);

impl Counts {
    fn add(&self, receiver: &'static str, result: &'static str, number: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((receiver, result)).or_default() += number;
    }

    /// As a metric.
    pub fn family(&self) -> Family {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let samples = counts.iter().map(|((receiver, result), count)| {
            let labels = vec![("receiver", (*receiver).to_owned()), ("result", (*result).to_owned())];
            (labels, Value::Count(*count))
        });
        Family::new(&catalogue::POSTS_TOTAL, samples)
    }
}

/// Where notices are handed in, without waiting.
#[derive(Debug)]
pub struct Mail {
    boxes: Vec<(&'static str, mpsc::Sender<Arc<Notice>>)>,
    counts: Counts,
}

impl Mail {
    /// Hands a notice in for every receiver.
    pub fn send(&self, notice: Notice) {
        let notice = Arc::new(notice);
        for (receiver, sender) in &self.boxes {
            match sender.try_send(Arc::clone(&notice)) {
                Ok(()) => {}
                Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                    self.counts.add(receiver, "dropped", 1);
                    tracing::error!(receiver, cause = %notice.cause.id, "a notice is dropped: too many wait");
                }
            }
        }
    }
}

/// The other end of the mail, which runs on the network's thread.
#[derive(Debug)]
pub struct Courier {
    rounds: Vec<(Receiver, mpsc::Receiver<Arc<Notice>>)>,
    counts: Counts,
    clock: WallClock,
    first_pause: Duration,
}

impl Courier {
    /// To these receivers.
    pub fn new(receivers: Vec<Receiver>, clock: WallClock) -> (Self, Mail, Counts) {
        let counts = Counts::default();
        let mut boxes = Vec::new();
        let mut rounds = Vec::new();
        for receiver in receivers {
            let (sender, notices) = mpsc::channel(QUEUE);
            for result in ["sent", "failed", "dropped"] {
                counts.add(receiver.label(), result, 0);
            }
            boxes.push((receiver.label(), sender));
            rounds.push((receiver, notices));
        }
        let courier = Self { rounds, counts: counts.clone(), clock, first_pause: Duration::from_secs(1) };
        (courier, Mail { boxes, counts: counts.clone() }, counts)
    }

    /// Begins, each receiver in a task of its own.
    pub fn start(self) {
        for (receiver, notices) in self.rounds {
            tokio::spawn(carry(receiver, notices, self.counts.clone(), self.clock, self.first_pause));
        }
    }
}

async fn carry(
    receiver: Receiver,
    mut notices: mpsc::Receiver<Arc<Notice>>,
    counts: Counts,
    clock: WallClock,
    first_pause: Duration,
) {
    let label = receiver.label();
    while let Some(notice) = notices.recv().await {
        let cause = notice.cause.id.as_str();
        let mut pause = first_pause;
        for attempt in 1..=ATTEMPTS {
            match receiver.tell(&notice, clock).await {
                Ok(()) => {
                    counts.add(label, "sent", 1);
                    tracing::debug!(receiver = label, cause, attempt, "told");
                    break;
                }
                Err(PostError::Later(why)) if attempt < ATTEMPTS => {
                    tracing::warn!(
                        receiver = label,
                        server = receiver.name(),
                        cause,
                        attempt,
                        "not told yet: {why}"
                    );
                    tokio::time::sleep(pause).await;
                    pause = (2 * pause).min(LONGEST);
                }
                Err(why) => {
                    counts.add(label, "failed", 1);
                    tracing::error!(
                        receiver = label,
                        server = receiver.name(),
                        cause,
                        attempt,
                        "not told: {why}"
                    );
                    break;
                }
            }
        }
    }
}
