//! What the answers amount to.
use super::{Bounds, IPV4_MIN_PMTU, Step, StepVerdict};
use crate::model::flow::Family;
use std::net::IpAddr;

/// Whether the sender is told of the smaller size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpVerdict {
    /// A plausible error came back.
    Works,
    /// None came back.
    Silent,
    /// What came back cannot be true.
    Implausible,
}

impl IcmpVerdict {
    /// Name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Silent => "silent",
            Self::Implausible => "implausible",
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The largest size that passes, in bytes at layer 3.
    pub mtu: u32,
    /// Smallest size that is known not to pass; `mtu + 1` if the search came to its end.
    pub fails: Option<u32>,
    /// `None` where the path carries whatever the sender can send: there was nothing to tell.
    pub icmp: Option<IcmpVerdict>,
    /// Larger packets vanish and the sender does not learn the size that passes.
    pub black_hole: bool,
    /// Who announced the limit, and which next-hop MTU.
    pub router: Option<(IpAddr, u32)>,
}

impl Found {
    /// Whether the size is exact to the byte.
    pub fn is_exact(&self) -> bool {
        self.fails == Some(self.mtu + 1)
    }
}

pub(super) fn found(bounds: &Bounds, steps: &[Step]) -> Option<Found> {
    let mtu = steps.iter().filter(|step| step.answered > 0).map(|step| step.size).max()?;
    let failed = steps.iter().filter(|step| step.size > mtu && step.verdict().fails());
    let fails = failed.map(|step| step.size).min();
    let is_limited = mtu < bounds.ceiling
        && steps.iter().any(|step| {
            step.size > mtu && matches!(step.verdict(), StepVerdict::Announced | StepVerdict::Silent)
        });
    if !is_limited {
        return Some(Found { mtu, fails, icmp: None, black_hole: false, router: None });
    }
    let beyond = || steps.iter().filter(|step| step.size > mtu).flat_map(|step| &step.too_big);
    // Between what passes and what does not may still be what was announced.
    let is_open = fails != Some(mtu + 1)
        && beyond().any(|too_big| too_big.implausible.is_none() && too_big.next_hop_mtu > mtu);
    if is_open {
        return Some(Found { mtu, fails, icmp: None, black_hole: false, router: None });
    }
    // A sender that follows an announcement of more than passes goes on losing packets.
    let told = beyond()
        .filter(|too_big| too_big.next_hop_mtu <= mtu && is_taken(bounds.family, too_big.next_hop_mtu, mtu));
    let router = told.clone().max_by_key(|too_big| (too_big.implausible.is_none(), too_big.next_hop_mtu));
    let icmp = match router {
        Some(too_big) if too_big.implausible.is_none() => IcmpVerdict::Works,
        Some(_) => IcmpVerdict::Implausible,
        None if beyond().any(|too_big| too_big.implausible.is_some()) => IcmpVerdict::Implausible,
        None => IcmpVerdict::Silent,
    };
    Some(Found {
        mtu,
        fails,
        icmp: Some(icmp),
        black_hole: router.is_none(),
        router: router.map(|too_big| (too_big.router, too_big.next_hop_mtu)),
    })
}

/// Whether a sender takes an announced size as it is.
fn is_taken(family: Family, announced: u32, mtu: u32) -> bool {
    let floor = match family {
        Family::Ipv4 => IPV4_MIN_PMTU,
        Family::Ipv6 => family.minimum_mtu(),
    };
    announced >= floor.min(mtu)
}
