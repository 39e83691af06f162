//! `pmtu_exception_suspicious`: a learned path MTU that no known path explains.
use super::{Rule, Teller, Telling, durable, inside, now};
use crate::diagnose::exceptions::{Oddity, Suspicion};
use crate::model::finding::{Fix, FixWhen, Kind};
use crate::model::flow::Family;

/// The rule.
pub static RULE: Rule = Rule {
    kind: Kind::PmtuExceptionSuspicious,
    meaning: "The routing of a pod or of the node remembers a path MTU that no path explains: locked at the smallest size that \
              the kernel takes, below 576, or learned although no ICMP error was seen. A forged or broken error may have \
              poisoned it; all sockets to that destination then send tiny packets, without DF if it is locked.",
    proof: "The exception was read from the kernel's routing, with its age and its users. No limit known on the way is so \
            small, and no ICMP error with this size was seen while it could have been. That sockets use it the kernel's own \
            count of references says.",
    remedy: "Flush it (it expires by itself after ten minutes), find who sends the errors, and let only plausible ones pass.",
    references: &[
        "RFC 5927 section 7 (attacks on path MTU discovery)",
        "RFC 8201 section 4",
        "net/ipv4/route.c __ip_rt_update_pmtu",
        "net.ipv4.route.min_pmtu, net.ipv4.route.mtu_expires",
    ],
    tell: Teller::Exception(tell),
};

/// Destinations that a text lists.
const SHOWN: usize = 3;

fn tell(suspicion: &Suspicion) -> Telling {
    let who = suspicion
        .pod
        .as_ref()
        .map_or_else(|| "the node itself".to_owned(), |pod| format!("pod {}", pod.display_name()));
    let mut shown: Vec<String> = suspicion.destinations.iter().take(SHOWN).map(ToString::to_string).collect();
    if suspicion.destinations.len() > SHOWN {
        shown.push(format!("{} more", suspicion.destinations.len() - SHOWN));
    }
    let destinations = shown.join(", ");
    let odd = match (suspicion.oddity, suspicion.locked) {
        (Oddity::Absurd, true) => {
            "somebody announced less than the smallest path MTU that Linux takes, so it is locked there and packets go without DF"
        }
        (Oddity::Absurd, false) => "no link of today is so small (every IPv4 host must take 576)",
        (Oddity::Unexplained, _) => {
            "it was learned while ICMP errors to this sender were observed, and none was seen"
        }
    };
    let known = suspicion.known_limit.map_or_else(String::new, |limit| {
        format!(" The smallest limit that is known on the way is {limit}.")
    });
    let used = match (suspicion.used, suspicion.tunnels.is_empty()) {
        (true, false) => format!(" The outer packets of {} go there.", suspicion.tunnels.join(", ")),
        (true, true) => " Sockets use it.".to_owned(),
        (false, _) => " No socket uses it.".to_owned(),
    };
    let mtu = suspicion.mtu;
    Telling {
        title: format!("{who} has learned a path MTU of {mtu} to {destinations} that no path explains"),
        explanation: format!(
            "The kernel's routing has this exception since {} s: {odd}.{known}{used} Until it expires, nothing larger is sent \
             to that destination.",
            suspicion.age
        ),
        fixes: fixes(suspicion),
    }
}

fn fixes(suspicion: &Suspicion) -> Vec<Fix> {
    let option = match suspicion.family {
        Family::Ipv4 => "",
        Family::Ipv6 => " -6",
    };
    let there = |command: String| match &suspicion.pod {
        Some(pod) => inside(pod, &command),
        None => Some(command),
    };
    let get = suspicion.destinations.first().map(|destination| format!("ip{option} route get {destination}"));
    vec![
        now(
            there(format!("ip{option} route flush cache")),
            "forgets all that was learned; real limits are learned again",
        ),
        durable(
            "find who sends such ICMP errors and drop them at the edge: those below 576 bytes, and those that quote no flow of \
             this node; let plausible ones pass",
        ),
        Fix {
            when: FixWhen::Verify,
            command: get.and_then(there),
            text: "shows no smaller mtu for the destination".to_owned(),
        },
    ]
}
