//! How much of each pod's traffic passes our hooks: the proof that a missing observation means something.
//!
//! Each device counts its packets itself. Where it counts many and the hook saw none, the hook is passed by: by a
//! redirect past the veth's egress (`bpf_redirect_peer`), by a program in front that ends the chain, by an offload.
use super::{Diagnoser, Output};
use crate::model::coverage::{Coverage, CoverageState};
use crate::model::finding::Direction;
use crate::model::interface::{Interface, Role};
use crate::model::pod::PodKey;
use std::collections::{BTreeMap, BTreeSet};

/// Fewer packets than this since the last comparison prove nothing.
const ENOUGH: u64 = 10;

/// What the hooks of an interface saw since they were attached, as the device counts: a segmentation-offload packet is
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookCounters {
    /// The interface.
    pub ifindex: u32,
    /// Packets at its ingress hook; `None` where none is attached.
    pub ingress: Option<u64>,
    /// Packets at its egress hook; `None` where none is attached.
    pub egress: Option<u64>,
    /// The same at the last reading before the devices' counters were read, which may be a while ago; `None` where it is
    /// not known, and nothing passed since.
    pub ingress_before: Option<u64>,
    /// The same at the egress hook.
    pub egress_before: Option<u64>,
}

/// What a hook counted.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// At the last reading before the device's own counters were read: a comparison begins there. What the hook saw
    /// between that and the device is counted in its favour, so that a burst in between is nothing missed.
    before: u64,
    /// Now, after that.
    now: u64,
    /// There is a hook.
    attached: bool,
}

impl Seen {
    fn of(now: Option<u64>, before: Option<u64>) -> Self {
        let counted = now.unwrap_or(0);
        Self { before: before.unwrap_or(counted), now: counted, attached: now.is_some() }
    }
}

#[derive(Clone, Copy, Debug)]
struct Side {
    device: u64,
    /// Of them, those that the node's end counted.
    near: u64,
    /// What the hook had counted before the device was read.
    hook: u64,
    state: CoverageState,
}

/// The last comparison, by interface and direction.
#[derive(Debug, Default)]
pub(super) struct Coverages {
    sides: BTreeMap<(u32, Direction), Side>,
    /// Pods that were told to have no interface of the node.
    stacked: BTreeSet<PodKey>,
}

impl Coverages {
    /// Whether the absence of a packet to or from a pod's interface means something: the hook was proven to see what
    /// passes. Where nothing is compared, the hook is taken at its word.
    pub fn is_observable(&self, host_ifindex: Option<u32>, direction: Direction) -> bool {
        let side = host_ifindex.and_then(|ifindex| self.sides.get(&(ifindex, direction)));
        side.is_none_or(|side| matches!(side.state, CoverageState::Full | CoverageState::Partial))
    }
}

impl Diagnoser {
    /// Says once of each pod without an interface of the node (ipvlan, macvlan) what can be seen of it: what passes the
    /// parent's hooks, which is all but what such pods send each other.
    pub(super) fn tell_of_stacked_pods(&mut self) {
        let stacked = self.topology.pods.iter().filter(|pod| pod.host_ifindex.is_none());
        for pod in stacked {
            if !self.coverages.stacked.insert(pod.key()) {
                continue;
            }
            for direction in [Direction::FromPod, Direction::ToPod] {
                self.output.push_back(Output::Coverage(Coverage {
                    pod: pod.clone(),
                    direction,
                    state: CoverageState::Partial,
                    why: Some("no_host_device"),
                    instead: Some("the hooks at its parent device"),
                }));
            }
        }
    }

    /// Compares what the hooks saw with what the devices counted (as of the last topology); reports what changed.
    pub fn handle_hook_counters(&mut self, counters: &[HookCounters]) {
        for hook in counters {
            let Some(interface) = self.topology.interface(hook.ifindex) else { continue };
            if interface.role != Role::Pod {
                continue;
            }
            let near = interface.counters;
            let (from_pod, to_pod) = device_counts(interface);
            let (ingress, egress) =
                (Seen::of(hook.ingress, hook.ingress_before), Seen::of(hook.egress, hook.egress_before));
            self.compare(hook.ifindex, Direction::FromPod, from_pod, near.rx_packets, ingress);
            self.compare(hook.ifindex, Direction::ToPod, to_pod, near.tx_packets, egress);
        }
        let gone = |ifindex: &u32| self.topology.interface(*ifindex).is_none();
        self.coverages.sides.retain(|(ifindex, _), _| !gone(ifindex));
    }

    /// What was said of errors that did not pass a pod's hook holds only as long as that hook is known to see them.
    fn judge_observability(&mut self, ifindex: u32) {
        let observable = self.coverages.is_observable(Some(ifindex), Direction::ToPod);
        for (key, fault) in &mut self.faults {
            let is_its = fault.pod.as_ref().is_some_and(|pod| pod.host_ifindex == Some(ifindex));
            if is_its && key.direction == Direction::FromPod {
                fault.errors_observable = self.senses.tc && observable;
            }
        }
    }

