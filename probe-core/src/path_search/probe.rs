//! One probe, on its way or past.
use crate::model::Time;

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// An answer may come until then.
    Waiting(Time),
    Answered,
    /// Somebody says that it is too big.
    Announced,
    /// It never left.
    Refused,
    Lost,
}

/// A probe that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    /// Bytes at layer 3.
    pub size: u32,
    /// When.
    pub sent: Time,
    /// What became of it.
    pub fate: Fate,
    /// The control probe that was sent right after it.
    pub control: Option<u16>,
}
