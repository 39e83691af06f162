//! One input of each kind, with every field set somewhere.
use crate::output::evidence::Entry;
use bytes::Bytes;
use probe_core::diagnose::{HookCounters, NetnsCounters, Senses};
use probe_core::model::event::{Event, FragmentSeen, Lost, MssSeen, Oversize, OversizeHow};
use probe_core::model::flow::{Family, Flow, Protocol};
use probe_core::model::interface::{DeviceCounters, Interface, OuterDf, Peer, Role, Tunnel};
use probe_core::model::nat::NatEntry;
use probe_core::model::packet::{Fragment, Packet, TcpHeader, Transport};
use probe_core::model::packet_too_big::{HookDirection, PacketTooBigSeen};
use probe_core::model::pmtu_exception::{NetnsExceptions, PmtuException};
use probe_core::model::pod::{Container, Owner, Pod, PodSource};
use probe_core::model::route::Route;
use probe_core::model::rule::Rule;
use probe_core::model::settings::{Setting, Settings};
use probe_core::model::size_drop::{IcmpGenerated, PacketDropped};
use probe_core::model::tcp::{Arrival, HoleState, TcpHole, TcpRetransmit, TcpStateChange};
use probe_core::model::tcp_socket::{NetnsSockets, TcpSocket};
use probe_core::model::topology::Topology;
use probe_core::model::vswitch::{SwitchFlow, Vswitch};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Names and addresses that occur in the samples and nowhere else.
pub const NAMES: [&str; 10] = [
    "uplink0",
    "tunnel0",
    "vethblue",
    "blue-pod",
    "blue-ns",
    "blue-uid",
    "blue-box",
    "10.244.1.11",
    "10.0.0.2",
    "fd00:1::11",
];

