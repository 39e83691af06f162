//! The tracepoint programs by real drops, errors, retransmissions and closes.
use crate::{
    elsewhere::{Elsewhere, send_whole},
    hook::{Hook, with_hook},
};
use bytes::Bytes;
use mtuprobe_tests::bench::network::{SMALL_MTU, ip};
use probe_common::{
    icmp_send::IcmpSendRecord,
    location::LocationRecord,
    record::{RecordHeader, kind},
    size_drop::SizeDropRecord,
    tcp_close::TcpCloseRecord,
    tcp_retransmit::TcpRetransmitRecord,
};
use probe_user::datapath::locations::{self, class_of};
use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};
use zerocopy::FromBytes;

/// How long a record is waited for.
const PATIENCE: Duration = Duration::from_secs(180);

/// What came out of the ring, and the names of places.
#[derive(Default)]
struct Seen {
    records: Vec<Bytes>,
    symbols: HashMap<u64, String>,
}

impl Seen {
    /// Takes what is in the ring, and answers questions for places as the product does.
    fn look(&mut self, hook: &mut Hook) {
        for record in hook.datapath.ring().drain(10_000) {
            if header(&record).kind == kind::LOCATION {
                let record = LocationRecord::read_from_bytes(&record).unwrap();
                let end = record.symbol.iter().position(|byte| *byte == 0).unwrap();
                let symbol = String::from_utf8_lossy(&record.symbol[..end]).into_owned();
                hook.datapath.set_location_class(record.address, class_of(&symbol)).unwrap();
                self.symbols.insert(record.address, symbol);
            } else {
                self.records.push(record);
            }
        }
    }

    fn of<T: FromBytes>(&self, kind: u16) -> impl Iterator<Item = T> + '_ {
        let records = self.records.iter().filter(move |record| header(record).kind == kind);
        records
            .map(move |record| T::read_from_bytes(record).unwrap_or_else(|_| panic!("size of kind {kind}")))
    }

    /// Waits for a record, doing something meanwhile that causes it.
    fn wait<T: FromBytes>(
        &mut self,
        hook: &mut Hook,
        kind: u16,
        mut cause: impl FnMut(),
        wanted: impl Fn(&T, &HashMap<u64, String>) -> bool,
    ) -> T {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            cause();
            thread::sleep(Duration::from_millis(50));
            self.look(hook);
            if let Some(record) = self.of(kind).find(|record| wanted(record, &self.symbols)) {
                return record;
            }
        }
        panic!("no such record of kind {kind} among {}; symbols {:?}", self.records.len(), self.symbols);
    }
}

fn header(record: &[u8]) -> RecordHeader {
    RecordHeader::read_from_prefix(record).unwrap().0
}

/// Whether a drop happened in a function.
fn is_at(drop: &SizeDropRecord, symbols: &HashMap<u64, String>, function: &str) -> bool {
    symbols.get(&drop.location).is_some_and(|symbol| locations::function(symbol) == function)
}

/// The function in which a veth drops what its other end does not take.
fn is_veth_drop(drop: &SizeDropRecord, symbols: &HashMap<u64, String>) -> bool {
    is_at(drop, symbols, "__dev_forward_skb2") || is_at(drop, symbols, "__dev_forward_skb")
}

/// A pod at the other end of `in0`, with the tracepoints attached.
fn with_pod(test: impl FnOnce(&mut Hook, &Elsewhere) + Send + 'static) {
    with_hook(false, |hook| {
        let pod = Elsewhere::new();
        ip(&format!("link set in0p netns {}", pod.thread)).unwrap();
        pod.ip("addr add 10.244.1.2/24 dev in0p");
        pod.ip("-6 addr add 2001:db8::2/128 dev in0p nodad");
        pod.ip("link set in0p up");
        pod.ip("route add default via 10.244.1.1");
        pod.ip("-6 route add 2001:db8::1/128 dev in0p");
        pod.ip("-6 route add default via 2001:db8::1");
        ip("-6 route add 2001:db8::2/128 dev in0").unwrap();
        for tracepoint in hook.datapath.attach_tracepoints() {
            assert_eq!(tracepoint.why_not, None, "{}", tracepoint.name);
        }
        test(hook, &pod);
    });
}

#[test]
fn a_veth_drops_what_a_pod_sends_too_large() {
    with_pod(|hook, pod| {
        ip("link set in0 mtu 1500").unwrap();
        let mut seen = Seen::default();
        let send = || pod.run(|| send_whole("10.244.1.1:9", 3000));
        let drop: SizeDropRecord = seen.wait(hook, kind::SIZE_DROP, send, is_veth_drop);
        // The device is the sending end, in the pod.
        assert_eq!((drop.netns, drop.peer_ifindex), (pod.netns, hook.network.incoming));
        assert_eq!((drop.device_mtu, drop.peer_mtu, drop.skb_len), (9000, 1500, 14 + 3028));
        assert_eq!((drop.ethertype, drop.gso_size), (0x0800, 0));
        assert_eq!(&drop.device[..6], b"in0p\0\0");
        assert_eq!(hook.datapath.reasons().name(drop.reason), Some("NOT_SPECIFIED"));
        assert_eq!(drop.packet[12..20], [10, 244, 1, 2, 10, 244, 1, 1]);
        assert_eq!((drop.header.captured, drop.packet[0]), (192, 0x45));
        // A veth lets the route go before it sends (`IFF_XMIT_DST_RELEASE`).
        assert_eq!((drop.egress_ifindex, drop.egress_mtu), (0, 0));
    });
}

