//! One function per record of the kernel side.
use super::{KernelNames, NewLocation, UndecodableRecord, packet};
use crate::model::event::{Event, FragmentSeen, MssSeen, Oversize, OversizeHow};
use crate::model::flow::{Family, Flow, Protocol};
use crate::model::packet::{Packet, Transport};
use crate::model::packet_too_big::{HookDirection, PacketTooBigSeen};
use crate::model::size_drop::{IcmpGenerated, PacketDropped};
use crate::model::tcp::{TcpRetransmit, TcpStateChange};
use crate::model::{SECOND, Time};
use bytes::Bytes;
use probe_common::fragment::FragmentRecord;
use probe_common::icmp_send::IcmpSendRecord;
use probe_common::location::LocationRecord;
use probe_common::oversize::{OversizeRecord, how};
use probe_common::packet_too_big::PacketTooBigRecord;
use probe_common::record::{RecordHeader, direction};
use probe_common::size_drop::SizeDropRecord;
use probe_common::tcp_close::TcpCloseRecord;
use probe_common::tcp_mss::TcpMssRecord;
use probe_common::tcp_retransmit::TcpRetransmitRecord;
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use zerocopy::FromBytes;

type Decoded = Result<Event, UndecodableRecord>;

/// `TCP_ESTABLISHED` of `enum tcp_state` (`include/net/tcp_states.h`).
const ESTABLISHED: u32 = 1;
/// `TCP_SYN_SENT`, `TCP_SYN_RECV` and `TCP_NEW_SYN_RECV`: the handshake.
const HANDSHAKE: [u32; 3] = [2, 3, 12];
/// Nanoseconds in a millisecond.
const MILLISECOND: u64 = 1_000_000;

/// Where a record type has its packet.
macro_rules! copied {
    ($record:ident, $type:ty) => {
        Copied { at: offset_of!($type, packet), ethertype: $record.ethertype }
    };
}

pub(super) fn header(bytes: &Bytes) -> Result<RecordHeader, UndecodableRecord> {
    read(bytes, 0)
}

/// Copies a record out: the ring's bytes need not be aligned.
fn read<R: FromBytes>(bytes: &Bytes, kind: u16) -> Result<R, UndecodableRecord> {
    match R::read_from_prefix(bytes) {
        Ok((record, _)) => Ok(record),
        Err(_) => Err(UndecodableRecord::Short { kind, length: bytes.len() }),
    }
}

pub(super) fn oversize(bytes: &Bytes) -> Decoded {
    let kind = probe_common::record::kind::OVERSIZE;
    let record: OversizeRecord = read(bytes, kind)?;
    Ok(Event::Oversize(Oversize {
        time: record.header.time_ns,
        packets: packets(record.header),
        ifindex: record.header.ifindex,
        direction: hook_direction(record.header)?,
        length: record.length,
        limit: record.limit,
        how: match record.how {
            how::ROUTE => OversizeHow::Route,
            how::PEER => OversizeHow::Peer,
            how::DEVICE => OversizeHow::Device,
            how::TUNNEL => OversizeHow::Tunnel,
            _ => return Err(UndecodableRecord::Contradiction(kind)),
        },
        egress_ifindex: known(record.egress_ifindex),
        gso: record.gso_size > 0,
        packet: whole_packet(bytes, &copied!(record, OversizeRecord), record.header)?,
    }))
}

pub(super) fn packet_too_big(bytes: &Bytes) -> Decoded {
    let kind = probe_common::record::kind::PACKET_TOO_BIG;
    let record: PacketTooBigRecord = read(bytes, kind)?;
    let packet = whole_packet(bytes, &copied!(record, PacketTooBigRecord), record.header)?;
    if !matches!(packet.transport, Transport::PacketTooBig { .. }) {
        return Err(UndecodableRecord::Contradiction(kind));
    }
    Ok(Event::PacketTooBig(PacketTooBigSeen {
        time: record.header.time_ns,
        packets: packets(record.header),
        ifindex: record.header.ifindex,
        direction: hook_direction(record.header)?,
        packet,
    }))
}

