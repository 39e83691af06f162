//! TCP connections of a network namespace, with their state (`sock_diag`). In one's own namespace this needs no right.
#![expect(clippy::wildcard_enum_match_arm, reason = "the decoder's enums grow with the kernel")]
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::nlas::{Nla, TcpInfo};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use probe_core::model::Time;
use probe_core::model::flow::{Flow, Protocol};
use probe_core::model::tcp_socket::TcpSocket;
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

/// Bytes of one part of a dump (the kernel fills up to 32 KiB at a time).
const PART: usize = 64 * 1024;
/// Connections beyond this are not kept.
const MAX_SOCKETS: usize = 1024;
/// Bytes of the network headers.
const HEADERS: [(u8, u32); 2] = [(AF_INET, 20), (AF_INET6, 40)];
/// Bytes of the TCP header, and of the option that is in every segment (RFC 7323, appendix A).
const TCP_HEADER: u32 = 20;
const TIMESTAMPS: u32 = 12;
/// `TCPI_OPT_TIMESTAMPS`.
const OPTION_TIMESTAMPS: u8 = 1;
/// Nanoseconds of a millisecond.
const MILLISECOND: Time = 1_000_000;

/// The connections of the calling thread's network namespace to some addresses.
///
/// # Errors
/// The kernel cannot tell (`CONFIG_INET_TCP_DIAG`).
pub fn tcp_sockets(remotes: &BTreeSet<IpAddr>) -> io::Result<Vec<TcpSocket>> {
    let mut sockets = Vec::new();
    for (family, network) in HEADERS {
        dump(family, |response| {
            if sockets.len() < MAX_SOCKETS {
                sockets.extend(read(response, network).filter(|socket| remotes.contains(&socket.flow.dst)));
            }
        })?;
    }
    Ok(sockets)
}

fn dump(family: u8, mut take: impl FnMut(&InetResponse)) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::INFO,
        // Those that have data under way, or may still get some.
        states: StateFlags::ESTABLISHED
            | StateFlags::FIN_WAIT1
            | StateFlags::CLOSE_WAIT
            | StateFlags::LAST_ACK
            | StateFlags::CLOSING,
        socket_id: if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() },
    };
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut part = Vec::with_capacity(PART);
    loop {
        part.clear();
        socket.recv(&mut part, 0)?;
        if read_part(&part, &mut take)? {
            return Ok(());
        }
    }
}

/// Reads one part of a dump; true at its end.
fn read_part(mut bytes: &[u8], take: &mut impl FnMut(&InetResponse)) -> io::Result<bool> {
    while !bytes.is_empty() {
        let message = NetlinkMessage::<SockDiagMessage>::deserialize(bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        let length = (message.header.length as usize).next_multiple_of(4);
        match message.payload {
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) => return Err(error.to_io()),
            NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => take(&response),
            _ => {}
        }
        bytes = bytes.get(length.max(16)..).unwrap_or_default();
    }
    Ok(false)
}

/// A socket of the version 6 that has a peer of version 4 sends packets of that.
fn read(response: &InetResponse, network: u32) -> Option<TcpSocket> {
    let id = &response.header.socket_id;
    let info = response.nlas.iter().find_map(|nla| match nla {
        Nla::TcpInfo(info) => Some(info),
        _ => None,
    })?;
    let flow = Flow {
        protocol: Protocol::Tcp,
        src: id.source_address.to_canonical(),
        src_port: id.source_port,
        dst: id.destination_address.to_canonical(),
        dst_port: id.destination_port,
    };
    let network = if flow.dst.is_ipv4() { HEADERS[0].1 } else { network };
    Some(socket(flow, network, info))
}

fn socket(flow: Flow, network: u32, info: &TcpInfo) -> TcpSocket {
    let options = if info.options & OPTION_TIMESTAMPS == 0 { 0 } else { TIMESTAMPS };
    TcpSocket {
        flow,
        unacked: info.unacked,
        sacked: info.sacked,
        unsent: info.notsent_bytes,
        mss: info.snd_mss,
        header_len: network + TCP_HEADER + options,
        pmtu: info.pmtu,
        retransmits: info.retransmits,
        probes: info.probes,
        total_retrans: info.total_retrans,
        last_ack_age: Time::from(info.last_ack_recv) * MILLISECOND,
        bytes_acked: info.bytes_acked,
        bytes_received: info.bytes_received,
        data_segments_out: info.data_segs_out,
        out_of_order: info.rcv_ooopack,
        window: info.snd_wnd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_connection_of_our_own_is_told_with_its_bytes() {
        for address in ["127.0.0.1", "::1"] {
            let remote: IpAddr = address.parse().expect("an address");
            let listener = TcpListener::bind((remote, 0)).expect("a port");
            let to = listener.local_addr().expect("bound");
            let mut client = TcpStream::connect(to).expect("connected");
            let (mut server, _) = listener.accept().expect("accepted");
            client.write_all(&[7; 300]).expect("sent");
            server.read_exact(&mut [0; 300]).expect("received");
            server.write_all(&[7]).expect("sent");
            client.read_exact(&mut [0]).expect("received");
            let sockets = tcp_sockets(&BTreeSet::from([remote])).expect("the kernel tells");
            let its = client.local_addr().expect("connected");
            let socket = sockets
                .iter()
                .find(|socket| (socket.flow.src_port, socket.flow.dst_port) == (its.port(), to.port()));
            let socket = socket.expect("ours is among them");
            assert_eq!((socket.unacked, socket.bytes_received, socket.data_segments_out), (0, 1, 1));
            // The handshake counts as one.
            assert_eq!(socket.bytes_acked, 301);
            assert!(socket.mss + socket.header_len <= socket.pmtu, "{socket:?}");
            assert!(tcp_sockets(&BTreeSet::new()).expect("the kernel tells").is_empty());
        }
    }
}
