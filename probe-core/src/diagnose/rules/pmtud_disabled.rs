//! `pmtud_disabled`: path MTU discovery is switched off where it is needed.
use super::{Rule, Teller, Telling, discover_again, durable, inside, now};
use crate::diagnose::discovery;
use crate::diagnose::latent::Mismatch;
use crate::model::filters::ErrorDrop;
use crate::model::finding::{Fix, Kind};
use crate::model::pod::Pod;
use crate::model::settings::{Discovery, Setting, Settings};
use crate::model::topology::Topology;

/// The rule.
pub static RULE: Rule = Rule {
    kind: Kind::PmtudDisabled,
    meaning: "The way out takes less than the sender's interface, and the sender does not learn it: a setting keeps its \
              sockets from asking (no DF, so that this node has to fragment), or its kernel from taking the ICMP errors. \
              IPv6 has no such setting; a locked route MTU has the same effect there.",
    proof: "The settings of the pod's network namespace were read from the kernel (net.ipv4.ip_no_pmtu_disc, \
            net.ipv4.route.min_pmtu), or the node's routes show a locked MTU; and a smaller limit is on the way.",
    remedy: "Set net.ipv4.ip_no_pmtu_disc to 0, net.ipv4.route.min_pmtu to at most the limit, and lock no route at more than \
             its way takes; or give the sender the MTU of its way out.",
    references: &[
        "RFC 1191 section 3 (what a host has to do)",
        "Documentation/networking/ip-sysctl.rst (ip_no_pmtu_disc, min_pmtu)",
        "icmp_unreach, inet_create, __ip_rt_update_pmtu, ip_mtu_locked",
    ],
    tell: Teller::Latent(tell),
};

/// `net.ipv4.route.min_pmtu` of a new network namespace (`DEFAULT_MIN_PMTU`).
const KERNELS_MINIMUM: u32 = 552;

fn tell(topology: &Topology, mismatch: &Mismatch) -> Telling {
    let Mismatch { limit, larger, interface, .. } = mismatch;
    let Some(pod) = &mismatch.pod else { return locked_route(mismatch) };
    let name = pod.display_name();
    let settings = topology.settings_of(Some(pod)).cloned().unwrap_or_default();
    let mut fixes: Vec<Fix> = Vec::new();
    let (why, what) = match settings.discovery().and_then(discovery::in_words) {
        Some(setting) => {
            fixes.extend(discover_again(inside(pod, "sysctl -w net.ipv4.ip_no_pmtu_disc=0")));
            let errors = match settings.discovery().unwrap_or(Discovery::On) {
                Discovery::IgnoresErrors => {
                    ", and those that ask for it themselves (QUIC, DNS servers) are never told"
                }
                Discovery::AcceptsVerified => ", and UDP that asks for it itself is never told",
                Discovery::PinsToMinimum | Discovery::On => "",
            };
            let cut = "Sockets send without DF, so this node has to cut what is too big into fragments";
            (format!("{setting}. {cut}{errors}"), "is off")
        }
        None if settings.get(Setting::MinPmtu).unwrap_or_default() <= *limit => {
            return locked_out(pod, *larger, (interface, *limit));
        }
        None => {
            let setting = Setting::MinPmtu.name();
            let minimum = settings.get(Setting::MinPmtu).unwrap_or_default();
            fixes.push(now(
                inside(pod, &format!("sysctl -w {setting}={}", limit.min(&KERNELS_MINIMUM))),
                "errors that announce the limit are taken as they are; lost at the next pod restart",
            ));
            fixes.push(durable(if minimum > KERNELS_MINIMUM {
                format!("take {setting} out of what sets it: {KERNELS_MINIMUM} is the kernel's own")
            } else {
                format!("raise {interface}: no link of today takes less than {KERNELS_MINIMUM}")
            }));
            let why = format!(
                "{setting} is {minimum}: an error that announces less locks the route at {minimum}, and packets of that size \
                 leave without DF and are cut into fragments on this node"
            );
            (why, "stops short")
        }
    };
    fixes.push(now(
        inside(pod, &format!("ip link set {} mtu {limit}", pod.pod_interface.as_deref().unwrap_or("eth0"))),
        format!("or lower the pod's interface to {limit}: nothing needs to be discovered on this node then"),
    ));
    Telling {
        title: format!(
            "path MTU discovery {what} in pod {name}, which sends up to {larger}; {interface} takes {limit}"
        ),
        explanation: format!(
            "In the network namespace of the pod, {why}. No such packet need have come yet."
        ),
        fixes,
    }
}

