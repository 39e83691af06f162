//! `pmtud_disabled`: path MTU discovery is switched off where it is needed.
use super::{Rule, Teller, Telling, discover_again, durable, inside, now};
use crate::diagnose::discovery;
use crate::diagnose::latent::Mismatch;
use crate::model::finding::{Fix, Kind};
use crate::model::settings::{Discovery, Setting};
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
        "RFC 1191",
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
