//! What can be observed on this kernel with these rights.
use super::nat::NatReader;
use crate::datapath::load::Tracepoint;
use crate::output::{Sense, SenseState};
use probe_core::diagnose::Senses;

/// The lines of `start`.
pub(super) fn told(tc_failures: &[String], attached: usize, tracepoints: &[Tracepoint]) -> Vec<Sense> {
    let (state, why) = match (attached, tc_failures.first()) {
        (_, None) => (SenseState::Works, None),
        (0, Some(why)) => (SenseState::Missing, Some(why.clone())),
        (_, Some(why)) => (SenseState::Degraded, Some(why.clone())),
    };
    let mut senses = vec![Sense { name: "tc".into(), state, why }];
    senses.extend(tracepoints.iter().map(|tracepoint| Sense {
        name: tracepoint.name.into(),
        state: if tracepoint.why_not.is_none() { SenseState::Works } else { SenseState::Missing },
        why: tracepoint.why_not.clone(),
    }));
    let (state, why) = if NatReader::is_possible() {
        (SenseState::Works, None)
    } else {
        (SenseState::Missing, Some("connections are not tracked in this network namespace".to_owned()))
    };
    senses.push(Sense { name: "conntrack".into(), state, why });
    senses
}

/// Senses that readers of `start` look for by name, each with the reason why it is missing where nobody spoke for it.
const NAMED: [(&str, &str); 2] = [
    ("cri", "container runtimes have not answered yet"),
    ("kubernetes", "the API server has not answered yet"),
];

/// Adds the senses that nobody spoke for.
pub(super) fn complete(mut senses: Vec<Sense>) -> Vec<Sense> {
    for (name, why) in NAMED {
        if senses.iter().all(|sense| sense.name != name) {
            senses.push(Sense { name: name.into(), state: SenseState::Missing, why: Some(why.to_owned()) });
        }
    }
    senses
}

/// What the diagnosis may rely on.
pub(super) fn relied_on(tracepoints: &[Tracepoint]) -> Senses {
    let works = |name: &str| {
        tracepoints.iter().any(|tracepoint| tracepoint.name == name && tracepoint.why_not.is_none())
    };
    Senses {
        tc: true,
        kfree_skb: works("kfree_skb"),
        icmp_send: works("icmp_send"),
        tcp_retransmit: works("tcp_retransmit"),
        conntrack: NatReader::is_possible(),
    }
}
