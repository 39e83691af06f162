//! Packets that the kernel dropped.
use super::fault::{FaultKey, Joint};
use super::place::{self, Place};
use super::subject::{self, Subject};
use super::{Diagnoser, DropReport, Output};
use crate::decode::tunnel;
use crate::model::Time;
use crate::model::finding::{Direction, Limit, LimitAt, LimitHow};
use crate::model::flow::Family;
use crate::model::interface::{Interface, Role};
use crate::model::packet::Packet;
use crate::model::size_drop::PacketDropped;

/// The 4 bytes that veth and bridge let pass above their MTU (room for a VLAN tag, `is_skb_forwardable`).
const VLAN_SLACK: u32 = 4;

/// Where a packet met which limit.
pub(super) struct Met {
    pub subject: Subject,
    pub joint: Joint,
    pub limit: Limit,
}

impl Diagnoser {
    pub(super) fn handle_dropped(&mut self, now: Time, drop: &PacketDropped) {
        let Some(packet) = &drop.packet else { return };
        let place = place::classify(drop);
        if place != Place::Veth && self.is_beyond_uplink(drop) {
            return;
        }
        let met = match place {
            Place::Veth => self.met_at_veth(drop, packet),
            Place::Bridge => self.met_at_port(drop, packet),
            Place::Vswitch => self.met_at_vswitch(drop, packet),
            Place::Forward => self.met_on_the_way_out(drop, packet),
            Place::Fragmentation | Place::Tunnel => {
                return self.handle_refused_fragmentation(now, drop, packet);
            }
            Place::Error => return self.handle_error_dropped(now, drop, packet),
            Place::Fragment => return self.handle_fragment_dropped(now, drop, packet),
            Place::Filtered => return self.handle_filtered(now, drop, packet),
            Place::Reassembly => return self.handle_reassembly_expired(now, drop, packet),
            Place::Unrelated => return,
        };
        if let Some(met) = met {
            self.record_drop(now, drop, packet, segment_length(drop, packet), met);
        }
    }

    /// The device is the other end of an uplink that is a veth: only what our own end refuses concerns this node.
    fn is_beyond_uplink(&self, drop: &PacketDropped) -> bool {
        let peer = drop.peer_ifindex.and_then(|ifindex| self.topology.interface(ifindex));
        drop.netns != self.topology.netns_inode && peer.is_some_and(|peer| peer.role == Role::Uplink)
    }

    /// Adds a drop to its fault and reports it.
    fn record_drop(&mut self, now: Time, drop: &PacketDropped, packet: &Packet, length: u32, met: Met) {
        self.report_drop(drop, packet, length, &met);
        let key = FaultKey {
            pod: met.subject.key(),
            direction: met.subject.direction,
            family: packet.family(),
            joint: met.joint,
        };
        let packets = u64::from(drop.packets.max(1));
        let observable = self.is_error_observable(&met.subject);
        let fault = self.fault(key.clone(), met.subject.pod, met.limit, drop.time);
        fault.errors_observable = observable;
        fault.witnesses.insert(format!("{} in {}", drop.reason, name_of(&drop.location)));
        if let Some(flow) = fault.flow(packet.flow, drop.time, packets) {
            flow.add_drops(drop.time, packet, length, packets);
        }
        self.apply_waiting_errors(&key, packet.flow);
        self.retract_silent_path(now, packet.flow);
        self.touch(now, &key);
    }

    /// Errors for this sender pass a hook of ours where they would be seen.
    pub(super) fn is_error_observable(&self, subject: &Subject) -> bool {
        let host_ifindex = subject.pod.as_ref().and_then(|pod| pod.host_ifindex);
        self.senses.tc
            && match subject.direction {
                Direction::FromPod => self.coverages.is_observable(host_ifindex, Direction::ToPod),
                Direction::ToPod | Direction::FromHost | Direction::ToHost => true,
            }
    }

    fn report_drop(&mut self, drop: &PacketDropped, packet: &Packet, length: u32, met: &Met) {
        self.output.push_back(Output::Drop(DropReport {
            time: drop.time,
            reason: drop.reason.clone(),
            location: drop.location.clone(),
            interface: drop.device.clone(),
            length,
            limit_mtu: met.limit.mtu,
            flow: Some(packet.flow),
            pod: met.subject.pod.clone(),
            packets: drop.packets.max(1),
        }));
    }

