//! `fragments_lost`: fragments are dropped or never put together.
use super::{Case, Rule, Teller, Telling, durable};
use crate::diagnose::fault::Joint;
use crate::model::amount::{amount, were};
use crate::model::finding::{Fix, Kind, LimitAt};

/// The rule.
pub static RULE: Rule = Rule {
    kind: Kind::FragmentsLost,
    meaning: "Datagrams that travel as fragments never arrive whole, because fragments are dropped on the way; smaller \
              datagrams of the same application pass.",
    proof: "The kernel was seen to drop fragments, with the place and the reason; or it gave up waiting for the missing \
            fragments of next to all datagrams, by the first fragments seen and what the namespace counts as put together.",
    remedy: "Let fragments pass the filter, or keep datagrams below the path MTU (DNS: EDNS size 1232).",
    references: &["RFC 8900 section 3", "RFC 6891 section 6.2.5", "nf_hook_slow", "ip_expire"],
    tell: Teller::Traffic(tell),
};

fn tell(case: &Case<'_>) -> Telling {
    if matches!(case.fault.key.joint, Joint::Reassembly(_)) { never_whole(case) } else { dropped(case) }
}

fn dropped(case: &Case<'_>) -> Telling {
    let who = case.who();
    Telling {
        title: format!("fragments {} {who} are dropped", case.way()),
        explanation: format!(
            "{} {} {who} {} dropped ({}). A datagram that lacks one fragment is lost whole.",
            amount(case.drops(), "fragment"),
            case.way(),
            were(case.drops()),
            case.witnesses()
        ),
        fixes: fixes(
            "let IP fragments pass the filter that drops them (connection tracking puts them together before later rules see them)",
        ),
    }
}

/// Fragments of each datagram are missing where it is put together, and no drop of them was seen.
fn never_whole(case: &Case<'_>) -> Telling {
    let who = case.who();
    let (way, witnesses) = (case.way(), case.witnesses());
    let (given_up, verb) = (amount(case.drops(), "datagram"), were(case.drops()));
    let first = if case.fault.flows.is_empty() {
        "not even their first fragments arrived, so nothing is known of their sender"
    } else {
        "the first fragments arrived, others of the same datagrams did not"
    };
    let place = match case.fault.limit.at {
        LimitAt::Path => "No drop of them was seen on this node: they were lost on the way to it.",
        LimitAt::Pod | LimitAt::Link | LimitAt::Node | LimitAt::Overlay | LimitAt::Unknown => {
            "Where they were lost was not seen."
        }
    };
    Telling {
        title: format!("datagrams {way} {who} never arrive whole: fragments are missing"),
        explanation: format!(
            "{given_up} {way} {who} {verb} given up after the time that the kernel waits for fragments ({witnesses}): \
             {first}. Next to none was put together meanwhile, so this is no random loss. {place}"
        ),
        fixes: fixes(
            "let IP fragments pass where they are lost: a firewall or load balancer that drops fragments without ports, or a \
             link that takes less than the fragments' size",
        ),
    }
}

fn fixes(first: &str) -> Vec<Fix> {
    vec![
        durable(first),
        durable("or keep the datagrams below the path MTU; for DNS set the EDNS buffer size to 1232"),
    ]
}
