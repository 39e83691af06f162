//! Addresses, and how redaction mixes them.
use super::super::mirror::Mirror;
use super::Veil;
use serde::{Deserialize, Serialize};
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(in super::super) struct Address(IpAddr);

impl Mirror for Address {
    type Model = IpAddr;

    fn of(address: &IpAddr, veil: &mut Veil) -> Self {
        Self(veil.address(*address))
    }

    fn into_model(self) -> IpAddr {
        self.0
    }
}

/// A network: its address, whose bits behind the prefix are zero, and the length of the prefix.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(in super::super) struct Network(IpAddr, u8);

impl Mirror for Network {
    type Model = (IpAddr, u8);

    fn of(&(address, length): &(IpAddr, u8), veil: &mut Veil) -> Self {
        if !veil.is_closed() {
            return Self(address, length);
        }
        let network = match veil.address(address) {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        };
        Self(network, length)
    }

    fn into_model(self) -> (IpAddr, u8) {
        (self.0, self.1)
    }
}

/// Another address of the same class; two that share the first n bits share them afterwards too.
pub(super) fn mixed(address: IpAddr, key: &impl BuildHasher) -> IpAddr {
    match address {
        IpAddr::V4(v4) if v4.is_loopback() || v4.is_link_local() || v4.is_broadcast() => address,
        IpAddr::V4(v4) if v4.is_multicast() || v4.octets()[0] == 0 => address,
        IpAddr::V4(v4) => {
            let bits = mixed_bits(v4.to_bits().into(), 8, 32, key);
            IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or_default()))
        }
        IpAddr::V6(v6) if v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() => address,
        IpAddr::V6(v6) => {
            let kept = if v6.is_unicast_link_local() {
                64
            } else if v6.to_ipv4_mapped().is_some() {
                96
            } else {
                16
            };
            IpAddr::V6(Ipv6Addr::from_bits(mixed_bits(v6.to_bits(), kept, 128, key)))
        }
    }
}

/// Each bit behind the first `kept` of `width` is turned or not, as the bits before it decide.
fn mixed_bits(bits: u128, kept: u32, width: u32, key: &impl BuildHasher) -> u128 {
    (kept..width).fold(bits, |mixed, index| {
        let before = bits >> (width - index);
        let turned = u128::from(key.hash_one((width, index, before)) & 1);
        mixed ^ (turned << (width - 1 - index))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_core::model::route::prefix_covers;
    use std::collections::BTreeSet;
    use std::hash::RandomState;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn what_shares_a_prefix_shares_it_afterwards() {
        let mut veil = Veil::closed();
        for (network, length, inside, outside) in [
            ("10.244.1.0", 24, "10.244.1.11", "10.244.2.11"),
            ("192.168.0.0", 16, "192.168.7.7", "192.169.7.7"),
            ("fd00:1::", 64, "fd00:1::11", "fd00:1:0:1::11"),
            ("10.244.1.11", 32, "10.244.1.11", "10.244.1.10"),
        ] {
            let (network, length) = Network::of(&(ip(network), length), &mut veil).into_model();
            assert!(prefix_covers(network, length, veil.address(ip(inside))), "{inside}");
            assert!(!prefix_covers(network, length, veil.address(ip(outside))), "{outside}");
        }
    }

    #[test]
    fn different_addresses_stay_different_and_are_others() {
        let key = RandomState::new();
        let all: Vec<IpAddr> = (0..=255).map(|host| ip(&format!("10.1.2.{host}"))).collect();
        let mixed: BTreeSet<IpAddr> = all.iter().map(|address| mixed(*address, &key)).collect();
        assert_eq!(mixed.len(), all.len());
        assert_ne!(mixed, all.into_iter().collect());
    }

    #[test]
    fn special_addresses_are_left_alone() {
        let key = RandomState::new();
        for address in ["127.0.0.1", "169.254.1.1", "224.0.0.1", "0.0.0.0", "::1", "::", "ff02::1"] {
            assert_eq!(mixed(ip(address), &key), ip(address));
        }
        let IpAddr::V6(link_local) = mixed(ip("fe80::1234"), &key) else { panic!("another family") };
        assert!(link_local.is_unicast_link_local());
    }
}
