//! What can be seen of a pod.
use super::finding::Direction;
use super::pod::Pod;

/// How much of a pod's traffic in one direction passes our hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoverageState {
    /// All of it.
    Full,
    /// Some.
    Partial,
    /// None, though there is traffic.
    Blind,
    /// There is no traffic to judge by.
    Idle,
}

impl CoverageState {
    /// Name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::Blind => "blind",
            Self::Idle => "idle",
        }
    }
}

/// A change of what can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The pod.
    pub pod: Pod,
    /// Direction from the pod's point of view.
    pub direction: Direction,
    /// How much.
    pub state: CoverageState,
    /// Why not all of it: `redirect_peer`, `preempted`, `not_attached` ….
    pub why: Option<&'static str>,
    /// Which other sense serves.
    pub instead: Option<&'static str>,
}
