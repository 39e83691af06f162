//! Fragmentation on this node, and fragments that are lost.
use super::Diagnoser;
use super::drops;
use super::fault::{FaultKey, Joint};
use super::subject;
use crate::decode::tunnel::Encapsulation;
use crate::model::Time;
use crate::model::event::{FragmentSeen, Oversize, OversizeHow};
use crate::model::finding::{Direction, Limit, LimitAt, LimitHow};
use crate::model::flow::Protocol;
use crate::model::interface::{Interface, OuterDf, Role};
use crate::model::packet::Packet;
use crate::model::packet_too_big::HookDirection;
use crate::model::size_drop::PacketDropped;

impl Diagnoser {
    /// A packet at a hook that is larger than its egress: a suspicion until a drop or a fragment confirms it.
    pub(super) fn handle_oversize(&mut self, now: Time, oversize: &Oversize) {
        match oversize.how {
            OversizeHow::Route | OversizeHow::Tunnel if !oversize.packet.df => {
                self.expect_fragments(now, oversize);
            }
            // WireGuard's own packets have no DF, whatever is inside.
            OversizeHow::Tunnel if self.opaque_tunnel(oversize.egress_ifindex).is_some() => {
                self.expect_fragments(now, oversize);
            }
            // With DF the kernel frees it and says so; the hook is a second witness only.
            OversizeHow::Route | OversizeHow::Tunnel | OversizeHow::Device => {}
            OversizeHow::Peer => self.see_before_veth(now, oversize),
        }
    }

    /// A packet is on its way into a veth whose other end does not take it.
    fn see_before_veth(&mut self, now: Time, oversize: &Oversize) {
        let joint = Joint::Veth(oversize.ifindex);
        if let Some(fault) = self.faults.iter_mut().find(|(key, _)| key.joint == joint) {
            fault.1.seen_at_hook = true;
        }
        let host_end = self.topology.interface(oversize.ifindex).filter(|end| end.role == Role::Pod);
        // Where drops are observed, they tell more.
        let (false, Some(host_end)) = (self.senses.kfree_skb, host_end) else { return };
        let peer = host_end.peer.as_ref();
        let name = peer.and_then(|peer| peer.name.clone());
        // The hook lets the slack for a VLAN tag pass.
        let mtu = peer.and_then(|peer| peer.mtu).unwrap_or(oversize.limit);
        let limit = Limit::known(mtu, LimitAt::Pod, LimitHow::PeerMtu, name);
        let subject = subject::of_pod(self.topology.pod_behind(oversize.ifindex), Direction::ToPod);
        let key = FaultKey {
            pod: subject.key(),
            direction: subject.direction,
            family: oversize.packet.family(),
            joint,
        };
        let packets = u64::from(oversize.packets.max(1));
        let fault = self.fault(key.clone(), subject.pod, limit, oversize.time);
        fault.inferred = true;
        fault.seen_at_hook = true;
        fault.witnesses.insert("larger than the other end takes, as the egress hook saw".to_owned());
        if let Some(flow) = fault.flow(oversize.packet.flow, oversize.time, packets) {
            flow.add_drops(oversize.time, &oversize.packet, oversize.length, packets);
        }
        self.touch(now, &key);
    }

    /// The route of a packet without DF is smaller: the node will cut it.
    fn expect_fragments(&mut self, now: Time, oversize: &Oversize) {
        let egress =
            oversize.egress_ifindex.or_else(|| self.egress_with_limit(&oversize.packet, oversize.limit));
        let Some(egress) = egress else { return };
        let interface = self.topology.interface(egress);
        let (joint, at, how) = match oversize.how {
            OversizeHow::Tunnel => (Joint::Tunnel(egress), LimitAt::Overlay, LimitHow::UnderlayMinusOverhead),
            OversizeHow::Route | OversizeHow::Peer | OversizeHow::Device => {
                let device = interface.is_some_and(|interface| interface.mtu == oversize.limit);
                let how = if device { LimitHow::DeviceMtu } else { LimitHow::RouteMtu };
                (Joint::Egress(egress, oversize.limit), LimitAt::Node, how)
            }
        };
        let limit = Limit::known(oversize.limit, at, how, interface.map(|interface| interface.name.clone()));
        let subject =
            subject::of_packet(&self.topology, &oversize.packet.flow, Some(oversize.ifindex), Some(egress));
        let key = FaultKey {
            pod: subject.key(),
            direction: subject.direction,
            family: oversize.packet.family(),
            joint,
        };
        let packets = u64::from(oversize.packets.max(1));
        let fault = self.fault(key.clone(), subject.pod, limit, oversize.time);
        fault.seen_at_hook = true;
        if let Some(flow) = fault.flow(oversize.packet.flow, oversize.time, packets) {
            flow.add(oversize.time, &oversize.packet, oversize.length, packets);
            flow.fragmented += packets;
        }
        self.touch(now, &key);
    }

    /// The kernel says that a route is smaller, not which: the most specific one of any table that has this limit.
    fn egress_with_limit(&self, packet: &Packet, limit: u32) -> Option<u32> {
        self.topology.routes_to(packet.flow.dst).into_iter().find_map(|route| {
            let device = self.topology.interface(route.oif?)?;
            (route.mtu == Some(limit) || device.mtu == limit).then_some(device.ifindex)
        })
    }

