//! What the observation hangs out for those who ask, who are on another thread. It is written anew only when somebody
//! asked: a service that nobody scrapes does not work for nothing.
use super::metrics::Family;
use crate::output::wall_clock::{WallClock, monotonic_now};
use probe_core::model::finding::Finding;
use probe_core::model::{SECOND, Time};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time;

/// Who asks waits so long for fresh values, and takes the ones before then.
const PATIENCE: Duration = Duration::from_secs(2);

/// An observation that has not looked up for so long hangs.
pub const HANGS: Time = 30 * SECOND;

/// What was seen at one moment.
#[derive(Debug)]
pub struct Page {
    /// For Prometheus.
    pub families: Vec<Family>,
    /// The findings that stood.
    pub findings: Vec<Finding>,
    /// The clock that their times are told by.
    pub clock: WallClock,
}

/// The board.
#[derive(Debug)]
pub struct Board {
    wanted: AtomicBool,
    page: watch::Sender<Option<Arc<Page>>>,
    /// When the observation looked up last; 0 before it does the first time.
    looked: AtomicU64,
    /// Why it is not ready; `None` if it is.
    waits_for: Mutex<Option<String>>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            wanted: AtomicBool::new(false),
            page: watch::Sender::new(None),
            looked: AtomicU64::new(0),
            waits_for: Mutex::new(Some("loading".to_owned())),
        }
    }
}

impl Board {
    /// A fresh page, or the last one; `None` before the first.
    pub async fn page(&self) -> Option<Arc<Page>> {
        let mut page = self.page.subscribe();
        self.wanted.store(true, Ordering::Release);
        // What is not renewed in time is shown as it was.
        let _in_time = time::timeout(PATIENCE, page.changed()).await;
        page.borrow().clone()
    }

    /// Whether somebody asked since the last page.
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Hangs out a page.
    pub fn show(&self, page: Page) {
        self.wanted.store(false, Ordering::Release);
        self.page.send_replace(Some(Arc::new(page)));
    }

    /// The observation looked up, and is ready or waits for something.
    pub fn look(&self, now: Time, waits_for: Option<String>) {
        self.looked.store(now, Ordering::Release);
        *self.waits_for.lock().unwrap_or_else(PoisonError::into_inner) = waits_for;
    }

    /// Why it is not ready.
    ///
    /// # Errors
    /// It is not.
    pub fn readiness(&self) -> Result<(), String> {
        self.health()?;
        let waits_for = self.waits_for.lock().unwrap_or_else(PoisonError::into_inner);
        waits_for.clone().map_or(Ok(()), Err)
    }

    /// Why it does not live.
    ///
    /// # Errors
    /// It hangs.
    pub fn health(&self) -> Result<(), String> {
        let looked = self.looked.load(Ordering::Acquire);
        let silent = monotonic_now().saturating_sub(looked);
        if looked != 0 && silent > HANGS {
            return Err(format!("the observation has not looked up for {} s", silent / SECOND));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_once_it_waits_for_nothing() {
        let board = Board::default();
        assert_eq!(board.readiness(), Err("loading".to_owned()));
        assert_eq!(board.health(), Ok(()));
        board.look(monotonic_now(), None);
        assert_eq!(board.readiness(), Ok(()));
        board.look(monotonic_now() - HANGS - 2 * SECOND, None);
        assert!(board.health().is_err() && board.readiness().is_err());
    }

    #[tokio::test]
    async fn is_asked_before_it_is_written() {
        let board = Arc::new(Board::default());
        let reader = tokio::spawn({
            let board = Arc::clone(&board);
            async move { board.page().await }
        });
        while !board.is_wanted() {
            tokio::task::yield_now().await;
        }
        let page = Page { families: Vec::new(), findings: Vec::new(), clock: WallClock::now() };
        board.show(page);
        assert!(reader.await.expect("the reader").is_some());
        assert!(!board.is_wanted());
    }
}
