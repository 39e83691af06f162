//! What came back for one size.
use super::ATTEMPTS;
use std::net::IpAddr;

/// An announcement that a size is too big.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooBig {
    /// Who says so.
    pub router: IpAddr,
    /// The next-hop MTU that it announces.
    pub next_hop_mtu: u32,
    /// How often.
    pub count: u32,
    /// Why it cannot be true.
    pub implausible: Option<&'static str>,
}

/// What is known of a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepVerdict {
    /// Nothing yet.
    Open,
    /// It passes.
    Passes,
    /// A plausible ICMP error says that it is too big.
    Announced,
    /// It vanishes while smaller ones pass.
    Silent,
    /// The sender's own kernel refuses it.
    Refused,
}

impl StepVerdict {
    /// Name in JSON and text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Passes => "passes",
            Self::Announced => "too_big",
            Self::Silent => "silent",
            Self::Refused => "refused",
        }
    }

    /// Whether the size does not pass.
    pub(super) fn fails(self) -> bool {
        match self {
            Self::Announced | Self::Silent | Self::Refused => true,
            Self::Open | Self::Passes => false,
        }
    }
}

/// One size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes at layer 3.
    pub size: u32,
    /// Probes sent.
    pub sent: u32,
    /// Probes answered by the destination.
    pub answered: u32,
    /// Announcements that it is too big, each router and size once.
    pub too_big: Vec<TooBig>,
    /// The sender's own kernel refuses it.
    pub refused: bool,
    /// Probes lost while a control probe right after them was answered.
    pub(super) lost: u32,
}

impl Step {
    pub(super) fn new(size: u32) -> Self {
        Self { size, sent: 0, answered: 0, too_big: Vec::new(), refused: false, lost: 0 }
    }

    /// What is known of it.
    pub fn verdict(&self) -> StepVerdict {
        if self.answered > 0 {
            StepVerdict::Passes
        } else if self.refused {
            StepVerdict::Refused
        } else if self.too_big.iter().any(|too_big| too_big.implausible.is_none()) {
            StepVerdict::Announced
        } else if self.lost >= ATTEMPTS {
            StepVerdict::Silent
        } else {
            StepVerdict::Open
        }
    }

    pub(super) fn note_too_big(&mut self, new: TooBig) {
        let same = |old: &&mut TooBig| old.router == new.router && old.next_hop_mtu == new.next_hop_mtu;
        match self.too_big.iter_mut().find(same) {
            Some(old) => old.count += 1,
            None => self.too_big.push(new),
        }
    }
}
