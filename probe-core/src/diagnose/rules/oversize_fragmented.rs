//! `oversize_fragmented`: packets too big are fragmented on this node.
use super::{Case, Rule, Teller, Telling, durable, now};
use crate::diagnose::discovery;
use crate::diagnose::fault::Joint;
use crate::model::amount::{amount, are, were};
use crate::model::finding::Kind;

/// The rule.
pub static RULE: Rule = Rule {
    kind: Kind::OversizeFragmented,
    meaning: "Packets too big for the way out are cut into fragments on this node: nothing is lost yet, but each packet \
              costs two, and fragments die in many firewalls.",
    proof: "First fragments were seen to leave at an egress hook, of packets that came in whole, or of a tunnel's outer \
            packets.",
    remedy: "Give the pods the MTU of their way out, less the tunnel's overhead.",
    references: &["RFC 8900 section 3 (fragmentation is fragile)", "RFC 791 section 3.2", "ip_do_fragment"],
    tell: Teller::Traffic(tell),
};

fn tell(case: &Case<'_>) -> Telling {
    let (limit, who, joint) = (case.limit(), case.who(), case.joint());
    let packets = amount(case.packets(), "packet");
    let largest = case.largest();
    let is_tunnel = matches!(case.fault.key.joint, Joint::Tunnel(_));
    let (title, explanation) = if is_tunnel {
        (
            format!("packets above {limit} {} {who} leave tunnel {joint} as fragments", case.way()),
            format!(
                "{packets} of up to {largest} bytes {} {who} {} put into {joint}; with the tunnel's overhead {} larger \
                 than the underlay takes, so each outer packet leaves as two fragments ({}). Nothing is lost as long as \
                 every hop passes fragments.",
                case.way(),
                were(case.packets()),
                if case.packets() == 1 { "it is" } else { "they are" },
                case.witnesses()
            ),
        )
    } else {
        (
            format!("packets above {limit} {} {who} are fragmented at {joint}", case.way()),
            format!(
                "{packets} of up to {largest} bytes {} {who} came without DF and {} larger than {joint} takes ({limit}): \
                 this node cut {} into fragments ({}).",
                case.way(),
                are(case.packets()),
                if case.packets() == 1 { "it" } else { "them" },
                case.witnesses()
            ),
        )
    };
    let mut fixes = Vec::new();
    let by_setting = case.fault.is_caused_by_setting();
    let explanation = match discovery::in_words(case.fault.discovery()).filter(|_| by_setting) {
        Some(setting) => {
            fixes.extend(case.discover_again());
            format!(
                "{explanation} Its TCP sends without DF because path MTU discovery is off in the network namespace of \
                 {who}: {setting}."
            )
        }
        None => explanation,
    };
    if let Some(mtu) = case.fault.limit.mtu {
        fixes.push(now(
            case.shrink_sender(mtu),
            format!("let the sender send at most {mtu}; lost at the next pod restart"),
        ));
        fixes.push(durable(if is_tunnel {
            format!("set the MTU of {joint} and of the pods to {mtu} in the CNI's configuration, or raise the underlay")
        } else {
            format!("set the pod MTU to {mtu} in the CNI's configuration, or raise {joint}")
        }));
        fixes.push(case.verify(mtu));
    }
    Telling { title, explanation, fixes }
}
