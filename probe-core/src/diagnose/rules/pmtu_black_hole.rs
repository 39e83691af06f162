//! `pmtu_black_hole`: packets too big are dropped and the sender does not learn.
use super::{Case, Rule, Teller, Telling, durable, inside, now};
use crate::diagnose::fault::Joint;
use crate::diagnose::verification::verification;
use crate::diagnose::{discovery, probing, vswitch};
use crate::model::amount::{amount, are, were};
use crate::model::finding::{Direction, Fix, Kind, Reason};

/// The rule.
pub static RULE: Rule = Rule {
    kind: Kind::PmtuBlackHole,
    meaning: "Packets above a size vanish and the sender is not told: connections open, small requests work, large ones hang.",
    proof: "The kernel was seen to drop packets for their size, and no error can reach the sender (veth, bridge), or its \
            drop was witnessed, or it did not arrive where it would have been seen. For a silent path: three \
            retransmissions of one segment while smaller ones to the same address are acknowledged, borne out by a \
            second connection, or by the state of the sender's socket (sock_diag): its other end is alive; towards a pod or the node, \
            a hole that its acknowledgements report (SACK) and that stays open while smaller packets arrive.",
    remedy: "Give the sender the size that passes (pod MTU, route MTU), raise the limit, or let the ICMP error through.",
    references: &[
        "RFC 2923 section 2.1 (black holes)",
        "RFC 4821 and RFC 8899 (discovery without ICMP)",
        "RFC 4890 section 4.3.1 (do not filter packet too big)",
        "is_skb_forwardable, ip_forward, ip_fragment",
    ],
    tell: Teller::Traffic(tell),
};

fn tell(case: &Case<'_>) -> Telling {
    let reason = case.judgement.reason.unwrap_or(Reason::PathSilent);
    Telling {
        title: format!(
            "packets above {} {} {} vanish at {}: {}",
            case.limit(),
            case.way(),
            case.who(),
            case.joint(),
            in_short(reason)
        ),
        explanation: match probing::in_words(case.topology, case.fault, case.judgement) {
            Some(probing) => format!("{} {probing}", explain(case, reason)),
            None => explain(case, reason),
        },
        fixes: fixes(case, reason),
    }
}

/// What a reason means, in a few words.
pub fn in_short(reason: Reason) -> &'static str {
    match reason {
        Reason::SilentLinkDrop => "no ICMP error is possible there",
        Reason::IcmpFiltered => "the ICMP error is filtered",
        Reason::IcmpLost => "the ICMP error gets lost",
        Reason::IcmpMisdirected => "the ICMP error goes to the tunnel's own address",
        Reason::IcmpIgnored => "the ICMP error is ignored",
        Reason::DatapathDrop => "another program drops them",
        Reason::PathSilent => "no ICMP error comes back",
    }
}

