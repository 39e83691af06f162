//! ICMP errors as they are seen: at hooks, dropped, and about to be made.
use super::evidence::PacketId;
use super::fault::{FaultKey, Joint};
use super::ledger::SeenError;
use super::subject::{self, Subject};
use super::{Diagnoser, Output, PacketTooBigReport, Stage, Verdict, drops};
use crate::model::Time;
use crate::model::finding::{Direction, Limit, LimitAt, LimitHow};
use crate::model::flow::Family;
use crate::model::interface::Role;
use crate::model::packet::{Packet, Transport};
use crate::model::packet_too_big::{HookDirection, PacketTooBigSeen};
use crate::model::pod::Pod;
use crate::model::size_drop::{IcmpGenerated, PacketDropped};
use std::net::IpAddr;

/// Linux takes no smaller path MTU over IPv4 (`net.ipv4.route.min_pmtu`): it would lock the route at this value.
pub(super) const IPV4_MIN_PMTU: u32 = 552;

impl Diagnoser {
    pub(super) fn handle_packet_too_big(&mut self, now: Time, seen: &PacketTooBigSeen) {
        let Transport::PacketTooBig { next_hop_mtu, original } = &seen.packet.transport else { return };
        if let Some(original) = original {
            self.exceptions.note_error(seen.time, original.flow.dst, *next_hop_mtu);
        }
        let Some(interface) = self.topology.interface(seen.ifindex) else { return };
        let role = interface.role;
        let name = interface.name.clone();
        let stage = match (role, seen.direction) {
            (Role::Uplink | Role::Overlay | Role::Port | Role::Link, HookDirection::Ingress) => {
                Stage::AtUplink
            }
            (Role::Pod, HookDirection::Egress) => Stage::Delivered,
            (Role::Uplink | Role::Overlay, HookDirection::Egress) => Stage::Delivered,
            // A pod that routes (nested containers) made it, or it is on its way between a bridge and its port.
            (Role::Pod, HookDirection::Ingress)
            | (Role::Bridge, _)
            | (Role::Port | Role::Link, HookDirection::Egress) => return,
        };
        let pod = match (&original, role) {
            (_, Role::Pod) => self.topology.pod_behind(seen.ifindex).cloned(),
            (Some(original), _) => self.topology.pod_with_address(original.flow.src).cloned(),
            (None, _) => None,
        };
        // On its way out of the node it has not reached a sender that is on it.
        let is_here = role != Role::Pod && pod.as_ref().is_some_and(|pod| pod.host_ifindex.is_some());
        if stage == Stage::Delivered && is_here {
            return;
        }
        let is_real = self.is_own_limit(seen.packet.flow.src, *next_hop_mtu);
        let (verdict, why) = plausibility(*next_hop_mtu, original.as_deref(), is_real);
        self.output.push_back(Output::PacketTooBig(PacketTooBigReport {
            time: seen.time,
            family: seen.packet.family(),
            stage,
            error_id: original
                .as_ref()
                .map_or_else(String::new, |original| PacketId::name_of_error(original, *next_hop_mtu)),
            seen_at: Some((name, Some(seen.direction))),
            reporter: Some(seen.packet.flow.src),
            next_hop_mtu: Some(*next_hop_mtu),
            original: original.as_ref().map(|original| original.flow),
            original_length: original.as_ref().map(|original| original.length),
            pod: pod.clone(),
            verdict,
            why: why.clone(),
        }));
        let Some(original) = original else { return };
        if verdict == Verdict::Implausible {
            return self.handle_implausible(now, seen, stage, *next_hop_mtu, original, pod, why);
        }
        // A pod without a host interface (macvlan) is behind the uplink itself: what arrives there passes to it.
        let arrives_at_pod =
            stage == Stage::AtUplink && pod.as_ref().is_some_and(|pod| pod.host_ifindex.is_none());
        if arrives_at_pod {
            let arrived = self.seen_error(seen, Stage::AtUplink, *next_hop_mtu, original);
            self.errors.push_back(SeenError { used: true, ..arrived });
        }
        let stage = if arrives_at_pod { Stage::Delivered } else { stage };
        let error = self.seen_error(seen, stage, *next_hop_mtu, original);
        self.note_error(now, error, pod);
    }

    fn seen_error(&self, seen: &PacketTooBigSeen, stage: Stage, mtu: u32, original: &Packet) -> SeenError {
        SeenError {
            time: seen.time,
            stage,
            packets: u64::from(seen.packets.max(1)),
            mtu,
            reporter: seen.packet.flow.src,
            original: original.clone(),
            place: None,
            used: false,
        }
    }

    /// An error was dropped on its way, on the node or in a pod.
    pub(super) fn handle_error_dropped(&mut self, now: Time, drop: &PacketDropped, packet: &Packet) {
        let Transport::PacketTooBig { next_hop_mtu, original: Some(original) } = &packet.transport else {
            return;
        };
        self.exceptions.note_error(drop.time, original.flow.dst, *next_hop_mtu);
        let in_pod = self.pod_of_drop(drop);
        let place = match &in_pod {
            Some(pod) => {
                format!(
                    "{} ({}) in the network namespace of pod {}",
                    drops::name_of(&drop.location),
                    drop.reason,
                    pod.display_name()
                )
            }
            None => format!("{} ({}) on the node", drops::name_of(&drop.location), drop.reason),
        };
        let pod = in_pod.or_else(|| self.topology.pod_with_address(original.flow.src).cloned());
        let is_real = self.is_own_limit(packet.flow.src, *next_hop_mtu);
        let (verdict, why) = plausibility(*next_hop_mtu, Some(original), is_real);
        self.output.push_back(Output::PacketTooBig(PacketTooBigReport {
            time: drop.time,
            family: packet.family(),
            stage: Stage::Dropped,
            error_id: PacketId::name_of_error(original, *next_hop_mtu),
            seen_at: (!drop.device.is_empty()).then(|| (drop.device.clone(), None)),
            reporter: Some(packet.flow.src),
            next_hop_mtu: Some(*next_hop_mtu),
            original: Some(original.flow),
            original_length: Some(original.length),
            pod: pod.clone(),
            verdict,
            why: Some(
                why.map_or_else(|| format!("dropped at {place}"), |why| format!("{why}; dropped at {place}")),
            ),
        }));
        if verdict == Verdict::Implausible {
            return;
        }
        let error = SeenError {
            time: drop.time,
            stage: Stage::Dropped,
            packets: u64::from(drop.packets.max(1)),
            mtu: *next_hop_mtu,
            reporter: packet.flow.src,
            original: (**original).clone(),
            place: Some(place),
            used: false,
        };
        self.note_error(now, error, pod);
    }

