//! Where a WireGuard device sends to: its link says nothing of it, the module does.
use super::connection::NetlinkError;
use super::generic::{Generic, attribute, attributes};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `include/uapi/linux/wireguard.h`.
const FAMILY: &str = "wireguard";
const GET_DEVICE: u8 = 0;
const DEVICE_IFINDEX: u16 = 1;
const DEVICE_FWMARK: u16 = 7;
const DEVICE_PEERS: u16 = 8;
const PEER_ENDPOINT: u16 = 4;

/// What a device says of its outer packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Address and UDP port of each peer that has an endpoint.
    pub peers: Vec<(IpAddr, u16)>,
    /// Mark of the outer packets, by which rules may route them; 0 is none.
    pub mark: u32,
}

/// Asks the module (`CAP_NET_ADMIN`); nothing if it is not loaded.
pub fn endpoints(ifindex: u32) -> Result<Endpoints, NetlinkError> {
    let Some(mut module) = Generic::open(FAMILY)? else { return Ok(Endpoints::default()) };
    let answer = module.dump(GET_DEVICE, &attribute(DEVICE_IFINDEX, &ifindex.to_ne_bytes()))?;
    Ok(read(&answer))
}

/// A device with many peers comes in several messages.
fn read(messages: &[Vec<u8>]) -> Endpoints {
    let mut found = Endpoints::default();
    for (kind, value) in messages.iter().flat_map(|message| attributes(message)) {
        match kind {
            DEVICE_FWMARK => found.mark = value.try_into().map_or(0, u32::from_ne_bytes),
            DEVICE_PEERS => {
                let peers = attributes(value).flat_map(|(_, peer)| attributes(peer));
                found.peers.extend(
                    peers.filter(|(kind, _)| *kind == PEER_ENDPOINT).filter_map(|(_, value)| endpoint(value)),
                );
            }
            _ => {}
        }
    }
    found.peers.sort_unstable();
    found.peers.dedup();
    found
}

/// `struct sockaddr_in` or `sockaddr_in6`.
fn endpoint(bytes: &[u8]) -> Option<(IpAddr, u16)> {
    let family = i32::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
    let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
    let address = match family {
        libc::AF_INET => Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(4..8)?).ok()?).into(),
        libc::AF_INET6 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(8..24)?).ok()?).into(),
        _ => return None,
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_of_both_families_are_found_in_nested_peers() {
        let v4 = [&(libc::AF_INET as u16).to_ne_bytes()[..], &[0xca, 0x6c, 10, 0, 0, 3], &[0; 8]].concat();
        let mut v6 = [&(libc::AF_INET6 as u16).to_ne_bytes()[..], &[0xca, 0x6d], &[0; 4]].concat();
        v6.extend(Ipv6Addr::LOCALHOST.octets());
        let peer = |value: &[u8]| attribute(0, &attribute(PEER_ENDPOINT, value));
        let silent = attribute(0, &attribute(1, &[0; 32]));
        let peers = [peer(&v4), silent, peer(&v6)].concat();
        let first =
            [attribute(DEVICE_FWMARK, &51820_u32.to_ne_bytes()), attribute(DEVICE_PEERS, &peers)].concat();
        let found = read(&[first]);
        assert_eq!(found.mark, 51820);
        assert_eq!(found.peers, [(IpAddr::from([10, 0, 0, 3]), 51820), (Ipv6Addr::LOCALHOST.into(), 51821)]);
    }
}
