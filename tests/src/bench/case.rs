//! What is measured: frames by name, the interface that they meet, and what they may cost.
use super::network::{LARGE_MTU, Network, SMALL_MTU};
use crate::{
    frames::{self, ACK, IPV4, IPV6, Ipv4, TIMESTAMPS, ethernet, protocol},
    test_run::Frame,
};
use probe_common::interface::{InterfaceConfig, NO_LIMIT, role};

/// Limits in nanoseconds over the empty program.
pub mod limit {
    /// A packet below its interface's smallest limit.
    pub const ORDINARY: f64 = 20.0;
    /// A candidate that fits its own route.
    pub const FITS: f64 = 60.0;
    /// A candidate whose event is held back.
    pub const HELD: f64 = 30.0;
    /// A candidate with route look-up and event.
    pub const ROUTE_IPV4: f64 = 450.0;
    /// The same for IPv6.
    pub const ROUTE_IPV6: f64 = 600.0;
    /// An ICMP packet too big with its original datagram.
    pub const PACKET_TOO_BIG: f64 = 200.0;
}

/// One thing to measure.
pub struct Case {
    /// Its name in the table.
    pub name: &'static str,
    /// The frame.
    pub frame: Frame,
    /// Smallest limit of the interface in both directions.
    pub mtu: u32,
    /// Whether the gate is held open.
    pub gate_open: bool,
    /// The most that it may cost, in nanoseconds over the empty program.
    pub limit: f64,
}

/// The kernel cuts the frame of a test run to what fits a page or so.
const GSO_BYTES: usize = 3_000;

/// Every case.
pub fn all(network: &Network) -> Vec<Case> {
    let v4 = |number, payload: &[u8]| ethernet(&[], IPV4, &Ipv4::of(number).packet(payload));
    let v6 = |number, payload: &[u8]| ethernet(&[], IPV6, &frames::ipv6(number, payload));
    let tcp64 = v4(protocol::TCP, &frames::tcp(ACK, &[], 10));
    let tcp1500 = v4(protocol::TCP, &frames::tcp(ACK, &TIMESTAMPS, 1448));
    let udp1500 = v4(protocol::UDP, &frames::udp(4000, 4001, &[0; 1472]));
    let tcp6 = v6(protocol::TCP, &frames::tcp(ACK, &TIMESTAMPS, 1428));
    let gso = v4(protocol::TCP, &frames::tcp(ACK, &TIMESTAMPS, GSO_BYTES));
    let fits = ethernet(
        &[],
        IPV4,
        &Ipv4 { destination: [10, 244, 3, 3], ..Ipv4::of(protocol::TCP) }.packet(&frames::tcp(
            ACK,
            &TIMESTAMPS,
            1448,
        )),
    );
    let fits6 = ethernet(
        &[],
        IPV6,
        &frames::ipv6_between(
            frames::address6(2),
            frames::address6(4),
            protocol::TCP,
            &frames::tcp(ACK, &TIMESTAMPS, 1428),
        ),
    );
    let error = ethernet(&[], IPV4, &frames::frag_needed(1400, &tcp1500[14..]));
    let error6 = ethernet(&[], IPV6, &frames::packet_too_big(1400, &tcp6[14..]));
    let case = |name, bytes: &[u8], mtu, gate_open, limit| Case {
        name,
        frame: Frame::of(bytes.to_vec()).at(network.incoming),
        mtu,
        gate_open,
        limit,
    };
    vec![
        case("tcp64", &tcp64, 1500, false, limit::ORDINARY),
        case("tcp1500", &tcp1500, 1500, false, limit::ORDINARY),
        case("udp1500df", &udp1500, 1500, false, limit::ORDINARY),
        case("v6tcp1500", &tcp6, 1500, false, limit::ORDINARY),
        Case {
            frame: Frame::gso(gso, 1448, 3).at(network.incoming),
            ..case("gso64k", &[], 1500, false, limit::ORDINARY)
        },
        case("candidate-fits", &fits, SMALL_MTU, false, limit::FITS),
        case("candidate-fits-v6", &fits6, SMALL_MTU, false, limit::FITS),
        case("oversize-held", &tcp1500, SMALL_MTU, false, limit::HELD),
        case("oversize-held-udp", &udp1500, SMALL_MTU, false, limit::HELD),
        case("oversize-held-v6", &tcp6, SMALL_MTU, false, limit::HELD),
        case("oversize-event", &tcp1500, SMALL_MTU, true, limit::ROUTE_IPV4),
        case("oversize-event-v6", &tcp6, SMALL_MTU, true, limit::ROUTE_IPV6),
        case("frag-needed", &error, 1500, true, limit::PACKET_TOO_BIG),
        case("packet-too-big", &error6, 1500, true, limit::PACKET_TOO_BIG),
    ]
}

/// How the product would treat the interface that the packets come in by.
pub fn interface(network: &Network, mtu: u32) -> InterfaceConfig {
    InterfaceConfig {
        ifindex: network.incoming,
        slot: 0,
        role: role::POD,
        limit: [mtu, LARGE_MTU],
        peer_limit: NO_LIMIT,
        pod_mtu: NO_LIMIT,
        watched_until: 0,
    }
}