pub(super) fn fragment(bytes: &Bytes) -> Decoded {
    let record: FragmentRecord = read(bytes, probe_common::record::kind::FRAGMENT)?;
    Ok(Event::Fragment(FragmentSeen {
        time: record.header.time_ns,
        packets: packets(record.header),
        ifindex: record.header.ifindex,
        direction: hook_direction(record.header)?,
        packet: whole_packet(bytes, &copied!(record, FragmentRecord), record.header)?,
    }))
}

pub(super) fn tcp_mss(bytes: &Bytes) -> Decoded {
    let kind = probe_common::record::kind::TCP_MSS;
    let record: TcpMssRecord = read(bytes, kind)?;
    let packet = whole_packet(bytes, &copied!(record, TcpMssRecord), record.header)?;
    if !matches!(packet.transport, Transport::Tcp(_)) {
        return Err(UndecodableRecord::Contradiction(kind));
    }
    Ok(Event::TcpMss(MssSeen {
        time: record.header.time_ns,
        ifindex: record.header.ifindex,
        direction: hook_direction(record.header)?,
        packet,
    }))
}

pub(super) fn size_drop(bytes: &Bytes, names: &dyn KernelNames) -> Decoded {
    let record: SizeDropRecord = read(bytes, probe_common::record::kind::SIZE_DROP)?;
    let reason = names.drop_reason(record.reason).map_or_else(
        || record.reason.to_string(),
        |name| name.strip_prefix("SKB_DROP_REASON_").unwrap_or(name).to_owned(),
    );
    Ok(Event::Dropped(PacketDropped {
        time: record.header.time_ns,
        packets: packets(record.header),
        reason,
        location: symbol_name(names.symbol(record.location).unwrap_or_default()).to_owned(),
        netns: record.netns,
        ifindex: record.header.ifindex,
        device: text(&record.device),
        peer_ifindex: known(record.peer_ifindex),
        device_mtu: record.device_mtu,
        peer_mtu: known(record.peer_mtu),
        egress_ifindex: known(record.egress_ifindex),
        egress_mtu: known(record.egress_mtu),
        egress_netns: known(record.egress_netns),
        route_mtu: known(record.route_mtu),
        skb_len: record.skb_len,
        gso_size: known(record.gso_size),
        packet: captured(bytes, &copied!(record, SizeDropRecord), record.header),
    }))
}

pub(super) fn icmp_send(bytes: &Bytes) -> Decoded {
    let record: IcmpSendRecord = read(bytes, probe_common::record::kind::ICMP_SEND)?;
    Ok(Event::IcmpGenerated(IcmpGenerated {
        time: record.header.time_ns,
        netns: record.netns,
        ifindex: record.header.ifindex,
        peer_ifindex: known(record.peer_ifindex),
        egress_ifindex: known(record.egress_ifindex),
        egress_mtu: known(record.egress_mtu),
        route_mtu: known(record.route_mtu),
        packet: captured(bytes, &copied!(record, IcmpSendRecord), record.header),
    }))
}

pub(super) fn location(bytes: &Bytes) -> Result<NewLocation, UndecodableRecord> {
    let record: LocationRecord = read(bytes, probe_common::record::kind::LOCATION)?;
    Ok(NewLocation {
        time: record.header.time_ns,
        address: record.address,
        symbol: symbol_name(&text(&record.symbol)).to_owned(),
    })
}

pub(super) fn tcp_retransmit(bytes: &Bytes) -> Decoded {
    let kind = probe_common::record::kind::TCP_RETRANSMIT;
    let record: TcpRetransmitRecord = read(bytes, kind)?;
    let payload = known(record.gso_size).map_or(record.payload, |full| full.min(record.payload));
    Ok(Event::TcpRetransmit(TcpRetransmit {
        time: record.header.time_ns,
        packets: packets(record.header),
        netns: record.netns,
        flow: socket_flow(
            kind,
            record.family,
            (record.local, record.local_port),
            (record.remote, record.remote_port),
        )?,
        segment: record.header_len.saturating_add(payload),
        bytes_acked: record.bytes_acked,
        snd_una: record.snd_una,
        snd_nxt: record.snd_nxt,
        seq: record.seq,
        total_retrans: record.total_retrans,
        data_segments_out: record.data_segments_out,
        header_len: record.header_len,
        pmtu: record.pmtu,
        established: !HANDSHAKE.contains(&record.state),
        srtt_us: record.srtt_us,
        timeout: (record.rto_ms != 0).then(|| Time::from(record.rto_ms) * (SECOND / 1000)),
    }))
}

