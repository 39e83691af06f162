//! A node and its packets, for the tests of the diagnosis.
use super::{Diagnoser, HookCounters, Output, Senses};
use crate::model::event::Event;
use crate::model::finding::Finding;
use crate::model::flow::{Family, Flow, Protocol};
use crate::model::interface::{Interface, OuterDf, Peer, Role, Tunnel};
use crate::model::packet::{Packet, TcpHeader, Transport};
use crate::model::packet_too_big::{HookDirection, PacketTooBigSeen};
use crate::model::pod::{Pod, PodSource};
use crate::model::route::Route;
use crate::model::size_drop::PacketDropped;
use crate::model::topology::Topology;
use crate::model::{SECOND, Time};
use bytes::Bytes;
use std::net::IpAddr;

pub const NODE: u32 = 4_026_530_001;
pub const UPLINK: u32 = 2;
pub const TUNNEL: u32 = 3;
pub const POD1: u32 = 11;
pub const POD1_NETNS: u32 = 4_026_530_011;

/// What the hooks of pod1 counted.
pub fn hook(egress: u64) -> HookCounters {
    HookCounters {
        ifindex: POD1,
        ingress: Some(0),
        egress: Some(egress),
        ingress_before: None,
        egress_before: None,
    }
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Two pods of 1500 on veths of 1500, an uplink of the given MTU, a vxlan of 1500 over it.
pub fn node(uplink_mtu: u32) -> Topology {
    let mut topology = Topology { netns_inode: NODE, ..Topology::default() };
    let mut uplink = Interface::plain(UPLINK, "eth0", "", uplink_mtu, Role::Uplink);
    uplink.addresses = vec![(ip("10.0.1.2"), 24)];
    let mut tunnel = Interface::plain(TUNNEL, "flannel.1", "vxlan", 1500, Role::Overlay);
    tunnel.tunnel = Some(Tunnel {
        overhead: Some(50),
        underlay: Some(UPLINK),
        df: OuterDf::Unset,
        port: Some(8472),
        padding: None,
        local: Some(ip("10.0.1.2")),
        metadata: false,
        remotes: vec![ip("10.0.2.2")],
    });
    topology.interfaces.extend([(UPLINK, uplink), (TUNNEL, tunnel)]);
    topology.routes.push(Route {
        family: Family::Ipv4,
        table: 254,
        destination: None,
        priority: 0,
        oif: Some(UPLINK),
        gateway: Some(ip("10.0.1.1")),
        mtu: None,
        mtu_locked: false,
        advmss: None,
        unicast: true,
    });
    for number in 1..=2_u32 {
        let ifindex = POD1 + number - 1;
        let address = ip(&format!("10.244.1.{}", 10 + number));
        let name = format!("veth{number}");
        let mut end = Interface::plain(ifindex, &name, "veth", 1500, Role::Pod);
        end.peer = Some(Peer {
            ifindex: 2,
            nsid: Some(number.cast_signed()),
            name: Some("eth0".to_owned()),
            mtu: Some(1500),
            addresses: vec![address],
            counters: None,
        });
        topology.interfaces.insert(ifindex, end);
        topology.pods.push(Pod {
            namespace: None,
            name: Some(format!("pod{number}")),
            uid: None,
            container_id: None,
            netns: Some(format!("/run/netns/pod{number}")),
            netns_inode: Some(POD1_NETNS + number - 1),
            host_ifindex: Some(ifindex),
            host_interface: Some(name),
            pod_interface: Some("eth0".to_owned()),
            pod_mtu: Some(1500),
            addresses: vec![address],
            source: PodSource::Netns,
            pid: None,
            ..Pod::default()
        });
    }
    topology
}

/// Changes both what the topology says of a veth's ends.
pub fn set_veth(topology: &mut Topology, ifindex: u32, host: u32, pod: u32) {
    let end = topology.interfaces.get_mut(&ifindex).expect("the veth");
    end.mtu = host;
    end.peer.as_mut().expect("its peer").mtu = Some(pod);
    let owner = topology.pods.iter_mut().find(|pod| pod.host_ifindex == Some(ifindex)).expect("its pod");
    owner.pod_mtu = Some(pod);
}

pub fn flow(protocol: Protocol, src: &str, src_port: u16, dst: &str, dst_port: u16) -> Flow {
    Flow { protocol, src: ip(src), src_port, dst: ip(dst), dst_port }
}

/// From pod1 to the outside.
pub fn upload(protocol: Protocol, port: u16) -> Flow {
    flow(protocol, "10.244.1.11", port, "10.0.9.2", 5001)
}

pub fn packet(flow: Flow, length: u32, id: u32, df: bool) -> Packet {
    let transport = match flow.protocol {
        Protocol::Tcp => {
            Transport::Tcp(TcpHeader { seq: id, ack: 1, flags: 16, header_len: 32, mss: None, sack: false })
        }
        Protocol::Udp => Transport::Udp,
        Protocol::Icmp | Protocol::Icmpv6 => Transport::Icmp { kind: 8, code: 0 },
        Protocol::Other(_) => Transport::Opaque,
    };
    Packet { flow, length, df, fragment: None, id, ttl: 63, header_len: 20, transport, payload: Bytes::new() }
}

/// What the kernel says of a packet that it frees in `ip_forward` on its way from pod1 to the uplink.
pub fn forward_drop(time: Time, packet: Packet, uplink_mtu: u32) -> PacketDropped {
    PacketDropped {
        time,
        packets: 1,
        reason: "PKT_TOO_BIG".to_owned(),
        location: "ip_forward".to_owned(),
        netns: NODE,
        ifindex: POD1,
        device: "veth1".to_owned(),
        peer_ifindex: None,
        device_mtu: 1500,
        peer_mtu: Some(1500),
        egress_ifindex: Some(UPLINK),
        egress_mtu: Some(uplink_mtu),
        egress_netns: Some(NODE),
        route_mtu: None,
        skb_len: packet.length,
        gso_size: None,
        packet: Some(packet),
    }
}

/// What the kernel says of a packet from pod1 that the host's end of its veth does not take.
pub fn veth_drop(time: Time, packet: Packet, host_mtu: u32) -> PacketDropped {
    PacketDropped {
        reason: "NOT_SPECIFIED".to_owned(),
        location: "__dev_forward_skb2".to_owned(),
        netns: POD1_NETNS,
        ifindex: 2,
        device: "eth0".to_owned(),
        peer_ifindex: Some(POD1),
        peer_mtu: Some(host_mtu),
        egress_ifindex: Some(2),
        egress_mtu: Some(1500),
        egress_netns: Some(POD1_NETNS),
        skb_len: packet.length + 14,
        ..forward_drop(time, packet, 0)
    }
}

/// The ICMP error about a packet.
pub fn error_packet(reporter: &str, mtu: u32, original: &Packet) -> Packet {
    let flow = Flow {
        protocol: Protocol::Icmp,
        src: ip(reporter),
        src_port: 0,
        dst: original.flow.src,
        dst_port: 0,
    };
    let transport = Transport::PacketTooBig { next_hop_mtu: mtu, original: Some(Box::new(original.clone())) };
    Packet { transport, ..packet(flow, 576, 0, false) }
}

/// The ICMP error about a packet, seen at a hook.
pub fn error_seen(time: Time, ifindex: u32, direction: HookDirection, error: Packet) -> Event {
    Event::PacketTooBig(PacketTooBigSeen { time, packets: 1, ifindex, direction, packet: error })
}

/// A diagnosis that sees everything but NAT.
pub fn diagnoser(topology: Topology) -> Diagnoser {
    with_senses(topology, false)
}

/// A diagnosis that sees everything.
pub fn diagnoser_with_conntrack(topology: Topology) -> Diagnoser {
    with_senses(topology, true)
}

fn with_senses(topology: Topology, conntrack: bool) -> Diagnoser {
    let senses = Senses { tc: true, kfree_skb: true, icmp_send: true, tcp_retransmit: true, conntrack };
    let mut diagnoser = Diagnoser::new(senses);
    diagnoser.handle_topology(0, topology);
    diagnoser
}

/// Plays events at their times, with ticks in between, and returns the findings about packets.
pub fn play(mut diagnoser: Diagnoser, events: Vec<(Time, Event)>) -> Vec<Finding> {
    let mut now = 0;
    for (time, event) in events {
        while now + SECOND / 10 < time {
            now += SECOND / 10;
            tick(&mut diagnoser, now);
        }
        now = time;
        diagnoser.handle_event(now, event);
    }
    for _ in 0..20 {
        now += SECOND / 10;
        tick(&mut diagnoser, now);
    }
    let mut findings = diagnoser.finish(now);
    findings.retain(|finding| finding.outcome != crate::model::finding::Outcome::Latent);
    findings
}

fn tick(diagnoser: &mut Diagnoser, now: Time) {
    if diagnoser.poll_timeout().is_some_and(|due| due <= now) {
        diagnoser.handle_timeout(now);
    }
    while let Some(Output::Finding(_) | Output::Drop(_) | Output::PacketTooBig(_)) = diagnoser.poll_output() {
    }
}