    /// `veth_xmit` frees what the receiving end does not take; the packet's device is the sending end.
    fn met_at_veth(&self, drop: &PacketDropped, packet: &Packet) -> Option<Met> {
        let limit = drop.peer_mtu?;
        // The same place frees packets for a device that is down: a loss that does not depend on size is none of ours.
        if place::length(drop) <= limit + VLAN_SLACK || drop.gso_size.is_some() {
            return None;
        }
        if drop.netns == self.topology.netns_inode {
            let host_end = self.topology.interface(drop.ifindex)?;
            let subject = if host_end.role == Role::Pod {
                subject::of_pod(self.topology.pod_behind(host_end.ifindex), Direction::ToPod)
            } else {
                // A link partner that takes less than we send.
                subject::of_packet(&self.topology, &packet.flow, None, None)
            };
            let interface = match &host_end.peer {
                Some(peer) if host_end.role == Role::Pod => peer.name.clone(),
                Some(_) | None => Some(host_end.name.clone()),
            };
            let limit = Limit::known(
                limit,
                if host_end.role == Role::Pod { LimitAt::Pod } else { LimitAt::Link },
                LimitHow::PeerMtu,
                interface,
            );
            return Some(Met { subject, joint: Joint::Veth(host_end.ifindex), limit });
        }
        let behind = || self.topology.pod_in_netns(drop.netns)?.host_ifindex;
        let host_end = self.topology.interface(drop.peer_ifindex.or_else(behind)?)?;
        let subject = if host_end.role == Role::Pod {
            subject::of_pod(self.topology.pod_behind(host_end.ifindex), Direction::FromPod)
        } else {
            subject::of_packet(&self.topology, &packet.flow, None, None)
        };
        let limit = Limit::known(limit, LimitAt::Link, LimitHow::PeerMtu, Some(host_end.name.clone()));
        Some(Met { subject, joint: Joint::Veth(host_end.ifindex), limit })
    }

    /// A bridge frees what its outgoing port does not take; the packet's device is that port.
    fn met_at_port(&self, drop: &PacketDropped, packet: &Packet) -> Option<Met> {
        let slack = VLAN_SLACK;
        if place::length(drop) <= drop.device_mtu + slack || drop.gso_size.is_some() {
            return None;
        }
        if drop.netns != self.topology.netns_inode {
            return self.met_inside_pod(drop, drop.device_mtu);
        }
        let port = self.topology.interface(drop.ifindex)?;
        let subject = subject::of_packet(&self.topology, &packet.flow, None, Some(port.ifindex));
        let limit = Limit::known(drop.device_mtu, LimitAt::Link, LimitHow::PeerMtu, Some(port.name.clone()));
        Some(Met { subject, joint: Joint::Port(port.ifindex), limit })
    }

    /// Forwarding frees what the route's device or the route itself does not take; the packet's device is still the
    /// one that it came by.
    fn met_on_the_way_out(&self, drop: &PacketDropped, packet: &Packet) -> Option<Met> {
        let device_mtu = drop.egress_mtu?;
        let length = segment_length(drop, packet);
        let (mtu, how) = forward_limit(packet.family(), length, device_mtu, drop.route_mtu);
        let egress_netns = drop.egress_netns.unwrap_or(drop.netns);
        if egress_netns != self.topology.netns_inode {
            return self.met_inside_pod(drop, mtu);
        }
        // `ip6_forward` has already set the device to the one that it leaves by.
        let came_by = (drop.netns == self.topology.netns_inode && drop.egress_ifindex != Some(drop.ifindex))
            .then_some(drop.ifindex);
        let egress = self.topology.interface(drop.egress_ifindex?);
        let subject = subject::of_packet(&self.topology, &packet.flow, came_by, drop.egress_ifindex);
        let limit = Limit::known(mtu, LimitAt::Node, how, egress.map(|interface| interface.name.clone()));
        Some(Met { subject, joint: Joint::Egress(drop.egress_ifindex?, mtu), limit })
    }

    /// A device inside a pod's namespace (containers nested in it).
    fn met_inside_pod(&self, drop: &PacketDropped, mtu: u32) -> Option<Met> {
        let netns = drop.egress_netns.unwrap_or(drop.netns);
        let pod = self.topology.pod_in_netns(netns)?;
        let ifindex = drop.egress_ifindex.unwrap_or(drop.ifindex);
        let host_end = pod.host_ifindex.and_then(|ifindex| self.topology.interface(ifindex));
        let is_pod_end =
            host_end.and_then(|end| end.peer.as_ref()).is_some_and(|peer| peer.ifindex == ifindex);
        let limit = Limit::known(
            mtu,
            LimitAt::Pod,
            LimitHow::DeviceMtu,
            if is_pod_end { pod.pod_interface.clone() } else { Some(drop.device.clone()) },
        );
        Some(Met {
            subject: subject::of_pod(Some(pod), Direction::FromPod),
            joint: Joint::PodDevice(netns, ifindex),
            limit,
        })
    }

