//! `packet_too_big_implausible`: an ICMP error that no real path would send.
use super::{Case, Rule, Teller, Telling, durable};
use crate::model::finding::{Kind, Severity};

/// The rule.
pub static RULE: Rule = Rule {
    kind: Kind::PacketTooBigImplausible,
    meaning: "An ICMP packet too big announces a size that no real path has: zero, below the protocol's floor, or not \
              below the packet it is about. It is forged, or comes from broken equipment.",
    proof: "The ICMP error was seen at a hook; the announced size contradicts the quoted packet or the protocol.",
    remedy: "Find who sends it (the reporter's address may be forged) and filter it at the edge.",
    references: &[
        "RFC 5927 section 7 (attacks on path MTU discovery)",
        "RFC 8201 section 4",
        "RFC 1191 section 3",
    ],
    tell: Teller::Traffic(tell),
};

fn tell(case: &Case<'_>) -> Telling {
    let who = case.who();
    let effect = if case.judgement.severity == Severity::Info {
        "It has no effect: the kernel takes no path MTU from it."
    } else {
        "It passed to the sender, whose kernel takes it for this destination for ten minutes: packets become tiny."
    };
    Telling {
        title: format!("ICMP error to {who} announces an MTU of {}, which no path has", case.limit()),
        explanation: format!(
            "{} ICMP errors from {}: {}. {effect}",
            case.packets(),
            case.joint(),
            case.witnesses()
        ),
        fixes: vec![durable(
            "drop such errors at the edge of the network, and look for their sender; let plausible ones pass",
        )],
    }
}
