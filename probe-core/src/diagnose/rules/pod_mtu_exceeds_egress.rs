//! `pod_mtu_exceeds_egress`: the pod's MTU is larger than that of the device or route its traffic leaves by.
use super::{Rule, Teller, Telling, durable, inside, now};
use crate::diagnose::latent::Mismatch;
use crate::model::finding::Kind;
use crate::model::topology::Topology;

/// The rule.
pub static RULE: Rule = Rule {
    kind: Kind::PodMtuExceedsEgress,
    meaning: "The pod may send packets that the way out does not take. Path MTU discovery repairs it where ICMP works; UDP \
              and filtered ICMP do not survive it.",
    proof: "The pod's interface, the default routes and their devices were read over netlink.",
    remedy: "Give the pods the MTU of their way out.",
    references: &["RFC 1191 section 4 (what a router tells)", "ip_dst_mtu_maybe_forward"],
    tell: Teller::Latent(tell),
};

fn tell(_topology: &Topology, mismatch: &Mismatch) -> Telling {
    let (limit, larger) = (mismatch.limit, mismatch.larger);
    // One pod's link, or all that leave by a joint that they share.
    let pod = mismatch.pod.as_ref().or(match &mismatch.pods[..] {
        [pod] => Some(pod),
        _ => None,
    });
    let shrink = pod
        .and_then(|pod| inside(pod, &format!("ip link set {} mtu {limit}", pod.pod_interface.as_deref()?)));
    // The host's end as well: ends that differ are the next fault.
    let host_end = pod.and_then(|pod| pod.host_interface.as_deref());
    let command = shrink.map(|shrink| match host_end {
        Some(host_end) => format!("{shrink} && ip link set {host_end} mtu {limit}"),
        None => shrink,
    });
    let (title, from, link) = match &mismatch.pod {
        Some(pod) => {
            let name = pod.display_name();
            let title = format!("pod {name} sends up to {larger}, {} takes {limit}", mismatch.interface);
            (title, "this pod", "the pod's link")
        }
        None => {
            let title = format!("{} takes {limit}, pods send up to {larger}", mismatch.interface);
            (title, "pods", "each pod's link")
        }
    };
    Telling {
        title,
        explanation: format!(
            "Packets of {} to {larger} bytes from {from} meet a limit of {limit} at {}. An MSS clamp or a \
             smaller route MTU in the pod would keep TCP away from it; UDP is not covered by a clamp. No such packet need \
             have come yet.",
            limit + 1,
            mismatch.interface
        ),
        fixes: vec![
            now(command, format!("lower both ends of {link} to {limit}; lost at the next pod restart")),
            durable(format!(
                "set the pod MTU to {limit} in the CNI's configuration, or raise {}",
                mismatch.interface
            )),
        ],
    }
}
