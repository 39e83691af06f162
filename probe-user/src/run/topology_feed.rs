//! Links, routes and pods as they change.
use crate::datapath::links::{LinksResult, LinksUpdate, Monitor, MonitorOptions};
use crate::output::complaint::complain;
use anyhow::Context as _;
use tokio::sync::mpsc::Receiver;

/// Follows changes until it is dropped.
#[derive(Debug)]
pub(super) struct TopologyFeed {
    /// Reads on a thread of its own, in the network namespace of the thread that started it.
    _monitor: Monitor,
    updates: Receiver<LinksResult>,
}

impl TopologyFeed {
    /// Begins to follow.
    pub fn start() -> anyhow::Result<Self> {
        let (monitor, updates) = Monitor::start(MonitorOptions::default()).context("read links")?;
        Ok(Self { _monitor: monitor, updates })
    }

    /// The state at the start.
    pub async fn first(&mut self) -> anyhow::Result<LinksUpdate> {
        let update = self.updates.recv().await.context("read links: the thread ended")?;
        update.context("read links")
    }

    /// The next one; a failed reading is told and the one before stands. `None` when there will be none any more.
    pub async fn next(&mut self) -> Option<Box<LinksUpdate>> {
        loop {
            match self.updates.recv().await? {
                Ok(update) => return Some(Box::new(update)),
                Err(error) => complain(&error),
            }
        }
    }
}