fn explain(case: &Case<'_>, reason: Reason) -> String {
    let (drops, largest, limit) = (case.drops(), case.largest(), case.limit());
    let packets = amount(drops, "packet");
    let witnesses = case.witnesses();
    let seen = if witnesses.is_empty() {
        format!("{packets} of up to {largest} bytes {} dropped beyond this node", were(drops))
    } else {
        format!("{packets} of up to {largest} bytes {} dropped ({witnesses})", were(drops))
    };
    match reason {
        Reason::SilentLinkDrop => match case.fault.key.joint {
            Joint::Port(ifindex) if vswitch::is_switched(case.topology, ifindex) => format!(
                "{seen}: the port {} of the vswitch takes {limit}. Open vSwitch drops what is larger without an ICMP \
                 error; only tx_errors of the port grow, where the device shows them, and the kernel's log has a line. \
                 Segmentation-offload packets pass, so large transfers can work while a single large packet is lost.",
                case.joint()
            ),
            Joint::Port(_) => format!(
                "{seen}: the port {} takes {limit} (and 4 bytes of slack for a VLAN tag). A bridge drops \
                 without an ICMP error and without any interface counter. Segmentation-offload packets may pass, so \
                 large transfers can work while a single large packet is lost.",
                case.joint()
            ),
            Joint::Veth(_)
            | Joint::Egress(..)
            | Joint::Tunnel(_)
            | Joint::PodDevice(..)
            | Joint::Router(..)
            | Joint::SilentPath
            | Joint::Program(_)
            | Joint::FragmentFilter(_)
            | Joint::Reassembly(_)
            | Joint::Announcement(_) => format!(
                "{seen}: the receiving end of the veth takes {limit} (and 4 bytes of slack for a VLAN tag). A veth drops \
                 without an ICMP error; only rx_dropped and tx_dropped of its ends grow. Segmentation-offload packets \
                 pass this check, so large transfers can work while a single large packet is lost.",
            ),
        },
        Reason::IcmpFiltered => format!(
            "{seen}; {} takes {limit}. ICMP errors were made, and their drop was witnessed: {}.",
            case.joint(),
            case.fault.error_drops.iter().cloned().collect::<Vec<_>>().join("; ")
        ),
        Reason::IcmpLost if case.fault.rests_on_counters(reason) => format!(
            "{seen}; {} takes {limit}. ICMP errors were made for them. None was seen at the sender's hook, which may be passed by, \
             and the sender's own counters show that none arrived.",
            case.joint()
        ),
        Reason::IcmpLost if !case.fault.errors_observable => format!(
            "{seen}; {} takes {limit}. Whether the ICMP errors reached the sender could not be observed.",
            case.joint()
        ),
        Reason::IcmpLost if !case.fault.drops_observable => format!(
            "{seen}; {} takes {limit}. ICMP errors were made for them and none passed the sender's hook. Not all drops on \
             this node could be observed meanwhile, so one of the errors may have been missed.",
            case.joint()
        ),
        Reason::IcmpLost => format!(
            "{seen}; {} takes {limit}. ICMP errors were made for them, none passed the sender's hook, and no drop of them \
             was witnessed.",
            case.joint()
        ),
        Reason::IcmpMisdirected => format!(
            "{seen}: with the tunnel's overhead they are larger than the underlay of {}, and the outer packet must not be \
             fragmented. The ICMP error is about the outer packet and goes to the node's own tunnel address; the pod \
             never learns.",
            case.joint()
        ),
        Reason::IcmpIgnored if case.fault.is_refused_by_setting() => format!(
            "{seen}; {} takes {limit}. ICMP errors are made for them, and the sender's kernel does not take them: in the \
             network namespace of {} {}.",
            case.joint(),
            case.who(),
            discovery::in_words(case.fault.discovery()).unwrap_or_default()
        ),
        Reason::IcmpIgnored if case.fault.flows.values().all(|flow| flow.told_at.is_none()) => format!(
            "{seen}; {} takes {limit}. ICMP errors are made for them where they cannot be followed, and the same connection \
             repeats packets of the same size two seconds later and more: its sender does not learn.",
            case.joint()
        ),
        Reason::IcmpIgnored => format!(
            "{seen}; {} takes {limit}. ICMP errors reached the pod's interface, yet the same connection repeated packets of \
             the same size two seconds later and more.",
            case.joint()
        ),
        Reason::DatapathDrop => {
            let (low, high) = case.fault.limit.between.unwrap_or((0, largest));
            format!(
                "{seen} at {}: a filter or a program of somebody else drops segments of {high} bytes again and again, while \
                 packets of up to {low} bytes between the same two addresses passed meanwhile. No ICMP error was made for \
                 them.",
                case.joint()
            )
        }
        Reason::PathSilent => {
            let (low, high) = case.fault.limit.between.unwrap_or((0, largest));
            let flows = case.fault.flows.len() as u64;
            let where_lost = if case.fault.drops_observable {
                "Nothing was dropped on this node and no ICMP error came back: a router beyond it drops them silently."
            } else {
                "No ICMP error came back. Not all drops on this node could be observed meanwhile: a router beyond it \
                 drops them silently, or this node does."
            };
            if is_received(case) {
                return format!(
                    "On {} {} acknowledges that later data arrived and earlier did not (SACK): {} of up to {high} bytes {} \
                     missing, and stayed so for longer than a sender takes to repeat them several times. Packets of up to \
                     {low} bytes from the same address arrived, none as large. {where_lost}",
                    amount(flows, "TCP connection"),
                    case.who(),
                    amount(drops, "segment"),
                    are(drops),
                );
            }
            let another = if case.fault.one_of_several {
                " Other connections carry as large segments to the same address: it is one of several paths (ECMP, or a \
                 link of a bundle), and small segments pass by it."
            } else {
                ""
            };
            let borne_out = case.counted().map(|list| format!(" Borne out by {list}.")).unwrap_or_default();
            format!(
                "{} {} segments of {high} bytes and more without an acknowledgement ({}), while segments of up to {low} \
                 bytes to the same address were acknowledged meanwhile. {where_lost}{another}{borne_out}",
                amount(flows, "TCP connection"),
                if flows == 1 { "repeats" } else { "repeat" },
                amount(drops, "retransmission")
            )
        }
    }
}

/// What is lost comes from beyond this node.
fn is_received(case: &Case<'_>) -> bool {
    matches!(case.fault.key.direction, Direction::ToPod | Direction::ToHost)
}