#[test]
fn a_veth_drops_what_goes_to_a_pod() {
    with_pod(|hook, pod| {
        pod.ip("link set in0p mtu 1400");
        let mut seen = Seen::default();
        let send = || send_whole("10.244.1.2:9", 3000);
        let drop: SizeDropRecord = seen.wait(hook, kind::SIZE_DROP, send, is_veth_drop);
        assert_eq!((drop.netns, drop.header.ifindex), (hook.network.netns, hook.network.incoming));
        assert_eq!((drop.device_mtu, drop.peer_mtu), (9000, 1400));
    });
}

#[test]
fn forwarding_tells_the_reason_and_makes_an_error() {
    with_pod(|hook, pod| {
        let mut seen = Seen::default();
        let too_big = hook.datapath.reasons().number("PKT_TOO_BIG").unwrap();
        let send = || pod.run(|| send_whole("10.244.2.3:9", 3000));
        let drop: SizeDropRecord =
            seen.wait(hook, kind::SIZE_DROP, send, |drop: &SizeDropRecord, _| drop.reason == too_big);
        assert_eq!((drop.netns, drop.header.ifindex), (hook.network.netns, hook.network.incoming));
        assert_eq!((drop.egress_ifindex, drop.egress_mtu), (hook.network.small, SMALL_MTU));
        assert_eq!(drop.skb_len, 3028);
        let made: IcmpSendRecord = seen.wait(hook, kind::ICMP_SEND, send, |_, _| true);
        assert_eq!((made.netns, made.egress_mtu), (hook.network.netns, SMALL_MTU));
        assert_eq!(made.header.ifindex, hook.network.incoming);
        assert_eq!(made.packet[12..20], [10, 244, 1, 2, 10, 244, 2, 3]);
        let place = seen.wait(hook, kind::SIZE_DROP, send, |drop: &SizeDropRecord, symbols| {
            is_at(drop, symbols, "ip_forward")
        });
        assert_eq!(place.reason, too_big);

        let send = || pod.run(|| send_whole("[2001:db8::3]:9", 3000));
        let drop: SizeDropRecord = seen.wait(hook, kind::SIZE_DROP, send, |drop: &SizeDropRecord, _| {
            drop.reason == too_big && drop.ethertype == 0x86dd
        });
        assert_eq!((drop.egress_mtu, drop.skb_len), (SMALL_MTU, 3048));
    });
}

#[test]
fn other_namespaces_are_nobodys_business() {
    with_pod(|hook, pod| {
        let stranger = Elsewhere::new();
        stranger.ip("link add a0 mtu 9000 type veth peer name b0 mtu 1500");
        stranger.ip("addr add 10.9.9.1/24 dev a0");
        stranger.ip("link set a0 up");
        stranger.ip("link set b0 up");
        stranger.ip("neigh add 10.9.9.2 lladdr 02:00:00:00:00:09 dev a0");
        ip("link set in0 mtu 1500").unwrap();
        let mut seen = Seen::default();
        let send = || {
            stranger.run(|| send_whole("10.9.9.2:9", 3000));
            pod.run(|| send_whole("10.244.1.1:9", 3000));
        };
        seen.wait(hook, kind::SIZE_DROP, send, is_veth_drop);
        assert!(seen.of::<SizeDropRecord>(kind::SIZE_DROP).all(|drop| drop.netns != stranger.netns));
        // Until somebody says that the namespace is ours.
        hook.datapath.set_netns(stranger.netns).unwrap();
        let drop: SizeDropRecord =
            seen.wait(hook, kind::SIZE_DROP, send, |drop: &SizeDropRecord, _| drop.netns == stranger.netns);
        assert_eq!((drop.device_mtu, drop.peer_mtu, drop.peer_ifindex), (9000, 1500, 0));
        hook.datapath.clear_netns(stranger.netns).unwrap();
    });
}

