//! What redaction leaves of a packet's payload: of a tunnel the headers of the packet inside, since a diagnosis asks
//! whose it is; of everything else nothing, since it is somebody's data.
use super::Veil;
use bytes::Bytes;
use probe_core::decode::tunnel::{self, Encapsulation};
use probe_core::model::flow::Flow;
use probe_core::model::packet::{Packet, Transport};
use std::net::IpAddr;

const ENCAPSULATIONS: [Encapsulation; 4] =
    [Encapsulation::Vxlan, Encapsulation::Geneve, Encapsulation::Gre, Encapsulation::Ip];
/// EtherTypes of VLAN tags, and of Ethernet in GRE and Geneve.
const VLAN: [[u8; 2]; 2] = [[0x81, 0x00], [0x88, 0xa8]];
const ETHERNET: [u8; 2] = [0x65, 0x58];
const VXLAN_HEADER: usize = 8;
/// Bytes of two Ethernet addresses.
const MACS: usize = 12;

/// The payload with pseudonyms and without data.
pub(in super::super) fn veiled(outer: &Packet, veil: &Veil) -> Bytes {
    let inner = ENCAPSULATIONS.into_iter().find_map(|encapsulation| {
        let packet = tunnel::inner(outer, encapsulation, Some(outer.flow.dst_port))?;
        Some((encapsulation, packet))
    });
    let Some((encapsulation, inner)) = inner else { return Bytes::new() };
    let original = match &inner.transport {
        Transport::PacketTooBig { original, .. } => original.as_deref(),
        Transport::Tcp(_) | Transport::Udp | Transport::Icmp { .. } | Transport::Opaque => None,
    };
    let data = original.map_or(0, |original| original.payload.len()).max(inner.payload.len());
    let mut bytes = outer.payload.to_vec();
    bytes.truncate(bytes.len().saturating_sub(data));
    let Some(addresses) = replace(&mut bytes, &inner.flow, veil) else { return Bytes::new() };
    let ip_header = addresses.saturating_sub(if inner.flow.src.is_ipv4() { 12 } else { 8 });
    let is_ethernet = match encapsulation {
        // Its generic protocol extension may carry IP at once.
        Encapsulation::Vxlan => ip_header >= VXLAN_HEADER + MACS + 2,
        Encapsulation::Geneve | Encapsulation::Gre => bytes.get(2..4) == Some(&ETHERNET),
        Encapsulation::Ip => false,
    };
    if is_ethernet {
        blank_ethernet(&mut bytes, ip_header);
    }
    if let Some(original) = original
        && replace(&mut bytes, &original.flow, veil).is_none()
    {
        return Bytes::new();
    }
    bytes.into()
}

/// Puts pseudonyms in the place of both addresses where they stand side by side; tells where.
fn replace(bytes: &mut [u8], flow: &Flow, veil: &Veil) -> Option<usize> {
    let sought = side_by_side(flow.src, flow.dst);
    let at = bytes.windows(sought.len()).position(|window| window == sought)?;
    let pseudonyms = side_by_side(veil.address(flow.src), veil.address(flow.dst));
    bytes.get_mut(at..at + pseudonyms.len())?.copy_from_slice(&pseudonyms);
    Some(at)
}

fn side_by_side(src: IpAddr, dst: IpAddr) -> Vec<u8> {
    let octets = |address| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    [octets(src), octets(dst)].concat()
}

/// Blanks the two addresses of the Ethernet header before an IP header.
fn blank_ethernet(bytes: &mut [u8], ip_header: usize) {
    let mut ether_type = ip_header.saturating_sub(2);
    while ether_type
        .checked_sub(4)
        .is_some_and(|tag| VLAN.iter().any(|vlan| bytes.get(tag..tag + 2) == Some(vlan)))
    {
        ether_type -= 4;
    }
    if let Some(macs) = bytes.get_mut(ether_type.saturating_sub(MACS)..ether_type) {
        macs.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_core::model::flow::Protocol;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn outer(payload: Vec<u8>) -> Packet {
        Packet {
            flow: Flow {
                protocol: Protocol::Udp,
                src: ip("10.0.0.2"),
                src_port: 40000,
                dst: ip("10.0.1.2"),
                dst_port: 8472,
            },
            length: 1550,
            df: false,
            fragment: None,
            id: 7,
            ttl: 64,
            header_len: 20,
            transport: Transport::Udp,
            payload: payload.into(),
        }
    }

    #[test]
    fn the_packet_in_a_tunnel_keeps_its_headers_only() {
        let mut payload = vec![8, 0, 0, 0, 0, 0, 42, 0];
        payload.extend([0xaa; MACS]);
        payload.extend([8, 0]);
        payload.extend([0x45, 0, 0x05, 0xdc, 0, 1, 0x40, 0, 63, 17, 0, 0]);
        payload.extend([10, 244, 1, 11, 10, 244, 2, 12]);
        payload.extend([0x9c, 0x40, 0, 53, 5, 0xc8, 0, 0]);
        payload.extend(b"secret");
        let before = outer(payload);
        let veil = Veil::closed();
        let after = outer(veiled(&before, &veil).to_vec());
        let inner =
            |packet| tunnel::inner(packet, Encapsulation::Vxlan, Some(8472)).expect("an inner packet");
        let (before, after, bytes) = (inner(&before), inner(&after), after.payload);
        assert_eq!(after.flow.src, veil.address(before.flow.src));
        assert_eq!(after.flow.dst, veil.address(before.flow.dst));
        assert_eq!((after.length, after.flow.dst_port), (before.length, before.flow.dst_port));
        assert!(!bytes.contains(&0xaa) && !bytes.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn data_is_left_out() {
        assert_eq!(veiled(&outer(b"a name in a query".to_vec()), &Veil::closed()), Bytes::new());
    }
}