    /// `ip_fragment` frees a packet with DF that its device does not take: the outer packet of a tunnel, or one that a
    /// bridge with br_netfilter or a local socket sends.
    fn handle_refused_fragmentation(&mut self, now: Time, drop: &PacketDropped, packet: &Packet) {
        if let Some(tunnel) = self.refusing_tunnel(drop) {
            let length = segment_length(drop, packet);
            let met = self.met_in_tunnel(tunnel, packet);
            // Another reason to refuse it (a smaller path to the other end) is no fault of the tunnel's arithmetic.
            if met.limit.mtu.is_some_and(|mtu| length > mtu) {
                self.record_drop(now, drop, packet, length, met);
            }
            return;
        }
        let device_mtu = drop.egress_mtu.unwrap_or(drop.device_mtu);
        if segment_length(drop, packet) <= device_mtu {
            return;
        }
        if let Some((tunnel, inner)) = self.inside_tunnel(packet) {
            let met = self.met_in_tunnel(&tunnel, &inner);
            let length = inner.length;
            return self.record_drop(now, drop, &inner, length, met);
        }
        if drop.egress_netns.unwrap_or(drop.netns) != self.topology.netns_inode {
            if let Some(met) = self.met_inside_pod(drop, device_mtu) {
                self.record_drop(now, drop, packet, segment_length(drop, packet), met);
            }
            return;
        }
        let (mtu, how) =
            forward_limit(packet.family(), segment_length(drop, packet), device_mtu, drop.route_mtu);
        let ifindex = drop.egress_ifindex.unwrap_or(drop.ifindex);
        let egress = self.topology.interface(ifindex);
        let limit = Limit::known(mtu, LimitAt::Node, how, egress.map(|interface| interface.name.clone()));
        let subject = subject::of_packet(&self.topology, &packet.flow, None, Some(ifindex));
        let met = Met { subject, joint: Joint::Egress(ifindex, mtu), limit };
        self.record_drop(now, drop, packet, segment_length(drop, packet), met);
    }

    /// The tunnel device that refuses an inner packet: the packet's device is that of the tunnel.
    fn refusing_tunnel(&self, drop: &PacketDropped) -> Option<&Interface> {
        let device = self.topology.interface(drop.ifindex).filter(|device| device.tunnel.is_some());
        device.filter(|_| place::classify(drop) == Place::Tunnel && drop.netns == self.topology.netns_inode)
    }

    /// The tunnel of ours that made an outer packet, and the packet inside.
    pub(super) fn inside_tunnel(&self, outer: &Packet) -> Option<(Interface, Packet)> {
        if !self.topology.is_own_address(outer.flow.src) {
            return None;
        }
        self.topology.interfaces.values().find_map(|interface| {
            let tunnel = interface.tunnel.as_ref()?;
            let encapsulation = tunnel::Encapsulation::of_link_kind(&interface.kind)?;
            let inner = tunnel::inner(outer, encapsulation, tunnel.port)?;
            Some((interface.clone(), inner))
        })
    }

    /// The limit of a tunnel for the packets inside it.
    pub(super) fn met_in_tunnel(&self, tunnel: &Interface, inner: &Packet) -> Met {
        let limit = Limit::known(
            self.topology.device_limit(tunnel),
            LimitAt::Overlay,
            LimitHow::UnderlayMinusOverhead,
            Some(tunnel.name.clone()),
        );
        let subject = subject::of_packet(&self.topology, &inner.flow, None, Some(tunnel.ifindex));
        Met { subject, joint: Joint::Tunnel(tunnel.ifindex), limit }
    }
}

/// The limit that forwarding applied. IPv4 takes the route's metric before the device (`ip_dst_mtu_maybe_forward`);
/// IPv6 takes a locked metric only (`ip6_dst_mtu_maybe_forward`), so there the metric must explain the drop.
fn forward_limit(family: Family, length: u32, device_mtu: u32, route_mtu: Option<u32>) -> (u32, LimitHow) {
    match (family, route_mtu) {
        (Family::Ipv4, Some(mtu)) if mtu < device_mtu || length <= device_mtu => (mtu, LimitHow::RouteMtu),
        (Family::Ipv6, Some(mtu)) if length <= device_mtu => (mtu, LimitHow::RouteMtu),
        (Family::Ipv4 | Family::Ipv6, _) => (device_mtu, LimitHow::DeviceMtu),
    }
}

/// Size of what goes on the wire: the packet, or a full segment of a segmentation-offload packet.
fn segment_length(drop: &PacketDropped, packet: &Packet) -> u32 {
    use crate::model::packet::Transport;
    let whole = place::length(drop);
    let Some(gso_size) = drop.gso_size else { return whole };
    let transport = match &packet.transport {
        Transport::Tcp(tcp) => tcp.header_len,
        Transport::Udp => 8,
        Transport::PacketTooBig { .. } | Transport::Icmp { .. } | Transport::Opaque => 0,
    };
    whole.min(packet.header_len + transport + gso_size)
}

/// A symbol for people.
pub(super) fn name_of(location: &str) -> &str {
    if location.is_empty() { "an unknown place" } else { location }
}
