//! `oversize_dropped`: packets too big for the egress were dropped and the sender was told.
use super::{Case, Rule, Teller, Telling, durable, now};
use crate::diagnose::discovery;
use crate::diagnose::fault::Joint;
use crate::model::amount::{amount, were};
use crate::model::finding::{Direction, Kind, Outcome, Severity};
use crate::model::flow::Family;
use crate::model::settings::{Discovery, Setting};

/// The rule.
pub static RULE: Rule = Rule {
    kind: Kind::OversizeDropped,
    meaning: "Packets too big for the way out were dropped, and the sender was told by an ICMP error. TCP shrinks and goes \
              on after a delay; an application that sends UDP must shrink by itself.",
    proof: "The kernel dropped them as PKT_TOO_BIG (or a router beyond this node said so), and the ICMP error passed the \
            sender's hook without a witnessed drop.",
    remedy: "Give the pods the MTU of their way out, so that no first packet is lost.",
    references: &["RFC 1191 section 3", "RFC 8201 section 4", "ip_forward, ip6_forward"],
    tell: Teller::Traffic(tell),
};

fn tell(case: &Case<'_>) -> Telling {
    let limit = case.limit();
    let goes_on = case.judgement.outcome == Outcome::Lost;
    let ending = match (case.judgement.severity, goes_on) {
        (Severity::Info, true) => "perhaps probes",
        (Severity::Warning | Severity::Critical, true) => "the sender goes on",
        (_, false) => "the sender learned",
    };
    let beyond = matches!(case.fault.key.joint, Joint::Router(..));
    let place = if beyond { "beyond this node" } else { "on this node" };
    let mut explanation = format!(
        "{} of up to {} bytes {} {} {} dropped {place}: {} takes {limit}",
        amount(case.drops(), "packet"),
        case.largest(),
        case.way(),
        case.who(),
        were(case.drops()),
        case.joint()
    );
    if !beyond {
        explanation.push_str(&format!(" ({})", case.witnesses()));
    }
    let told = case.fault.flows.values().any(|flow| flow.told_at.is_some());
    explanation.push_str(match (told, goes_on) {
        (false, _) => ". So few packets may be deliberate probes of the path; whether their sender was told was not seen.",
        (true, true) => {
            ". The ICMP error with the size that passes reached the sender, and the application keeps sending packets of \
             the old size: it must honour EMSGSIZE or the path MTU, or send without DF."
        }
        (true, false) => {
            ". The ICMP error with the size that passes reached the sender, which has sent no more of them since."
        }
    });
    let mut fixes = Vec::new();
    let settings = case.topology.settings_of(case.fault.pod.as_ref());
    let minimum = settings.and_then(|settings| settings.get(Setting::MinPmtu));
    if let Some(minimum) = minimum
        && told
        && case.fault.key.family == Family::Ipv4
        && case.fault.limit.mtu.is_some_and(|limit| limit < minimum)
    {
        let setting = Setting::MinPmtu.name();
        explanation.push_str(&format!(
            " Its kernel learns nothing below {setting} ({minimum}): it locks the route at that and sends without DF, and \
             what is too big then is cut into fragments."
        ));
    }
    if told && case.fault.discovery() == Discovery::PinsToMinimum {
        let setting = discovery::in_words(Discovery::PinsToMinimum).unwrap_or_default();
        let minimum = minimum.map_or_else(String::new, |minimum| format!(", {minimum} bytes here"));
        explanation.push_str(&format!(" In its network namespace {setting}{minimum}."));
        fixes.extend(case.discover_again());
    }
    if let Some(mtu) = case.fault.limit.mtu {
        match case.fault.key.direction {
            Direction::FromPod | Direction::FromHost if beyond => {
                fixes.push(durable(format!(
                    "nothing to repair on this node; applications that send large UDP packets to this destination must keep to {mtu}"
                )));
            }
            Direction::FromPod | Direction::FromHost => {
                fixes.push(now(
                    case.shrink_sender(mtu),
                    format!("let the pod send at most {mtu}; lost at the next pod restart"),
                ));
                fixes.push(durable(format!(
                    "set the pod MTU to {mtu} in the CNI's configuration, or raise {}",
                    case.joint()
                )));
            }
            Direction::ToPod | Direction::ToHost => {
                fixes.push(durable(format!(
                    "raise {} and the pod's interface from {mtu}, or let the remote sender keep to {mtu}",
                    case.joint()
                )));
            }
        }
        fixes.push(case.verify(mtu));
    }
    Telling {
        title: format!(
            "packets above {limit} {} {} dropped at {}: {ending}",
            case.way(),
            case.who(),
            case.joint()
        ),
        explanation,
        fixes,
    }
}
