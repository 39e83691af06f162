//! `overlay_mtu_exceeds_underlay`: what a tunnel is given is, with its overhead, larger than the underlay's MTU.
use super::{Rule, Teller, Telling, durable, now};
use crate::diagnose::latent::Mismatch;
use crate::model::finding::Kind;
use crate::model::topology::Topology;

/// The rule.
pub static RULE: Rule = Rule {
    kind: Kind::OverlayMtuExceedsUnderlay,
    meaning: "Pods can put packets into a tunnel that, with its overhead, are larger than the underlay takes: the outer \
              packets are fragmented, or vanish if they carry DF.",
    proof: "The tunnel, its overhead and its underlay were read over netlink, and there is a sender of such packets.",
    remedy: "Give tunnel and pods the underlay's MTU less the overhead.",
    references: &["RFC 7348 section 4.3", "vxlan_xmit_one, skb_tunnel_check_pmtu"],
    tell: Teller::Latent(tell),
};

fn tell(topology: &Topology, mismatch: &Mismatch) -> Telling {
    let (limit, larger, name) = (mismatch.limit, mismatch.larger, &mismatch.interface);
    let underlay = topology
        .interface(mismatch.ifindex)
        .and_then(|interface| interface.tunnel.as_ref()?.underlay)
        .and_then(|ifindex| topology.interface(ifindex));
    let overhead = underlay.map_or_else(String::new, |device| {
        format!(" ({} {} less {})", device.name, device.mtu, device.mtu.saturating_sub(limit))
    });
    Telling {
        title: format!("{name} takes packets of up to {larger}, its underlay carries {limit}{overhead}"),
        explanation: format!(
            "Inner packets of {} to {larger} bytes leave as fragments, or are dropped if the outer packet carries DF. Told from the configuration alone.",
            limit + 1
        ),
        fixes: vec![
            now(
                Some(format!("ip link set {name} mtu {limit}")),
                "routing then answers the pods with the right size; until the next restart",
            ),
            durable(format!(
                "set the MTU of {name} and of the pods to {limit} in the CNI's configuration, or raise the underlay"
            )),
        ],
    }
}
