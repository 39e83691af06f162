//! Translated connections.
use super::flow::Flow;

/// A connection that connection tracking knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatEntry {
    /// As the side that opened it sends.
    pub original: Flow,
    /// As the answers come in; not the reverse of `original` if it is translated.
    pub reply: Flow,
}
