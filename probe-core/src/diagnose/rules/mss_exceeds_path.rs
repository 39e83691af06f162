//! `mss_exceeds_path`: a TCP handshake announces a segment size that the path, known from here, cannot carry.
use super::{Rule, Teller, Telling, durable, inside, now};
use crate::diagnose::latent::Mismatch;
use crate::model::finding::{Direction, Kind};
use crate::model::flow::Family;
use crate::model::topology::Topology;

/// The rule.
pub static RULE: Rule = Rule {
    kind: Kind::MssExceedsPath,
    meaning: "A handshake permits the other side segments that a joint of this node does not take. TCP then depends on path \
              MTU discovery, where a correct announcement or a clamp would have kept it away from the limit.",
    proof: "The SYN was seen where it came in and where it left (the same sequence number, also behind NAT): what counts is \
            the value that left, after any clamp. Devices, routes and tunnel overheads were read over netlink.",
    remedy: "Give the pod the MTU of its way out (interface or route), or clamp the segment size to the path on the node.",
    references: &["RFC 9293 section 3.7.1", "RFC 6691 section 2", "RFC 4821"],
    tell: Teller::Latent(tell),
};

fn tell(_topology: &Topology, mismatch: &Mismatch) -> Telling {
    let (limit, larger, interface) = (mismatch.limit, mismatch.larger, &mismatch.interface);
    let headers = mismatch.family.map_or(0, Family::tcp_headers);
    let name = mismatch.pod.as_ref().map_or_else(String::new, |pod| pod.display_name());
    let (who, towards) = match mismatch.direction {
        Some(Direction::FromPod) => (format!("a peer of pod {name}"), "from the pod"),
        Some(Direction::ToPod | Direction::FromHost | Direction::ToHost) | None => {
            (format!("pod {name}"), "to the pod")
        }
    };
    let command = mismatch
        .pod
        .as_ref()
        .and_then(|pod| inside(pod, &format!("ip link set {} mtu {limit}", pod.pod_interface.as_deref()?)));
    let mss = limit.saturating_sub(headers);
    Telling {
        title: format!(
            "{who} announces segments of {} bytes, {interface} takes {mss}",
            larger - headers.min(larger)
        ),
        explanation: format!(
            "Packets {towards} may be up to {larger} bytes long by the segment size in the handshake, as it leaves this node; \
             {interface} takes {limit}. Larger ones depend on path MTU discovery. None need have come yet."
        ),
        fixes: vec![
            now(
                command,
                format!("lower the pod's interface to {limit}: new connections keep to segments of {mss}"),
            ),
            durable(format!(
                "set the pod MTU to {limit} in the CNI's configuration, or clamp on the node: nft add rule inet … forward tcp \
                 flags syn tcp option maxseg size set rt mtu"
            )),
        ],
    }
}