pub(super) fn tcp_close(bytes: &Bytes) -> Decoded {
    let kind = probe_common::record::kind::TCP_CLOSE;
    let record: TcpCloseRecord = read(bytes, kind)?;
    let since_last_ack =
        (record.last_ack_ms != u32::MAX).then(|| u64::from(record.last_ack_ms) * MILLISECOND);
    Ok(Event::TcpStateChange(TcpStateChange {
        time: record.header.time_ns,
        netns: record.netns,
        flow: socket_flow(
            kind,
            record.family,
            (record.local, record.local_port),
            (record.remote, record.remote_port),
        )?,
        established: record.states & 0xffff == ESTABLISHED,
        bytes_acked: record.bytes_acked,
        bytes_received: record.bytes_received,
        last_ack: since_last_ack.map(|since| record.header.time_ns.saturating_sub(since)),
        data_segments_out: record.data_segments_out,
        data_segments_in: record.data_segments_in,
        total_retrans: record.total_retrans,
        header_len: record.header_len,
        mss: record.mss,
        unacked: record.unacked,
    }))
}

/// A flow from a socket's fields; an IPv4 connection of an IPv6 socket (RFC 4291 section 2.5.5.2) is IPv4.
fn socket_flow(
    kind: u16,
    family: u32,
    (local, local_port): ([u8; 16], u16),
    (remote, remote_port): ([u8; 16], u16),
) -> Result<Flow, UndecodableRecord> {
    const AF_INET: u32 = 2;
    const AF_INET6: u32 = 10;
    let address = |bytes: [u8; 16]| match family {
        AF_INET => {
            let [a, b, c, d, ..] = bytes;
            Ok(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        AF_INET6 => Ok(IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()),
        _ => Err(UndecodableRecord::Contradiction(kind)),
    };
    Ok(Flow {
        protocol: Protocol::Tcp,
        src: address(local)?,
        src_port: local_port,
        dst: address(remote)?,
        dst_port: remote_port,
    })
}

/// A record stands for itself at least.
fn packets(header: RecordHeader) -> u32 {
    header.packets.max(1)
}

/// The kernel side says 0 for what it does not know.
fn known(value: u32) -> Option<u32> {
    (value != 0).then_some(value)
}

fn hook_direction(header: RecordHeader) -> Result<HookDirection, UndecodableRecord> {
    match header.direction {
        direction::INGRESS => Ok(HookDirection::Ingress),
        direction::EGRESS => Ok(HookDirection::Egress),
        _ => Err(UndecodableRecord::Contradiction(header.kind)),
    }
}

/// Where a record has its packet, and what the kernel says it is.
struct Copied {
    at: usize,
    ethertype: u32,
}

fn captured(bytes: &Bytes, copied: &Copied, header: RecordHeader) -> Option<Packet> {
    let end = copied.at.saturating_add(header.captured as usize).min(bytes.len());
    let packet = packet::read(&bytes.slice(copied.at.min(end)..end))?;
    let as_said = match copied.ethertype {
        0x0800 => packet.family() == Family::Ipv4,
        0x86dd => packet.family() == Family::Ipv6,
        // VLAN tags in line: the kernel does not look behind them.
        0x8100 | 0x88a8 => true,
        // Nothing set the network header (a vsock or netlink buffer in `kfree_skb`): the bytes are junk.
        _ => false,
    };
    as_said.then_some(packet)
}

fn whole_packet(bytes: &Bytes, copied: &Copied, header: RecordHeader) -> Result<Packet, UndecodableRecord> {
    captured(bytes, copied, header).ok_or(UndecodableRecord::UnreadablePacket(header.kind))
}

/// Text up to the first zero.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// The function of a symbol, without offset, module and compiler's suffixes: `ip_fragment.isra.0+0x2c/0x4a [mod]`.
fn symbol_name(symbol: &str) -> &str {
    symbol.split([' ', '+', '.', '[']).next().unwrap_or_default()
}

#[cfg(test)]
#[path = "record/tests.rs"]
mod tests;
