//! `fragments_lost`: fragments are dropped or never put together.
use super::{Case, Rule, Teller, Telling, durable};
use crate::model::finding::Kind;

/// The rule.
pub static RULE: Rule = Rule {
    kind: Kind::FragmentsLost,
    meaning: "Datagrams that travel as fragments never arrive whole, because fragments are dropped on the way; smaller \
              datagrams of the same application pass.",
    proof: "The kernel was seen to drop fragments, with the place and the reason.",
    remedy: "Let fragments pass the filter, or keep datagrams below the path MTU (DNS: EDNS size 1232).",
    references: &["RFC 8900 section 3", "RFC 6891 section 6.2.5", "nf_hook_slow"],
    tell: Teller::Traffic(tell),
};

fn tell(case: &Case<'_>) -> Telling {
    let who = case.who();
    Telling {
        title: format!("fragments {} {who} are dropped", case.way()),
        explanation: format!(
            "{} fragments {} {who} were dropped ({}). A datagram that lacks one fragment is lost whole.",
            case.drops(),
            case.way(),
            case.witnesses()
        ),
        fixes: vec![
            durable(
                "let IP fragments pass the filter that drops them (connection tracking puts them together before later rules see them)",
            ),
            durable("or keep the datagrams below the path MTU; for DNS set the EDNS buffer size to 1232"),
        ],
    }
}