    /// The kernel says that it makes a frag-needed.
    pub(super) fn handle_icmp_generated(&mut self, generated: &IcmpGenerated) {
        let Some(packet) = &generated.packet else { return };
        if generated.netns != self.topology.netns_inode {
            return;
        }
        let mtu = match (generated.route_mtu, generated.egress_mtu) {
            (Some(route), Some(device)) => Some(route.min(device)),
            (route, device) => route.or(device),
        };
        if let Some(mtu) = mtu {
            self.exceptions.note_error(generated.time, packet.flow.dst, mtu);
        }
        let came_by = Some(generated.ifindex);
        let subject = subject::of_packet(&self.topology, &packet.flow, came_by, generated.egress_ifindex);
        self.output.push_back(Output::PacketTooBig(PacketTooBigReport {
            time: generated.time,
            family: packet.family(),
            stage: Stage::Generated,
            error_id: PacketId::name_of_error(packet, mtu.unwrap_or(0)),
            seen_at: None,
            reporter: None,
            next_hop_mtu: mtu,
            original: Some(packet.flow),
            original_length: Some(packet.length),
            pod: subject.pod,
            verdict: Verdict::Plausible,
            why: None,
        }));
    }

    /// The pod in whose namespace a drop happened.
    pub(super) fn pod_of_drop(&self, drop: &PacketDropped) -> Option<Pod> {
        if drop.netns == self.topology.netns_inode {
            return None;
        }
        let behind = drop.peer_ifindex.and_then(|ifindex| self.topology.pod_behind(ifindex));
        behind.or_else(|| self.topology.pod_in_netns(drop.netns)).cloned()
    }

    /// An error of this node about a device or route that it has.
    fn is_own_limit(&self, reporter: IpAddr, mtu: u32) -> bool {
        let mut devices = self.topology.interfaces.values();
        let mut routes = self.topology.routes.iter();
        self.topology.is_own_address(reporter)
            && (devices.any(|device| mtu == device.mtu || mtu == self.topology.device_limit(device))
                || routes.any(|route| route.mtu == Some(mtu)))
    }

    #[expect(clippy::too_many_arguments, reason = "one caller, which has just taken the error apart")]
    fn handle_implausible(
        &mut self,
        now: Time,
        seen: &PacketTooBigSeen,
        stage: Stage,
        mtu: u32,
        original: &Packet,
        pod: Option<Pod>,
        why: Option<String>,
    ) {
        let direction = if pod.is_some() { Direction::FromPod } else { Direction::FromHost };
        if pod.is_none() && !self.topology.is_own_address(original.flow.src) {
            return;
        }
        let key = FaultKey {
            pod: Subject { pod: pod.clone(), direction }.key(),
            direction,
            family: original.family(),
            joint: Joint::Announcement(mtu),
        };
        let limit = Limit {
            mtu: Some(mtu),
            between: None,
            at: LimitAt::Path,
            interface: None,
            router: Some(seen.packet.flow.src),
            how: LimitHow::Icmp,
        };
        let fault = self.fault(key.clone(), pod, limit, seen.time);
        fault.seen_at_hook = true;
        fault.witnesses.extend(why);
        let packets = u64::from(seen.packets.max(1));
        if let Some(flow) = fault.flow(original.flow, seen.time, packets) {
            flow.add(seen.time, original, original.length, packets);
            match stage {
                Stage::Delivered => {
                    flow.errors_delivered += packets;
                    flow.told_at.get_or_insert(seen.time);
                }
                Stage::Generated | Stage::AtUplink | Stage::Dropped => flow.errors_made += packets,
            }
        }
        self.touch(now, &key);
    }
}

/// Whether a real path would announce this MTU about this packet; one that `is_real` may be as small as it likes.
fn plausibility(mtu: u32, original: Option<&Packet>, is_real: bool) -> (Verdict, Option<String>) {
    let Some(original) = original else { return (Verdict::Plausible, None) };
    let implausible = |why: String| (Verdict::Implausible, Some(why));
    let family = original.family();
    if mtu == 0 {
        return implausible("announces an MTU of zero (RFC 1191 routers name one since 1990)".to_owned());
    }
    if !is_real && mtu < family.minimum_mtu() {
        return implausible(format!(
            "announces {mtu}, below the floor of {} of {}",
            family.minimum_mtu(),
            family.name()
        ));
    }
    if !is_real && family == Family::Ipv4 && mtu < IPV4_MIN_PMTU {
        return implausible(format!(
            "announces {mtu}, below {IPV4_MIN_PMTU}, the smallest path MTU that Linux takes"
        ));
    }
    if original.length != 0 && mtu >= original.length {
        return implausible(format!("announces {mtu} for a packet of {} bytes, which fits", original.length));
    }
    (Verdict::Plausible, None)
}
