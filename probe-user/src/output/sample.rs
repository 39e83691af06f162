//! One message of each kind, for the golden tests of the forms.
use super::wall_clock::WallClock;
use super::{AttachedInterface, Hook, Message, Sense, SenseState, Start, Summary};
use probe_core::diagnose::{DropReport, Output, PacketTooBigReport, Stage, Verdict};
use probe_core::model::SECOND;
use probe_core::model::change::{Change, ChangeKind};
use probe_core::model::coverage::{Coverage, CoverageState};
use probe_core::model::event::Lost;
use probe_core::model::finding::{
    Cause, Certainty, Counts, Direction, Finding, Fix, FixWhen, FlowReport, Impact, Kind, Limit, LimitAt,
    LimitHow, Outcome, Reason, Severity, State,
};
use probe_core::model::flow::{Family, Flow, Protocol};
use probe_core::model::interface::Role;
use probe_core::model::packet_too_big::HookDirection;
use probe_core::model::pod::{Pod, PodSource};
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

/// Zero of the monotonic clock is 14:02:00.
pub fn clock() -> WallClock {
    WallClock::at(UNIX_EPOCH + Duration::from_secs(1_783_000_920), 0)
}

pub fn pod() -> Pod {
    Pod {
        namespace: Some("shop".to_owned()),
        name: Some("cart-7d9f".to_owned()),
        uid: Some("11aa".to_owned()),
        container_id: None,
        netns: Some("/run/netns/cni-1".to_owned()),
        netns_inode: Some(4_026_532_998),
        host_ifindex: Some(7),
        host_interface: Some("veth1a2b".to_owned()),
        pod_interface: Some("eth0".to_owned()),
        pod_mtu: Some(1500),
        addresses: vec!["10.1.2.3".parse().expect("an address")],
        source: PodSource::Cri,
        pid: None,
        ..Pod::default()
    }
}

pub(super) fn flow() -> Flow {
    Flow {
        protocol: Protocol::Tcp,
        src: "10.1.2.3".parse().expect("an address"),
        src_port: 41822,
        dst: "10.9.0.7".parse().expect("an address"),
        dst_port: 443,
    }
}

pub fn finding() -> Finding {
    Finding {
        id: "f3a9c1".to_owned(),
        state: State::Open,
        kind: Kind::PmtuBlackHole,
        reason: Some(Reason::IcmpFiltered),
        severity: Severity::Critical,
        certainty: Certainty::Confirmed,
        family: Some(Family::Ipv4),
        cause: Some(Cause {
            kind: None,
            id: "9be2".to_owned(),
            title: "eth0 carries 1400, pods send 1500".to_owned(),
            scope: "uplink",
            pods_affected: 3,
            pods_total: 40,
            changed: Some("14:02:11 eth0 mtu 1500 -> 1400".to_owned()),
        }),
        pod: Some(pod()),
        pods: Vec::new(),
        direction: Some(Direction::FromPod),
        limit: Limit {
            mtu: Some(1400),
            between: None,
            at: LimitAt::Node,
            interface: Some("eth0".to_owned()),
            router: None,
            how: LimitHow::DeviceMtu,
        },
        outcome: Outcome::Lost,
        flows: vec![FlowReport {
            src_name: None,
            dst_name: Some("service shop/payments".to_owned()),
            flow: flow(),
            nat: None,
            packets: 12,
            largest_packet: 1500,
            df: true,
            outcome: Outcome::Lost,
        }],
        counts: Counts {
            oversize_packets: 12,
            dropped_packets: 12,
            ptb_generated: 12,
            ptb_delivered: 0,
            fragments_created: 0,
            retransmits: 9,
        },
        first_seen: 13 * SECOND,
        last_seen: 20 * SECOND,
        ended: None,
        impact: Impact { stalled_flows: 1, lost_per_minute: 40 },
        chain: Some("pod eth0 1500 > veth1a2b 1500 > [eth0 1400]".to_owned()),
        title: "large packets from shop/cart-7d9f vanish".to_owned(),
        explanation: "12 drops PKT_TOO_BIG on eth0; frag-needed dropped by NETFILTER_DROP".to_owned(),
        fixes: vec![
            Fix {
                when: FixWhen::Now,
                command: Some("ip link set eth0 mtu 1500".to_owned()),
                text: "until reboot".to_owned(),
            },
            Fix {
                when: FixWhen::Durable,
                command: None,
                text: "restore 1500 where it was changed".to_owned(),
            },
        ],
    }
}

