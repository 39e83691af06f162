//! `mtu_below_ipv6_minimum`: an interface has an MTU below 1280, so the kernel has switched IPv6 off there.
use super::{Rule, Teller, Telling, durable, now};
use crate::diagnose::latent::Mismatch;
use crate::model::finding::Kind;
use crate::model::topology::Topology;

/// The rule.
pub static RULE: Rule = Rule {
    kind: Kind::MtuBelowIpv6Minimum,
    meaning: "An interface has an MTU below 1280, the least that IPv6 works with: the kernel takes IPv6 off it.",
    proof: "Both ends of the veth were read over netlink; other pods of this node have IPv6 addresses.",
    remedy: "Raise it to 1280 or more.",
    references: &["RFC 8200 section 5", "addrconf_notify"],
    tell: Teller::Latent(tell),
};

fn tell(_topology: &Topology, mismatch: &Mismatch) -> Telling {
    let name = mismatch.pod.as_ref().map_or_else(|| mismatch.interface.clone(), |pod| pod.display_name());
    Telling {
        title: format!("pod {name}: MTU {} is below 1280, so it has no IPv6", mismatch.limit),
        explanation: format!(
            "The kernel removes IPv6 from an interface whose MTU falls below 1280; {} has {}. Raising it brings link-local \
             addresses back, but not the pod's own.",
            mismatch.interface, mismatch.limit
        ),
        fixes: vec![
            now(
                Some(format!("ip link set {} mtu 1280", mismatch.interface)),
                "both ends; then add the pod's IPv6 address and routes again, or restart it",
            ),
            durable("set a pod MTU of at least 1280 in the CNI's configuration"),
        ],
    }
}