#[test]
fn a_filter_is_seen_by_errors_and_by_a_sample_of_the_rest() {
    with_pod(|hook, pod| {
        let rules = "table inet t { chain o { type filter hook output priority 0; icmp type destination-unreachable drop; udp dport 77 drop; }; }";
        let status = Command::new("nft").arg(rules).status().expect("nft (package nftables)");
        assert!(status.success());
        let filter = hook.datapath.reasons().number("NETFILTER_DROP").unwrap();
        let mut seen = Seen::default();
        let send = || {
            send_whole("10.244.1.2:77", 100);
            pod.run(|| send_whole("10.244.2.3:9", 3000));
        };
        let drop: SizeDropRecord = seen.wait(hook, kind::SIZE_DROP, send, |drop: &SizeDropRecord, _| {
            drop.reason == filter && drop.packet[9] == 1
        });
        assert_eq!((drop.packet[20], drop.packet[21]), (3, 4), "a frag-needed");
        assert_eq!(drop.packet[26..28], (SMALL_MTU as u16).to_be_bytes());
        let datagram: SizeDropRecord = seen.wait(hook, kind::SIZE_DROP, send, |drop: &SizeDropRecord, _| {
            drop.reason == filter && drop.packet[9] == 17
        });
        assert_eq!((datagram.packet[22..24].to_vec(), datagram.skb_len), (vec![0, 77], 128));
    });
}

#[test]
fn retransmissions_tell_what_the_socket_knows() {
    with_pod(|hook, _pod| {
        // Nobody answers there.
        ip("neigh add 10.244.3.9 lladdr 02:00:00:00:00:09 dev large0").unwrap();
        ip("route replace 10.244.3.9/32 dev large0").unwrap();
        let connecting = crate::elsewhere::connect_without_waiting([10, 244, 3, 9], 443);
        let mut seen = Seen::default();
        let record: TcpRetransmitRecord = seen.wait(hook, kind::TCP_RETRANSMIT, || {}, |_, _| true);
        assert_eq!((record.netns, record.family, record.state), (hook.network.netns, 2, 2));
        assert_eq!(record.remote[..4], [10, 244, 3, 9]);
        assert_eq!((record.remote_port, record.payload, record.bytes_acked), (443, 0, 0));
        assert!(record.local_port > 0 && record.total_retrans <= 2);
        assert_eq!(record.snd_nxt.wrapping_sub(record.snd_una), 1, "the SYN itself");
        drop(connecting);
    });
}

#[test]
fn a_closed_connection_tells_what_it_delivered() {
    with_pod(|hook, pod| {
        let listener = TcpListener::bind("10.244.1.1:4000").unwrap();
        let mut seen = Seen::default();
        let exchange = || {
            pod.run(|| {
                let mut stream = TcpStream::connect("10.244.1.1:4000").unwrap();
                stream.write_all(&[1; 5000]).unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                // The server reads later; what counts is that it came.
            });
            let (mut stream, _) = listener.accept().unwrap();
            let mut received = Vec::new();
            stream.read_to_end(&mut received).unwrap();
            assert_eq!(received.len(), 5000);
        };
        // The server's side is in our namespace, the pod's is ours by its route.
        let ours = hook.network.netns;
        let server: TcpCloseRecord =
            seen.wait(hook, kind::TCP_CLOSE, exchange, move |close: &TcpCloseRecord, _| {
                close.netns == ours && close.states >> 16 == 1
            });
        assert_eq!((server.local_port, server.remote[..4].to_vec()), (4000, vec![10, 244, 1, 2]));
        // The FIN counts as a byte.
        assert_eq!(server.bytes_received, 5001);
        assert!(server.last_ack_ms < 60_000, "{}", server.last_ack_ms);
        let pods = pod.netns;
        let client: TcpCloseRecord =
            seen.wait(hook, kind::TCP_CLOSE, exchange, move |close: &TcpCloseRecord, _| {
                close.netns == pods && close.states >> 16 == 1
            });
        assert_eq!((client.remote_port, client.family), (4000, 2));
        assert!(client.header_len >= 40 && client.mss > 500 && client.pmtu == 9000);
        let opened = seen.wait(hook, kind::TCP_CLOSE, exchange, move |close: &TcpCloseRecord, _| {
            close.netns == pods && close.states == 2 << 16 | 1
        });
        assert_eq!(opened.bytes_received, 0);
    });
}

#[test]
fn three_capabilities_are_enough() {
    thread::spawn(|| {
        let network = mtuprobe_tests::bench::network::enter().unwrap();
        let pod = Elsewhere::new();
        ip(&format!("link set in0p netns {}", pod.thread)).unwrap();
        pod.ip("addr add 10.244.1.2/24 dev in0p");
        pod.ip("link set in0p up");
        ip("link set in0 mtu 1500").unwrap();
        crate::elsewhere::keep_three_capabilities();
        let mut hook = Hook::load(network, false);
        for tracepoint in hook.datapath.attach_tracepoints() {
            assert_eq!(tracepoint.why_not, None, "{}", tracepoint.name);
        }
        let mut seen = Seen::default();
        let send = || pod.run(|| send_whole("10.244.1.1:9", 3000));
        let drop: SizeDropRecord = seen.wait(&mut hook, kind::SIZE_DROP, send, is_veth_drop);
        assert_eq!(drop.peer_mtu, 1500);
    })
    .join()
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}