fn locked_route(mismatch: &Mismatch) -> Telling {
    let Mismatch { limit, larger, interface, .. } = mismatch;
    Telling {
        title: format!("a route by {interface} is locked at an MTU of {larger}, {interface} takes {limit}"),
        explanation: format!(
            "The MTU of the route is locked (ip route … mtu lock {larger}): the kernel believes it whatever ICMP errors say, \
             and counts with it when it forwards. {interface} takes {limit}."
        ),
        fixes: vec![durable(format!(
            "take the word lock out of the route (ip route change … mtu {limit}), or give it an MTU of at most {limit}"
        ))],
    }
}

/// A setting that nothing on this node needs otherwise.
pub(crate) fn not_needed(pod: &Pod, settings: &Settings) -> Telling {
    let name = pod.display_name();
    let setting = settings.discovery().and_then(discovery::in_words).unwrap_or_default();
    Telling {
        title: format!("path MTU discovery is off in pod {name}; nothing on this node needs it"),
        explanation: format!(
            "In the network namespace of the pod, {setting}. All that it sends fits as far as this node can see; a smaller \
             path beyond it would not be learned."
        ),
        fixes: discover_again(inside(pod, "sysctl -w net.ipv4.ip_no_pmtu_disc=0")).into(),
    }
}

/// A route inside a pod that is locked; with the joint and its size where that takes less.
pub(crate) fn locked_inside(pod: &Pod, destination: &str, mtu: u32, limit: Option<(&str, u32)>) -> Telling {
    let name = pod.display_name();
    let locked = format!(
        "The MTU of the route {destination} inside the pod is locked (ip route … mtu lock {mtu}): its kernel believes it \
         whatever ICMP errors say, and sends IPv4 without DF."
    );
    let (title, explanation, wanted) = match limit {
        Some((interface, takes)) => (
            format!("pod {name} has a route locked at {mtu}, {interface} takes {takes}"),
            format!("{locked} {interface} takes {takes}: IPv4 is cut into fragments there, IPv6 is lost."),
            takes,
        ),
        None => (
            format!("pod {name} has a route locked at {mtu}; it fits all that is known of the way"),
            format!("{locked} A smaller path beyond this node would not be learned."),
            mtu,
        ),
    };
    let fix = format!("take the word lock out of the pod's route (ip route change … mtu {wanted})");
    Telling { title, explanation, fixes: vec![durable(fix)] }
}

/// A route out of a pod that is locked at more than the joint takes.
fn locked_out(pod: &Pod, mtu: u32, limit: (&str, u32)) -> Telling {
    let (interface, takes) = limit;
    Telling {
        title: format!("pod {} has a route locked at {mtu}, {interface} takes {takes}", pod.display_name()),
        explanation: format!(
            "The MTU of a route inside the pod is locked (ip route … mtu lock): its kernel believes it whatever ICMP errors \
             say. {interface} takes {takes}. No such packet need have come yet."
        ),
        fixes: vec![durable(format!(
            "take the word lock out of the pod's route (ip route change … mtu {takes})"
        ))],
    }
}

/// A packet filter rule that drops ICMP errors, inside a pod or on the node; with the joint whose errors are needed.
pub(crate) fn filtered(rule: &ErrorDrop, pod: Option<&Pod>, limit: Option<(&str, u32)>) -> Telling {
    let place = &rule.place;
    let whose = pod.map_or_else(|| "this node".to_owned(), |pod| format!("pod {}", pod.display_name()));
    let need = match limit {
        Some((interface, takes)) => {
            format!("{interface} takes {takes} and tells larger senders so: they will not hear it.")
        }
        None => {
            "Nothing on this node needs them now; a smaller path beyond it would not be learned.".to_owned()
        }
    };
    let narrowed =
        if place.narrowed { " It asks for more than that: only some errors may be concerned." } else { "" };
    let title = match limit {
        Some((interface, takes)) => {
            format!("a filter of {whose} drops ICMP errors about size, and {interface} takes {takes} only")
        }
        None => format!("a filter of {whose} drops ICMP errors about size"),
    };
    let command = if rule.by_default {
        Some(format!("nft insert rule {} ct state related accept", place.chain))
    } else {
        place.handle.map(|handle| format!("nft delete rule {} handle {handle}", place.chain))
    };
    let what = if rule.by_default {
        format!(
            "The chain {} (hook {}) drops what none of its rules accepts, and none accepts",
            place.chain,
            place.hook.name()
        )
    } else {
        format!("A rule in the chain {} (hook {}) drops", place.chain, place.hook.name())
    };
    let command = match pod {
        Some(pod) => command.and_then(|command| inside(pod, &command)),
        None => command,
    };
    Telling {
        title,
        explanation: format!(
            "{what} them: ICMP destination unreachable, fragmentation needed, or ICMPv6 packet too big (RFC 4890, section 4.3.1: \
             must not be dropped). {need}{narrowed}"
        ),
        fixes: vec![
            now(command, "until whatever made the rule makes it again"),
            durable(
                "let ICMP destination unreachable, code 4, and ICMPv6 packet too big pass, before any rule that drops ICMP",
            ),
        ],
    }
}