pub fn senses() -> Senses {
    Senses { tc: true, kfree_skb: true, icmp_send: true, tcp_retransmit: false, conntrack: false }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn flow(protocol: Protocol) -> Flow {
    Flow { protocol, src: ip("10.244.1.11"), src_port: 41822, dst: ip("10.9.0.7"), dst_port: 443 }
}

fn packet(protocol: Protocol, transport: Transport) -> Packet {
    Packet {
        flow: flow(protocol),
        length: 1500,
        df: true,
        fragment: None,
        id: 77,
        ttl: 63,
        header_len: 20,
        transport,
        payload: Bytes::new(),
    }
}

fn segment() -> Packet {
    let header = TcpHeader { seq: 1, ack: 2, flags: 16, header_len: 32, mss: Some(1460), sack: true };
    packet(Protocol::Tcp, Transport::Tcp(header))
}

fn datagram() -> Packet {
    let fragment = Some(Fragment { id: 9, offset: 0, more: true });
    let payload = Bytes::from_static(&[0, 1, 0xfe, 0xff]);
    Packet { fragment, payload, ..packet(Protocol::Udp, Transport::Udp) }
}

fn error() -> Packet {
    let original = Some(Box::new(segment()));
    packet(Protocol::Icmp, Transport::PacketTooBig { next_hop_mtu: 1400, original })
}

fn pod() -> Pod {
    Pod {
        namespace: Some("blue-ns".to_owned()),
        name: Some("blue-pod".to_owned()),
        uid: Some("blue-uid".to_owned()),
        container_id: Some("blue-box".to_owned()),
        netns: Some("/run/netns/blue-box".to_owned()),
        netns_inode: Some(4_026_532_998),
        host_ifindex: Some(3),
        host_interface: Some("vethblue".to_owned()),
        pod_interface: Some("eth0".to_owned()),
        pod_mtu: Some(1500),
        addresses: vec![ip("10.244.1.11"), ip("fd00:1::11")],
        source: PodSource::Cgroup,
        pid: Some(4711),
        tenancy: 7,
        containers: vec![Container { name: "blue-container".to_owned(), id: "blue-crate".to_owned() }],
        labels: [("app".to_owned(), "blue-app".to_owned())].into(),
        owner: Some(Owner { kind: "Deployment".to_owned(), name: "blue-owner".to_owned() }),
    }
}

fn counters(from: u64) -> DeviceCounters {
    DeviceCounters {
        rx_packets: from,
        tx_packets: from + 1,
        rx_dropped: from + 2,
        tx_dropped: from + 3,
        rx_errors: from + 4,
        rx_length_errors: from + 5,
        rx_over_errors: from + 6,
        tx_errors: from + 7,
    }
}

fn device(ifindex: u32, name: &str, kind: &str, role: Role) -> Interface {
    Interface {
        ipv6_mtu: Some(1490),
        min_mtu: Some(68),
        max_mtu: Some(9000),
        counters: counters(u64::from(ifindex) * 100),
        ..Interface::plain(ifindex, name, kind, 1500, role)
    }
}

pub fn topology() -> Topology {
    let uplink = Interface {
        mtu: 1400,
        addresses: vec![(ip("10.0.0.2"), 24)],
        ..device(1, "uplink0", "", Role::Uplink)
    };
    let overlay = Interface {
        lower: Some(1),
        tunnel: Some(Tunnel {
            overhead: Some(50),
            underlay: Some(1),
            df: OuterDf::Inherit,
            port: Some(8472),
            padding: Some(16),
            local: Some(ip("10.0.0.2")),
            metadata: false,
            remotes: vec![ip("10.0.0.3")],
        }),
        ..device(2, "tunnel0", "vxlan", Role::Overlay)
    };
    let peer = Peer {
        ifindex: 2,
        nsid: Some(0),
        name: Some("eth0".to_owned()),
        mtu: Some(1500),
        addresses: vec![ip("10.244.1.11")],
        counters: Some(counters(1000)),
    };
    let host_end = Interface {
        mtu: 1480,
        master: Some(9),
        master_kind: Some("bridge".to_owned()),
        peer: Some(peer),
        ..device(3, "vethblue", "veth", Role::Pod)
    };
    let route = |destination, oif, gateway, mtu| Route {
        family: Family::Ipv4,
        table: 254,
        destination,
        priority: 100,
        oif: Some(oif),
        gateway,
        mtu,
        mtu_locked: mtu.is_some(),
        advmss: mtu,
        unicast: true,
    };
    Topology {
        netns_inode: 4_026_531_840,
        interfaces: [uplink, overlay, host_end].map(|interface| (interface.ifindex, interface)).into(),
        routes: vec![
            route(Some((ip("10.244.1.11"), 32)), 3, None, None),
            route(Some((ip("10.244.2.0"), 24)), 2, None, Some(1350)),
            route(None, 1, Some(ip("10.0.0.1")), None),
        ],
        rules: vec![Rule {
            family: Family::Ipv4,
            priority: 100,
            table: Some(1000),
            from: Some((ip("10.244.1.0"), 24)),
            came_by: Some("vethblue".to_owned()),
            to: Some((ip("10.9.0.0"), 16)),
            is_special: false,
            suppressed: Some(0),
        }],
        vswitches: vec![Vswitch {
            ifindex: 1,
            ports: vec![1, 3],
            flows: Some(vec![SwitchFlow {
                came_by: Some(3),
                destination: Some((ip("203.0.113.0"), 24)),
                leaves_by: vec![1],
            }]),
        }],
        pods: vec![pod()],
        departed: vec![Pod { tenancy: 6, ..pod() }],
        settings: [(4_026_531_840, settings(0)), (4_026_532_001, settings(2))].into(),
    }
}

fn settings(ip_no_pmtu_disc: u32) -> Settings {
    Settings { values: [(Setting::IpNoPmtuDisc, ip_no_pmtu_disc), (Setting::MinPmtu, 552)].into() }
}

fn dropped() -> PacketDropped {
    PacketDropped {
        time: 5,
        packets: 3,
        reason: "PKT_TOO_BIG".to_owned(),
        location: "ip_forward".to_owned(),
        netns: 4_026_531_840,
        ifindex: 3,
        device: "vethblue".to_owned(),
        peer_ifindex: Some(3),
        device_mtu: 1500,
        peer_mtu: Some(1480),
        egress_ifindex: Some(1),
        egress_mtu: Some(1400),
        egress_netns: Some(4_026_531_840),
        route_mtu: Some(1300),
        skb_len: 1514,
        gso_size: Some(1448),
        packet: Some(segment()),
    }
}

fn retransmit() -> TcpRetransmit {
    TcpRetransmit {
        time: 8,
        packets: 2,
        netns: 4_026_532_998,
        flow: flow(Protocol::Tcp),
        segment: 1500,
        bytes_acked: 1,
        snd_una: 100,
        snd_nxt: 3000,
        seq: 100,
        total_retrans: 2,
        data_segments_out: 3,
        header_len: 52,
        pmtu: 1500,
        established: true,
        srtt_us: 300,
        timeout: Some(200_000_000),
    }
}

fn hole() -> TcpHole {
    TcpHole {
        time: 9,
        ifindex: 3,
        flow: flow(Protocol::Tcp),
        since: 5,
        last: 6,
        state: HoleState::Open,
        ack: 100,
        missing: 2896,
        first: 300,
        beyond: 600,
        reports: 2,
        tcp_header: 32,
        arrived: vec![Arrival { time: 7, size: 352 }],
    }
}

fn state_change() -> TcpStateChange {
    TcpStateChange {
        time: 9,
        netns: 4_026_532_998,
        flow: flow(Protocol::Tcp),
        established: true,
        bytes_acked: 1,
        bytes_received: 2,
        last_ack: Some(3),
        data_segments_out: 4,
        data_segments_in: 5,
        total_retrans: 6,
        header_len: 52,
        mss: 1448,
        unacked: 7,
    }
}

fn events() -> Vec<Event> {
    let (ifindex, packets) = (3, 2);
    let (ingress, egress) = (HookDirection::Ingress, HookDirection::Egress);
    let oversize = |how| {
        Event::Oversize(Oversize {
            time: 1,
            packets,
            ifindex,
            direction: ingress,
            length: 1500,
            limit: 1400,
            how,
            egress_ifindex: Some(1),
            gso: true,
            packet: segment(),
        })
    };
    let seen = |packet| PacketTooBigSeen { time: 2, packets, ifindex, direction: egress, packet };
    let generated = IcmpGenerated {
        time: 6,
        netns: 4_026_531_840,
        ifindex,
        peer_ifindex: Some(3),
        egress_ifindex: Some(1),
        egress_mtu: Some(1400),
        route_mtu: Some(1300),
        packet: Some(datagram()),
    };
    let icmp = packet(Protocol::Icmpv6, Transport::Icmp { kind: 128, code: 1 });
    let lost = Lost {
        time: 10,
        what: "ring_full".to_owned(),
        count: 12,
        interface: Some("vethblue".to_owned()),
        why: "vethblue has no room for 10.244.1.11".to_owned(),
    };
    vec![
        oversize(OversizeHow::Route),
        oversize(OversizeHow::Peer),
        oversize(OversizeHow::Device),
        oversize(OversizeHow::Tunnel),
        Event::IcmpGenerated(generated),
        Event::Dropped(dropped()),
        Event::Dropped(PacketDropped {
            packet: Some(packet(Protocol::Other(47), Transport::Opaque)),
            ..dropped()
        }),
        Event::PacketTooBig(seen(error())),
        Event::PacketTooBig(seen(packet(
            Protocol::Icmp,
            Transport::PacketTooBig { next_hop_mtu: 0, original: None },
        ))),
        Event::Fragment(FragmentSeen { time: 4, packets, ifindex, direction: egress, packet: datagram() }),
        Event::TcpRetransmit(retransmit()),
        Event::TcpStateChange(state_change()),
        Event::TcpHole(hole()),
        Event::TcpMss(MssSeen { time: 7, ifindex, direction: ingress, packet: icmp }),
        Event::Lost(lost),
    ]
}

pub fn inputs() -> Vec<Entry> {
    // A payload that is not a tunnel's is data, which redaction leaves out; so does the diagnosis.
    let values = |drops| {
        BTreeMap::from([("IpFragFails".to_owned(), 3), ("Dev:vethblue:rx_dropped".to_owned(), drops)])
    };
    let netns = |drops| NetnsCounters { pod_host_ifindex: Some(3), values: values(drops) };
    let nat = NatEntry { original: flow(Protocol::Tcp), reply: flow(Protocol::Tcp).reversed() };
    let hook = |packets| HookCounters {
        ifindex: 3,
        ingress: Some(packets),
        egress: None,
        ingress_before: Some(packets - 1),
        egress_before: None,
    };
    let mut inputs = vec![
        Entry::Topology(topology()),
        Entry::HookCounters(vec![hook(1)]),
        Entry::NetnsCounters(netns(1)),
        Entry::NetnsCounters(netns(2)),
        Entry::NetnsCounters(NetnsCounters { pod_host_ifindex: None, values: values(7) }),
    ];
    inputs.extend(events().into_iter().map(Entry::Event));
    inputs.push(Entry::Exceptions(learned()));
    inputs.push(Entry::Sockets(sockets()));
    inputs.extend([Entry::Nat(vec![nat]), Entry::Timeout, Entry::HookCounters(vec![hook(2)])]);
    inputs
}

fn sockets() -> NetnsSockets {
    let socket = TcpSocket {
        flow: flow(Protocol::Tcp),
        unacked: 10,
        sacked: 1,
        unsent: 4096,
        mss: 1448,
        header_len: 52,
        pmtu: 1500,
        retransmits: 3,
        probes: 1,
        total_retrans: 4,
        last_ack_age: 1_234_000_000,
        bytes_acked: 301,
        bytes_received: 77,
        data_segments_out: 14,
        out_of_order: 2,
        window: 65_536,
    };
    NetnsSockets { netns: 77, began: Some(5_000_000_000), sockets: vec![socket] }
}

fn learned() -> NetnsExceptions {
    let exception = PmtuException {
        netns: 77,
        destination: ip("10.0.0.2"),
        mtu: 1400,
        locked: true,
        expires: 590,
        users: 2,
        ifindex: Some(2),
        interface: Some("tunnel0".to_owned()),
        gateway: Some(ip("fd00:1::11")),
    };
    let mut locked = topology().routes;
    locked.truncate(1);
    NetnsExceptions { netns: 77, exceptions: vec![exception], locked }
}
