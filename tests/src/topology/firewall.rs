//! Packet filters and address translation on a network that stands.
use super::Network;
use super::address::{Family, Site};
use super::network::UPLINK;
use super::side::Side;
use anyhow::Result;
use std::net::IpAddr;

/// What nftables calls the families.
const WORDS: [(Family, &str); 2] = [(Family::V4, "ip"), (Family::V6, "ip6")];

impl Network {
    /// Drops ICMP errors about size in a namespace, at the hook `input`, `forward` or `output`.
    pub fn filter_packet_too_big(&self, name: &str, hook: &str) -> Result<()> {
        let rules = "icmp type destination-unreachable icmp code frag-needed counter drop
            icmpv6 type packet-too-big counter drop";
        self.namespace(name)?.nft(&chain("too_big", "filter", hook, "0", rules))
    }

    /// Limits the segment size of forwarded TCP to what the route carries.
    pub fn clamp_mss(&self, name: &str) -> Result<()> {
        let rules = "tcp flags syn tcp option maxseg size set rt mtu";
        self.namespace(name)?.nft(&chain("clamp", "filter", "forward", "mangle", rules))
    }

    /// Loses one packet in `every` that a namespace forwards, whatever its size.
    pub fn lose_one_in(&self, name: &str, every: u32) -> Result<()> {
        let rules = format!("meta l4proto {{ tcp, udp }} numgen inc mod {every} == 0 counter drop");
        self.namespace(name)?.nft(&chain("loss", "filter", "forward", "0", &rules))
    }

    /// Rules of any kind for what a namespace forwards.
    pub fn filter_forwarded(&self, name: &str, rules: &str) -> Result<()> {
        self.namespace(name)?.nft(&chain("policy", "filter", "forward", "0", rules))
    }

    /// A service address on the node whose only backend is this pod.
    pub fn service(&self, backend: &str) -> Result<()> {
        let mut rules = String::new();
        for (family, word) in WORDS {
            let (service, backend) = (service_address(family), self.address(backend, family)?);
            rules += &format!("{word} daddr {service} counter dnat {word} to {backend}\n");
        }
        self.node().nft(&chain("service", "nat", "prerouting", "dstnat", &rules))
    }

    pub(super) fn masquerade(&self) -> Result<()> {
        let mut rules = String::new();
        for (family, word) in WORDS {
            for site in Side::Node.pod_sites() {
                let pods = site.prefix(family);
                rules += &format!("oifname {UPLINK} {word} saddr {pods} counter masquerade\n");
            }
        }
        self.node().nft(&chain("masquerade", "nat", "postrouting", "srcnat", &rules))
    }
}

/// A service's address: no interface has it.
pub fn service_address(family: Family) -> IpAddr {
    Site::Services.address(family, 10)
}

/// A table with one chain of rules, for both families.
fn chain(table: &str, kind: &str, hook: &str, priority: &str, rules: &str) -> String {
    format!(
        "table inet lab_{table} {{
            chain {hook} {{
                type {kind} hook {hook} priority {priority}; policy accept;
                {rules}
            }}
        }}"
    )
}
