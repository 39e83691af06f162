//! What drop reasons and the places of drops mean for packet sizes.
//!
//! Numbers of reasons differ from kernel to kernel (`PKT_TOO_BIG` is 64 on 6.1 and 93 on 6.18): names come from the
//! running kernel. Places are told by symbol, compiler suffixes cut off.
use super::btf::Btf;
use probe_common::{location, size_drop::class};
use probe_core::diagnose::place::{self, Place};
use std::collections::HashMap;

const PREFIX: &str = "SKB_DROP_REASON_";
/// Of subsystems (modules) whose reasons have numbers of their own, the subsystem's in the upper half.
const SUBSYSTEM_PREFIX: &str = "SKB_DROP_REASON_SUBSYS_";
const SUBSYSTEM_SHIFT: u32 = 16;

/// Reasons that say by themselves that it was the size.
const SIZE: &[&str] = &["PKT_TOO_BIG"];
/// Reasons that say nothing: the place decides.
const LOCATION: &[&str] = &["NOT_SPECIFIED"];
/// Reasons that tell of fragments that were not put together.
const FRAGMENT: &[&str] = &["FRAG_REASM_TIMEOUT", "FRAG_TOO_FAR", "DUP_FRAG"];
/// Filters and other people's programs: what they drop tells, together with what they let pass, what they go by.
/// A queue is one as well: a token bucket that is smaller than a packet never lets it pass (`tbf_enqueue`).
const FILTER: &[&str] =
    &["BPF_CGROUP_EGRESS", "NETFILTER_DROP", "QDISC_DROP", "TC_EGRESS", "TC_INGRESS", "XDP", "XFRM_POLICY"];
/// Reasons that matter if they hit an ICMP error or a fragment: routing, mostly. Reasons that free a mere copy do not
/// (a raw socket's filter, a frame for another host that a bridge flooded): the packet itself may well arrive.
const ICMP_OR_FRAGMENT: &[&str] = &[
    "ICMP_CSUM",
    "IP_CSUM",
    "IP_INADDRERRORS",
    "IP_INHDR",
    "IP_INNOROUTES",
    "IP_INVALID_DEST",
    "IP_INVALID_SOURCE",
    "IP_LOCALNET",
    "IP_LOCAL_SOURCE",
    "IP_OUTNOROUTES",
    "IP_RPFILTER",
    "NEIGH_CREATEFAIL",
    "NEIGH_DEAD",
    "NEIGH_FAILED",
    "NEIGH_QUEUEFULL",
    "NOMEM",
];

/// The names of this kernel's drop reasons.
#[derive(Clone, Debug, Default)]
pub struct Reasons {
    names: HashMap<u32, String>,
    numbers: HashMap<String, u32>,
    subsystems: HashMap<u32, String>,
}

impl Reasons {
    /// From the running kernel's type information; without the enumeration there are no names.
    pub fn of(btf: &Btf) -> Self {
        let mut reasons = Self::default();
        for (name, number) in btf.enumeration("skb_drop_reason").unwrap_or_default() {
            if let Some(name) = name.strip_prefix(PREFIX) {
                reasons.names.insert(number, name.to_owned());
                reasons.numbers.insert(name.to_owned(), number);
            }
        }
        for (name, number) in btf.enumeration("skb_drop_reason_subsys").unwrap_or_default() {
            if let Some(name) = name.strip_prefix(SUBSYSTEM_PREFIX) {
                reasons.subsystems.insert(number, name.to_owned());
            }
        }
        reasons
    }

    /// The name of a number, without the common prefix (`PKT_TOO_BIG`); of a module's reason, the name of its subsystem
    /// (`OPENVSWITCH`).
    pub fn name(&self, number: u32) -> Option<&str> {
        let subsystem = number >> SUBSYSTEM_SHIFT;
        let of_subsystem = || (subsystem != 0).then(|| self.subsystems.get(&subsystem)).flatten();
        self.names.get(&number).or_else(of_subsystem).map(String::as_str)
    }

    /// The number of a name.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// Number and [`class`] of every reason that the kernel side is to look at.
    pub(super) fn classes(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let table = [
            (SIZE, class::SIZE),
            (LOCATION, class::LOCATION),
            (FRAGMENT, class::FRAGMENT),
            (ICMP_OR_FRAGMENT, class::ICMP_OR_FRAGMENT),
            (FILTER, class::FILTER),
        ];
        table
            .into_iter()
            .flat_map(|(names, class)| names.iter().map(move |name| (*name, class)))
            .filter_map(|(name, class)| Some((self.number(name)?, class)))
    }
}

/// The function of a symbol as the kernel prints it: without offset, module and what the compiler appends
/// (`ip_forward.isra.0+0x2c0/0x5d0 [mod]`).
pub fn function(symbol: &str) -> &str {
    let end = symbol.find(['+', '.', ' ', '[']).unwrap_or(symbol.len());
    symbol.get(..end).unwrap_or(symbol)
}

/// The [`location::class`] of a symbol.
pub fn class_of(symbol: &str) -> u32 {
    match place::of_symbol(symbol) {
        None => location::class::IGNORED,
        Some(Place::Filtered) => location::class::FILTER,
        Some(_) => location::class::SIZE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_lose_what_is_not_the_function() {
        for symbol in ["ip_fragment.constprop.0+0x8a/0xa0", "ip_fragment", "ip_fragment+0x1/0x2 [x]"] {
            assert_eq!(function(symbol), "ip_fragment");
            assert_eq!(class_of(symbol), location::class::SIZE);
        }
        assert_eq!(class_of("do_xdp_generic+0x1/0x2"), location::class::FILTER);
        assert_eq!(class_of("ip6_mc_input+0x1/0x2"), location::class::IGNORED);
        assert_eq!(class_of(""), location::class::IGNORED);
    }

    #[test]
    fn reasons_have_this_kernels_numbers() {
        let reasons = Reasons::of(&Btf::of_kernel().unwrap());
        let number = reasons.number("PKT_TOO_BIG").unwrap();
        assert_eq!(reasons.name(number), Some("PKT_TOO_BIG"));
        assert!(reasons.classes().any(|entry| entry == (number, class::SIZE)));
        assert_eq!(reasons.name(3 << 16 | 1), reasons.subsystems.get(&3).map(String::as_str));
        assert_eq!(reasons.name(0xfff0_0001), None);
    }
}