    /// A first fragment leaves: of a tunnel's outer packet, or of a packet that was expected to be cut. Fragments that
    /// the sender made itself came in as fragments and match neither.
    pub(super) fn handle_fragment(&mut self, now: Time, seen: &FragmentSeen) {
        self.reassemblies.note(seen);
        if seen.direction != HookDirection::Egress {
            return;
        }
        if let Some((tunnel, inner)) = self.inside_tunnel(&seen.packet) {
            return self.handle_outer_fragment(now, seen, &tunnel, &inner);
        }
        let bridge = self.topology.interface(seen.ifindex).and_then(|port| port.master);
        let made_by = self.opaque_tunnel_of(&seen.packet);
        let keys: Vec<FaultKey> = self
            .faults
            .iter()
            .filter(|(key, _)| {
                // br_netfilter cuts what a bridge hands to a port.
                let cuts = |ifindex| ifindex == seen.ifindex || bridge == Some(ifindex);
                matches!(key.joint, Joint::Tunnel(_))
                    || matches!(key.joint, Joint::Egress(ifindex, _) if cuts(ifindex))
            })
            .filter(|(_, fault)| fault.flows.values().any(|flow| flow.fragmented > 0))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            let Some(fault) = self.faults.get_mut(&key) else { continue };
            let mut confirmed = false;
            for flow in fault.flows.values_mut().filter(|flow| flow.fragmented > 0) {
                let same_flow = flow.flow == seen.packet.flow;
                let same_id = flow.recent.iter().any(|id| id.is_fragment_of(&seen.packet));
                // What is inside is hidden: it may be any packet that this tunnel was given.
                let hidden = matches!(key.joint, Joint::Tunnel(tunnel) if Some(tunnel) == made_by);
                if same_flow || same_id || hidden {
                    flow.fragments_seen = true;
                    confirmed = true;
                }
            }
            if confirmed {
                fault.witnesses.insert("fragments seen at the egress hook".to_owned());
                self.touch(now, &key);
            }
        }
    }

    /// A tunnel whose inner packets cannot be seen in the outer ones, and whose outer ones are cut into fragments.
    fn opaque_tunnel(&self, ifindex: Option<u32>) -> Option<&Interface> {
        let interface = self.topology.interface(ifindex?)?;
        let is_cut = interface.tunnel.as_ref()?.df == OuterDf::Unset;
        (is_cut && Encapsulation::of_link_kind(&interface.kind).is_none()).then_some(interface)
    }

    /// The tunnel of that kind which made an outer packet.
    fn opaque_tunnel_of(&self, outer: &Packet) -> Option<u32> {
        let flow = &outer.flow;
        if flow.protocol != Protocol::Udp || !self.topology.is_own_address(flow.src) {
            return None;
        }
        self.topology.interfaces.keys().copied().find(|&ifindex| {
            let tunnel = self.opaque_tunnel(Some(ifindex)).and_then(|interface| interface.tunnel.as_ref());
            tunnel.is_some_and(|tunnel| {
                tunnel.remotes.contains(&flow.dst) && tunnel.port.is_none_or(|port| port == flow.dst_port)
            })
        })
    }

    fn handle_outer_fragment(&mut self, now: Time, seen: &FragmentSeen, tunnel: &Interface, inner: &Packet) {
        let met = self.met_in_tunnel(tunnel, inner);
        // Another reason to cut it (a smaller route for the outer packet) is no fault of the tunnel's arithmetic.
        if met.limit.mtu.is_some_and(|mtu| inner.length <= mtu && inner.length != 0) {
            return;
        }
        let key = FaultKey {
            pod: met.subject.key(),
            direction: met.subject.direction,
            family: inner.family(),
            joint: met.joint,
        };
        let packets = u64::from(seen.packets.max(1));
        let fault = self.fault(key.clone(), met.subject.pod, met.limit, seen.time);
        fault.seen_at_hook = true;
        fault.witnesses.insert("outer fragments seen at the uplink's egress hook".to_owned());
        if let Some(flow) = fault.flow(inner.flow, seen.time, packets) {
            flow.add(seen.time, inner, inner.length, packets);
            flow.fragmented += packets;
            flow.fragments_seen = true;
        }
        self.touch(now, &key);
    }

    /// A filter dropped a fragment, on the node or in a pod.
    pub(super) fn handle_fragment_dropped(&mut self, now: Time, drop: &PacketDropped, packet: &Packet) {
        let subject = self.subject_of_fragment(drop, packet);
        // What drops the whole traffic between the two is no filter of fragments.
        if self.filtered.drops_whole_packets(&packet.flow, &drop.reason, drop.netns) {
            return;
        }
        let place = format!("{} in {}", drop.reason, drops::name_of(&drop.location));
        let key = FaultKey {
            pod: subject.key(),
            direction: subject.direction,
            family: packet.family(),
            joint: Joint::FragmentFilter(drop.netns),
        };
        let limit = Limit {
            mtu: None,
            between: None,
            at: if drop.netns == self.topology.netns_inode { LimitAt::Node } else { LimitAt::Pod },
            interface: (!drop.device.is_empty()).then(|| drop.device.clone()),
            router: None,
            how: LimitHow::Bounds,
        };
        let packets = u64::from(drop.packets.max(1));
        let fault = self.fault(key.clone(), subject.pod, limit, drop.time);
        fault.witnesses.insert(place);
        if let Some(flow) = fault.flow(packet.flow, drop.time, packets) {
            flow.add_drops(drop.time, packet, packet.length, packets);
        }
        self.touch(now, &key);
    }
}
