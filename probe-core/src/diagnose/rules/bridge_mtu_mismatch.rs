//! `bridge_mtu_mismatch`: ports of one bridge have different MTUs, or differ from the bridge.
use super::{Rule, Teller, Telling, durable, now};
use crate::diagnose::latent::Mismatch;
use crate::model::finding::Kind;
use crate::model::topology::Topology;

/// The rule.
pub static RULE: Rule = Rule {
    kind: Kind::BridgeMtuMismatch,
    meaning: "What one port of a bridge sends, another does not take. A bridge drops larger packets without an ICMP error \
              and without a counter.",
    proof: "The bridge and its ports were read over netlink.",
    remedy: "Give the bridge, its ports and what is behind them the same MTU.",
    references: &["br_dev_queue_push_xmit", "br_mtu_auto_adjust"],
    tell: Teller::Latent(tell),
};

fn tell(topology: &Topology, mismatch: &Mismatch) -> Telling {
    let (limit, larger, name) = (mismatch.limit, mismatch.larger, &mismatch.interface);
    let small = topology.interfaces.values().find(|port| {
        port.up
            && port.mtu == limit
            && (port.master == Some(mismatch.ifindex) || port.ifindex == mismatch.ifindex)
    });
    let command = small.map(|port| format!("ip link set {} mtu {larger}", port.name));
    Telling {
        title: format!(
            "bridge {name}: what is behind its ports sends up to {larger}, the smallest takes {limit}"
        ),
        explanation: format!(
            "Packets of more than {limit} bytes (and 4 of slack) towards a smaller port are dropped without an ICMP error. \
             Told from the configuration alone."
        ),
        fixes: vec![
            now(command, format!("give all ports {larger}, or the senders {limit}")),
            durable("set one MTU for this bridge and its pods in the CNI's configuration"),
        ],
    }
}
