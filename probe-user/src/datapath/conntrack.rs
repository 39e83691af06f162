//! Connection tracking: which flows are translated, and how.
#![expect(clippy::wildcard_enum_match_arm, reason = "the enums of the netlink crates are non-exhaustive")]
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, Nla};
use netlink_packet_netfilter::conntrack::{ConntrackAttribute, ConntrackMessage, IPTuple, ProtoTuple, Tuple};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use probe_core::model::flow::{Flow, Protocol};
use probe_core::model::nat::NatEntry;
use std::io;
use std::net::IpAddr;

/// Bytes of one part of a dump (the kernel fills up to 32 KiB at a time).
const PART: usize = 64 * 1024;

/// `CTA_PROTO_ICMP_ID` and `CTA_PROTO_ICMPV6_ID`.
const ICMP_ID: [u16; 2] = [4, 7];

/// Connections beyond this are not read: evidence then stays with the node's address.
const MAX_ENTRIES: usize = 1_000_000;

/// The translated connections of the network namespace of the calling thread, both families.
///
/// Needs CAP_NET_ADMIN. Without connection tracking in the kernel or the namespace the answer is an error or empty.
pub fn translated_connections() -> io::Result<Vec<NatEntry>> {
    let mut entries = dump(NetfilterProtoFamily::IPv4)?;
    entries.extend(dump(NetfilterProtoFamily::IPv6)?);
    Ok(entries)
}

fn dump(family: NetfilterProtoFamily) -> io::Result<Vec<NatEntry>> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let request =
        NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), ConntrackMessage::Get(Vec::new()));
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut entries = Vec::new();
    let mut part = Vec::with_capacity(PART);
    loop {
        part.clear();
        socket.recv(&mut part, 0)?;
        if read_part(&part, &mut entries)? || entries.len() > MAX_ENTRIES {
            return Ok(entries);
        }
    }
}

/// Reads one part of a dump; true at its end.
fn read_part(mut bytes: &[u8], entries: &mut Vec<NatEntry>) -> io::Result<bool> {
    while !bytes.is_empty() {
        let message = NetlinkMessage::<NetfilterMessage>::deserialize(bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        let length = (message.header.length as usize).next_multiple_of(4);
        match message.payload {
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) => return Err(error.to_io()),
            NetlinkPayload::InnerMessage(NetfilterMessage {
                inner: NetfilterMessageInner::Conntrack(ConntrackMessage::New(attributes)),
                ..
            }) => entries.extend(translated(&attributes)),
            _ => {}
        }
        bytes = bytes.get(length.max(16)..).unwrap_or_default();
    }
    Ok(false)
}

fn translated(attributes: &[ConntrackAttribute]) -> Option<NatEntry> {
    let mut original = None;
    let mut reply = None;
    for attribute in attributes {
        match attribute {
            ConntrackAttribute::CtaTupleOrig(tuple) => original = flow(tuple),
            ConntrackAttribute::CtaTupleReply(tuple) => reply = flow(tuple),
            _ => {}
        }
    }
    let entry = NatEntry { original: original?, reply: reply? };
    (entry.reply.reversed() != entry.original).then_some(entry)
}

fn flow(tuple: &[Tuple]) -> Option<Flow> {
    let (mut src, mut dst) = (None::<IpAddr>, None::<IpAddr>);
    let (mut protocol, mut src_port, mut dst_port) = (None, 0, 0);
    for part in tuple {
        match part {
            Tuple::Ip(addresses) => {
                for address in addresses {
                    match address {
                        IPTuple::SourceAddress(address) => src = Some(*address),
                        IPTuple::DestinationAddress(address) => dst = Some(*address),
                        _ => {}
                    }
                }
            }
            Tuple::Proto(values) => {
                for value in values {
                    match value {
                        ProtoTuple::Protocol(number) => {
                            protocol = Some(Protocol::from_number(u8::from(*number)))
                        }
                        ProtoTuple::SourcePort(port) => src_port = *port,
                        ProtoTuple::DestinationPort(port) => dst_port = *port,
                        // An echo has one identifier for both sides.
                        ProtoTuple::Other(other)
                            if ICMP_ID.contains(&other.kind()) && other.value_len() == 2 =>
                        {
                            let mut id = [0; 2];
                            other.emit_value(&mut id);
                            (src_port, dst_port) = (u16::from_be_bytes(id), u16::from_be_bytes(id));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some(Flow { protocol: protocol?, src: src?, src_port, dst: dst?, dst_port })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply of `nf_conntrack`: a TCP connection of 10.244.1.11 that is masqueraded as 10.0.1.2.
    const MASQUERADED: &str = "\
        94000000 0001 0200 01000000 00000000 02000000 \
        34000180 14000180 08000100 0af4010b 08000200 cb00710a \
        1c000280 05000100 06000000 06000200 9c410000 06000300 01bb0000 \
        34000280 14000180 08000100 cb00710a 08000200 0a000102 \
        1c000280 05000100 06000000 06000200 01bb0000 06000300 ee480000";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ascii"), 16).expect("hex"))
            .collect()
    }

    #[test]
    fn a_masqueraded_connection_is_read() {
        let mut message = bytes(MASQUERADED);
        let length = u32::try_from(message.len()).expect("short");
        message[..4].copy_from_slice(&length.to_ne_bytes());
        let mut entries = Vec::new();
        assert!(!read_part(&message, &mut entries).expect("a message"));
        let flow = |src: &str, src_port, dst: &str, dst_port| Flow {
            protocol: Protocol::Tcp,
            src: src.parse().expect("an address"),
            src_port,
            dst: dst.parse().expect("an address"),
            dst_port,
        };
        assert_eq!(
            entries,
            [NatEntry {
                original: flow("10.244.1.11", 40001, "203.0.113.10", 443),
                reply: flow("203.0.113.10", 443, "10.0.1.2", 61000),
            }]
        );
    }
}