    fn compare(&mut self, ifindex: u32, direction: Direction, device: u64, near: u64, seen: Seen) {
        let Some(pod) = self.topology.pod_behind(ifindex) else { return };
        let before = self.coverages.sides.get(&(ifindex, direction)).copied();
        let state = match before {
            None => CoverageState::Idle,
            Some(before) => {
                let passed = device.saturating_sub(before.device);
                let noticed = seen.now.saturating_sub(before.hook);
                match (passed, noticed) {
                    (passed, _) if passed < ENOUGH => {
                        // Too little to judge by: what was known stands, and the counting goes on.
                        return;
                    }
                    (passed, noticed) if noticed * 10 >= passed * 9 => CoverageState::Full,
                    (passed, noticed) if noticed * 10 < passed => CoverageState::Blind,
                    (_, _) => CoverageState::Partial,
                }
            }
        };
        if before.is_none_or(|before| before.state != state) {
            let (why, instead) = match state {
                CoverageState::Full | CoverageState::Idle => (None, None),
                CoverageState::Blind | CoverageState::Partial if !seen.attached => {
                    (Some("not_attached"), Some("kernel drops"))
                }
                CoverageState::Blind | CoverageState::Partial => {
                    let passed = before.map_or(0, |before| device.saturating_sub(before.device));
                    let at_node = before.map_or(0, |before| near.saturating_sub(before.near));
                    // What the node's end did not count never came to its hook. `bpf_redirect_peer` leads into a pod only:
                    // what left one was taken by a program in front, be it one in a netkit pair, which counts nothing here.
                    let peer = at_node * 2 < passed;
                    let (why, instead) = match direction {
                        Direction::ToPod | Direction::ToHost if peer => {
                            ("redirect_peer", "the pod's own counters")
                        }
                        Direction::ToPod | Direction::ToHost => ("preempted", "the pod's own counters"),
                        Direction::FromPod | Direction::FromHost => ("preempted", "kernel drops"),
                    };
                    (Some(why), Some(instead))
                }
            };
            self.output.push_back(Output::Coverage(Coverage {
                pod: pod.clone(),
                direction,
                state,
                why,
                instead,
            }));
        }
        self.coverages.sides.insert((ifindex, direction), Side { device, near, hook: seen.before, state });
        if direction == Direction::ToPod {
            self.judge_observability(ifindex);
        }
    }
}

/// Packets from and to the pod that the two ends of its veth counted. `bpf_redirect_peer` counts at the pod's end only.
fn device_counts(interface: &Interface) -> (u64, u64) {
    let far = interface.peer.as_ref().and_then(|peer| peer.counters).unwrap_or_default();
    let near = interface.counters;
    (near.rx_packets.max(far.tx_packets), near.tx_packets.max(far.rx_packets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::fixtures::*;
    use crate::model::SECOND;
    use crate::model::interface::DeviceCounters;

    /// What is told of a pod whose hook saw nothing, while these were counted at the node's end and at the pod's.
    fn told(near: DeviceCounters, far: DeviceCounters) -> Vec<(Direction, Option<&'static str>)> {
        let mut topology = node(1500);
        let mut diagnoser = diagnoser(topology.clone());
        let hooks = [hook(0)];
        diagnoser.handle_hook_counters(&hooks);
        let end = topology.interfaces.get_mut(&POD1).expect("the veth");
        end.counters = near;
        end.peer.as_mut().expect("its peer").counters = Some(far);
        diagnoser.handle_topology(SECOND, topology);
        diagnoser.handle_hook_counters(&hooks);
        let mut told = Vec::new();
        while let Some(output) = diagnoser.poll_output() {
            if let Output::Coverage(coverage) = output
                && coverage.state == CoverageState::Blind
            {
                told.push((coverage.direction, coverage.why));
            }
        }
        told
    }

    #[test]
    fn who_counted_tells_a_redirect_past_the_hook_from_a_program_in_front() {
        let (sent, received) = (
            DeviceCounters { tx_packets: 500, ..DeviceCounters::default() },
            DeviceCounters { rx_packets: 500, ..DeviceCounters::default() },
        );
        let nothing = DeviceCounters::default();
        assert_eq!(told(nothing, received), [(Direction::ToPod, Some("redirect_peer"))]);
        assert_eq!(told(sent, received), [(Direction::ToPod, Some("preempted"))]);
        // A program in a netkit pair: the node's end counts nothing of what it sends elsewhere.
        assert_eq!(told(nothing, sent), [(Direction::FromPod, Some("preempted"))]);
        assert_eq!(told(received, sent), [(Direction::FromPod, Some("preempted"))]);
    }
}
