//! `bridge_mtu_mismatch`: ports of one bridge have different MTUs, or differ from the bridge.
use super::{Rule, Teller, Telling, durable, now};
use crate::diagnose::latent::Mismatch;
use crate::model::finding::Kind;
use crate::model::topology::Topology;
use crate::model::vswitch;

/// The rule.
pub static RULE: Rule = Rule {
    kind: Kind::BridgeMtuMismatch,
    meaning: "What one port of a bridge or a vswitch sends, another does not take. A bridge drops larger packets without an \
              ICMP error and without a counter, a vswitch likewise but for tx_errors of the port.",
    proof: "The bridge and its ports were read over netlink.",
    remedy: "Give the bridge, its ports and what is behind them the same MTU.",
    references: &[
        "RFC 2923 section 2.1 (black holes)",
        "br_dev_queue_push_xmit, br_mtu_auto_adjust",
        "ovs_vport_send",
    ],
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
    // A vswitch leaves the VLAN tag out of the length itself (`packet_length`), and has no slack for it.
    let is_vswitch = topology.interface(mismatch.ifindex).is_some_and(|bridge| bridge.kind == vswitch::KIND);
    let (what, slack) = if is_vswitch { ("vswitch", "") } else { ("bridge", " (and 4 of slack)") };
    Telling {
        title: format!(
            "{what} {name}: what is behind its ports sends up to {larger}, the smallest takes {limit}"
        ),
        explanation: format!(
            "Packets of more than {limit} bytes{slack} towards a smaller port are dropped without an ICMP error. \
             Told from the configuration alone."
        ),
        fixes: vec![
            now(command, format!("give all ports {larger}, or the senders {limit}")),
            durable(format!("set one MTU for this {what} and its pods in the CNI's configuration")),
        ],
    }
}