fn fixes(case: &Case<'_>, reason: Reason) -> Vec<Fix> {
    let limit = case.fault.limit.mtu;
    let mut fixes = Vec::new();
    if reason == Reason::IcmpIgnored && case.fault.is_refused_by_setting() {
        fixes.extend(case.discover_again());
    }
    match (&case.fault.key.joint, limit) {
        (Joint::Veth(ifindex), Some(mtu)) => fixes.extend(veth_fixes(case, *ifindex, mtu)),
        (Joint::Port(_), Some(mtu)) => {
            fixes.push(now(
                Some(format!("ip link set {} mtu {}", case.joint(), case.largest())),
                format!("raise the port from {mtu}; its other end must take as much"),
            ));
            fixes.push(durable("give all ports of this bridge, and the pods behind them, the same MTU in the CNI's configuration"));
        }
        (Joint::Tunnel(_), Some(mtu)) => {
            fixes.push(now(
                case.shrink_sender(mtu),
                format!("let the pods send at most {mtu}; lost at the next pod restart"),
            ));
            fixes.push(durable(format!(
                "set the MTU of {} and of the pods to {mtu} in the CNI's configuration, or raise the underlay",
                case.joint()
            )));
        }
        (Joint::Program(_), _) => fixes.push(durable(format!(
            "find what drops by size at {} (nft list ruleset, tc filter show, bpftool net): raise its limit, or let it answer \
             with an ICMP error; until then give the pods an MTU below {}",
            case.joint(),
            case.smallest()
        ))),
        (Joint::SilentPath, _) if is_received(case) => {
            let low = case.fault.limit.between.map_or(1280, |(low, _)| low);
            let announce = case.fault.pod.as_ref().and_then(|pod| {
                inside(pod, &format!("ip link set {} mtu {low}", pod.pod_interface.as_deref()?))
            });
            if let Some(announce) = announce {
                fixes.push(now(
                    Some(announce),
                    format!(
                        "new connections announce segments for packets of {low}; lost at the next pod restart"
                    ),
                ));
            }
            fixes.push(durable(
                "clamp the MSS of what is announced (it limits what the other side sends), on the way out or by advmss of \
                 the route; ask the operator of the path to let ICMP errors pass, or to carry what is announced",
            ));
        }
        (Joint::SilentPath, _) | (_, None) => {
            let low = case.fault.limit.between.map_or(1280, |(low, _)| low);
            if !probing::is_on(case.topology, case.fault) {
                let command = case.at_sender("sysctl -w net.ipv4.tcp_mtu_probing=1");
                fixes.push(now(
                    command,
                    "TCP finds the size by itself (RFC 4821); lost at the next pod restart",
                ));
            }
            fixes.push(durable(format!(
                "clamp the MSS on the way out, or set a route MTU of about {low} to this destination; ask the operator of the path to let ICMP errors pass"
            )));
        }
        (_, Some(mtu)) => {
            fixes.push(now(
                case.shrink_sender(mtu),
                format!("let the sender send at most {mtu}; lost at the next restart"),
            ));
            if reason == Reason::IcmpFiltered {
                fixes.push(durable("let ICMP destination-unreachable code 4 and ICMPv6 packet-too-big pass the filter named above (RFC 4890)"));
            }
            let raised = if matches!(case.fault.key.joint, Joint::Router(..)) {
                format!("have the path behind {} raised", case.joint())
            } else {
                format!("raise {}", case.joint())
            };
            fixes.push(durable(format!("set the pod MTU to {mtu} in the CNI's configuration, or {raised}")));
        }
    }
    let is_silent = case.fault.key.joint.is_silent();
    fixes.push(verification(case, limit.map(|mtu| if is_silent { case.largest() } else { mtu })));
    fixes
}

fn veth_fixes(case: &Case<'_>, ifindex: u32, mtu: u32) -> Vec<Fix> {
    let Some(host_end) = case.topology.interface(ifindex) else { return Vec::new() };
    let pod_mtu = host_end.peer.as_ref().and_then(|peer| peer.mtu);
    let command = match (case.fault.key.direction, &case.fault.pod, pod_mtu) {
        (Direction::FromPod, _, Some(pod_mtu)) => {
            Some(format!("ip link set {} mtu {pod_mtu}", host_end.name))
        }
        (Direction::ToPod, Some(pod), _) => {
            let raise = |name| inside(pod, &format!("ip link set {name} mtu {}", host_end.mtu));
            // Where the pod's end is out of reach, a smaller host's end lets routing tell the senders.
            let lower = || format!("ip link set {} mtu {mtu}", host_end.name);
            pod.pod_interface.as_deref().and_then(raise).or_else(|| Some(lower()))
        }
        (Direction::FromPod | Direction::ToPod | Direction::FromHost | Direction::ToHost, _, _) => None,
    };
    vec![
        now(command, "give both ends of the veth the same MTU; lost at the next pod restart"),
        durable("set one MTU for both ends in the CNI's configuration (it makes the pair)"),
    ]
}
