//! `veth_mtu_mismatch`: the two ends of a veth pair differ.
use super::{Rule, Teller, Telling, durable, inside, now};
use crate::diagnose::latent::Mismatch;
use crate::model::finding::Kind;
use crate::model::topology::Topology;

/// The rule.
pub static RULE: Rule = Rule {
    kind: Kind::VethMtuMismatch,
    meaning: "The two ends of a pod's veth have different MTUs. The receiving end drops larger packets without an ICMP error.",
    proof: "Both ends were read over netlink.",
    remedy: "Give both ends the same MTU.",
    references: &["RFC 2923 section 2.1 (black holes)", "is_skb_forwardable, veth_xmit"],
    tell: Teller::Latent(tell),
};

fn tell(topology: &Topology, mismatch: &Mismatch) -> Telling {
    let (limit, larger) = (mismatch.limit, mismatch.larger);
    let name = mismatch.pod.as_ref().map_or_else(String::new, |pod| pod.display_name());
    let inner = mismatch
        .pod
        .as_ref()
        .and_then(|pod| pod.pod_interface.clone())
        .unwrap_or_else(|| "its peer".to_owned());
    let raise_host = mismatch.at == crate::model::finding::LimitAt::Link;
    let (host_mtu, pod_mtu) = if raise_host { (limit, larger) } else { (larger, limit) };
    let host = topology.interface(mismatch.ifindex).map_or("?", |end| end.name.as_str());
    let command = if raise_host {
        Some(format!("ip link set {host} mtu {larger}"))
    } else {
        mismatch.pod.as_ref().and_then(|pod| inside(pod, &format!("ip link set {inner} mtu {larger}")))
    };
    Telling {
        title: format!("pod {name}: the ends of its veth differ ({host} {host_mtu}, its {inner} {pod_mtu})"),
        explanation: format!(
            "The smaller end takes {limit} bytes (and 4 of slack), the other sends up to {larger}; what is larger is dropped \
             without an ICMP error. Told from the configuration alone."
        ),
        fixes: vec![
            now(command, format!("raise the smaller end to {larger}; lost at the next pod restart")),
            durable("set one MTU for both ends in the CNI's configuration (it makes the pair)"),
        ],
    }
}