pub(super) fn config_finding() -> Finding {
    Finding {
        id: "aa01".to_owned(),
        state: State::Closed,
        kind: Kind::OverlayMtuExceedsUnderlay,
        reason: None,
        severity: Severity::Info,
        certainty: Certainty::Confirmed,
        family: None,
        cause: None,
        pod: None,
        pods: vec![pod()],
        direction: None,
        limit: Limit {
            mtu: Some(1350),
            between: None,
            at: LimitAt::Overlay,
            interface: Some("vxlan0".to_owned()),
            router: None,
            how: LimitHow::UnderlayMinusOverhead,
        },
        outcome: Outcome::Latent,
        flows: Vec::new(),
        counts: Counts::default(),
        first_seen: SECOND,
        last_seen: SECOND,
        ended: Some(30 * SECOND),
        impact: Impact::default(),
        chain: None,
        title: "vxlan0 takes 1450, its underlay leaves 1350".to_owned(),
        explanation: "vxlan0 has MTU 1450 and adds 50, eth0 has 1400".to_owned(),
        fixes: Vec::new(),
    }
}

fn attached(interface: &str, role: Role) -> AttachedInterface {
    AttachedInterface { interface: interface.to_owned(), role, hook: Hook::Tcx }
}

fn diagnosis(at: u64, output: Output) -> Message {
    Message::Diagnosis { time: at * SECOND, output }
}

/// A whole observation.
pub(super) fn messages() -> Vec<Message> {
    vec![
        Message::Start(Start {
            time: 0,
            version: "0.1.0".into(),
            kernel: "6.18.44".to_owned(),
            node: "worker-3".to_owned(),
            attached: vec![attached("eth0", Role::Uplink), attached("vxlan0", Role::Overlay)],
            pending: vec!["veth1a2b".to_owned()],
            senses: vec![
                Sense { name: "tc".into(), state: SenseState::Works, why: None },
                Sense {
                    name: "icmp_send".into(),
                    state: SenseState::Missing,
                    why: Some("the kernel has no such tracepoint".to_owned()),
                },
            ],
        }),
        Message::Progress { time: SECOND / 5, attached: 2, pending: 1 },
        Message::Attached { time: SECOND / 4, count: 3, took: SECOND / 4 },
        Message::Attach { time: 2 * SECOND, interface: attached("veth9", Role::Pod), pod: Some(pod()) },
        Message::Detach { time: 3 * SECOND, interface: attached("veth9", Role::Pod), pod: None },
        diagnosis(
            11,
            Output::Change(Change {
                time: 11 * SECOND,
                what: ChangeKind::LinkMtu,
                object: "eth0".to_owned(),
                from: Some("1500".to_owned()),
                to: Some("1400".to_owned()),
            }),
        ),
        diagnosis(
            12,
            Output::Drop(DropReport {
                time: 12 * SECOND,
                reason: "PKT_TOO_BIG".to_owned(),
                location: "ip_forward".to_owned(),
                interface: "eth0".to_owned(),
                length: 1500,
                limit_mtu: Some(1400),
                flow: Some(flow()),
                pod: Some(pod()),
                packets: 2,
            }),
        ),
        diagnosis(
            12,
            Output::PacketTooBig(PacketTooBigReport {
                time: 12 * SECOND,
                family: Family::Ipv4,
                stage: Stage::Generated,
                error_id: "e1".to_owned(),
                seen_at: Some(("eth0".to_owned(), Some(HookDirection::Egress))),
                reporter: Some("10.0.1.2".parse().expect("an address")),
                next_hop_mtu: Some(1400),
                original: Some(flow()),
                original_length: Some(1500),
                pod: Some(pod()),
                verdict: Verdict::Plausible,
                why: None,
            }),
        ),
        diagnosis(13, Output::Finding(finding())),
        diagnosis(
            14,
            Output::Coverage(Coverage {
                pod: pod(),
                direction: Direction::ToPod,
                state: CoverageState::Blind,
                why: Some("redirect_peer"),
                instead: Some("counters of the pod"),
            }),
        ),
        diagnosis(
            15,
            Output::Lost(Lost {
                time: 15 * SECOND,
                what: "ring_full".to_owned(),
                count: 1200,
                interface: None,
                why: "the ring had no room".to_owned(),
            }),
        ),
        Message::Summary(Summary {
            hidden: 0,
            time: 42 * SECOND,
            duration: 42 * SECOND,
            findings: vec![config_finding(), finding()],
            packets_seen: 1_234_567,
            lost: BTreeMap::from([("ring_full".to_owned(), 1200)]),
        }),
    ]
}
