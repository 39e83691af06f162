//! The control group of the process that a flow of this node belongs to (`sock_diag`). In one's own namespace this needs
//! no right.
#![expect(clippy::wildcard_enum_match_arm, reason = "the decoder's enums grow with the kernel")]
use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, Nla as _};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use probe_core::model::flow::{Flow, Protocol};
use std::io;
use std::net::IpAddr;

/// `INET_DIAG_CGROUP_ID` (Linux 5.8 and later).
const CONTROL_GROUP: u16 = 21;
/// An answer is a few hundred bytes.
const ANSWER: usize = 16 * 1024;

/// Number of the control group (of version 2) of the socket at the near end of a flow; `None` if there is no such socket,
/// or it does not say.
///
/// # Errors
/// The kernel cannot tell.
pub fn control_group_id(flow: &Flow) -> io::Result<Option<u64>> {
    let (protocol, is_udp) = match flow.protocol {
        Protocol::Tcp => (IPPROTO_TCP, false),
        Protocol::Udp => (IPPROTO_UDP, true),
        Protocol::Icmp | Protocol::Icmpv6 | Protocol::Other(_) => return Ok(None),
    };
    let (family, mut id) = match flow.src {
        IpAddr::V4(_) => (AF_INET, SocketId::new_v4()),
        IpAddr::V6(_) => (AF_INET6, SocketId::new_v6()),
    };
    // The kernel looks for UDP sockets the other way round (`udp_dump_one`).
    let (near, far) = ((flow.src, flow.src_port), (flow.dst, flow.dst_port));
    let (source, destination) = if is_udp { (far, near) } else { (near, far) };
    (id.source_address, id.source_port) = source;
    (id.destination_address, id.destination_port) = destination;
    // `INET_DIAG_NOCOOKIE`: whichever socket it is.
    id.cookie = [0xff; 8];
    let request = InetRequest {
        family,
        protocol,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: id,
    };
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut answer = Vec::with_capacity(ANSWER);
    socket.recv(&mut answer, 0)?;
    let message = NetlinkMessage::<SockDiagMessage>::deserialize(&answer)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    match message.payload {
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => Ok(read(&response)),
        NetlinkPayload::Error(error) => match error.to_io() {
            error if error.kind() == io::ErrorKind::NotFound => Ok(None),
            error => Err(error),
        },
        _ => Ok(None),
    }
}

fn read(response: &InetResponse) -> Option<u64> {
    response.nlas.iter().find_map(|nla| match nla {
        Nla::Other(other) if other.kind() == CONTROL_GROUP => {
            let mut value = vec![0; other.value_len()];
            other.emit_value(&mut value);
            Some(u64::from_ne_bytes(value.try_into().ok()?))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::linux::fs::MetadataExt as _;

    /// Our own control group of version 2, wherever it is mounted.
    fn own() -> Option<u64> {
        let text = std::fs::read_to_string("/proc/self/cgroup").expect("our control group");
        let path = text.lines().find_map(|line| line.strip_prefix("0::"))?.to_owned();
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
        let root =
            roots.iter().find(|root| std::fs::exists(format!("{root}/cgroup.procs")).is_ok_and(|is| is))?;
        Some(std::fs::metadata(format!("{root}{path}")).ok()?.st_ino())
    }

    #[test]
    fn a_socket_of_our_own_is_in_our_group() {
        let Some(own) = own() else {
            println!("no control groups of version 2 here: nothing to compare with");
            return;
        };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let flow = |protocol, near: std::net::SocketAddr, far: std::net::SocketAddr| Flow {
            protocol,
            src: near.ip(),
            src_port: near.port(),
            dst: far.ip(),
            dst_port: far.port(),
        };
        let near = client.local_addr().expect("bound");
        let found = control_group_id(&flow(Protocol::Tcp, near, client.peer_addr().expect("connected")));
        assert_eq!(found.expect("an answer"), Some(own));
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let far = "127.0.0.1:9".parse().expect("an address");
        let found = control_group_id(&flow(Protocol::Udp, udp.local_addr().expect("bound"), far));
        assert_eq!(found.expect("an answer"), Some(own));
        let nobody = flow(Protocol::Tcp, "127.0.0.1:1".parse().expect("an address"), far);
        assert_eq!(control_group_id(&nobody).expect("an answer"), None);
    }
}
