//! Holes that receivers report, from the kernel side's maps.
use crate::model::Time;
use crate::model::flow::{Flow, Protocol};
use crate::model::tcp::{Arrival, HoleState, TcpHole};
use probe_common::tcp_hole::{self, TcpArrivals, state};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The first half of its addresses is the sender's.
fn address(ethertype: u32, words: [u32; 4]) -> Option<IpAddr> {
    match ethertype {
        0x0800 => {
            let [first, ..] = words;
            Some(Ipv4Addr::from(first.to_ne_bytes()).into())
        }
        0x86dd => {
            let mut bytes = [0; 16];
            for (place, word) in bytes.chunks_mut(4).zip(words) {
                place.copy_from_slice(&word.to_ne_bytes());
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

/// A hole as it stands at a time; `None` if the bytes are no hole. `tick_ns` is the length of a jiffy.
pub fn tcp_hole(
    now: Time,
    hole: &tcp_hole::TcpHole,
    arrivals: Option<&TcpArrivals>,
    tick_ns: u32,
) -> Option<TcpHole> {
    let [a, b, c, d, e, f, g, h] = hole.addresses;
    let (pod, remote) = (address(hole.ethertype, [a, b, c, d])?, address(hole.ethertype, [e, f, g, h])?);
    let [p, q, r, s] = hole.ports.to_ne_bytes();
    // Ticks are told from the first one, whose time is known; they wrap.
    let at = |tick: u32| {
        let after = tick.wrapping_sub(hole.since_tick).cast_signed();
        let distance = Time::from(after.unsigned_abs()) * Time::from(tick_ns);
        if after < 0 {
            hole.since_ns.saturating_sub(distance)
        } else {
            hole.since_ns.saturating_add(distance)
        }
    };
    let arrived = arrivals.filter(|arrivals| arrivals.pair == hole.pair).map_or_else(Vec::new, |arrivals| {
        let all = arrivals.sizes.iter().zip(arrivals.ticks).filter(|(size, _)| **size != 0);
        all.map(|(size, tick)| Arrival { time: at(tick), size: *size })
            .filter(|arrival| arrival.time > hole.since_ns)
            .collect()
    });
    Some(TcpHole {
        time: now,
        ifindex: hole.ifindex,
        flow: Flow {
            protocol: Protocol::Tcp,
            src: remote,
            src_port: u16::from_be_bytes([r, s]),
            dst: pod,
            dst_port: u16::from_be_bytes([p, q]),
        },
        since: hole.since_ns,
        last: at(hole.last_tick),
        state: match hole.state {
            state::OPEN => HoleState::Open,
            state::FILLED => HoleState::Filled,
            state::RESET => HoleState::Reset,
            _ => return None,
        },
        ack: hole.ack,
        missing: hole.missing,
        first: hole.first,
        beyond: hole.beyond,
        reports: hole.reports,
        tcp_header: hole.header_len,
        arrived,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SECOND;

    const TICK: u32 = 4_000_000;

    fn hole() -> tcp_hole::TcpHole {
        let address = |bytes: [u8; 4]| u32::from_ne_bytes(bytes);
        tcp_hole::TcpHole {
            since_ns: 10 * SECOND,
            addresses: [address([10, 244, 1, 11]), 0, 0, 0, address([203, 0, 113, 10]), 0, 0, 0],
            ports: u32::from_ne_bytes([0x9c, 0x41, 0x01, 0xbb]),
            ethertype: 0x0800,
            ifindex: 7,
            pair: 9,
            since_tick: u32::MAX - 1,
            last_tick: 248,
            state: state::OPEN,
            ack: 100,
            missing: 2896,
            first: 300,
            beyond: 300,
            reports: 1,
            header_len: 32,
            reserved: 0,
        }
    }

    fn arrivals(pair: u32) -> TcpArrivals {
        let mut arrivals = TcpArrivals { pair, reserved: 0, ticks: [0; 64], sizes: [0; 64] };
        (arrivals.sizes[0], arrivals.ticks[0]) = (52, 123);
        (arrivals.sizes[11], arrivals.ticks[11]) = (1500, u32::MAX - 100);
        arrivals
    }

    #[test]
    fn times_and_addresses_are_told() {
        let seen = tcp_hole(15 * SECOND, &hole(), Some(&arrivals(9)), TICK).expect("a hole");
        assert_eq!(seen.flow.to_string(), "tcp 203.0.113.10:443 -> 10.244.1.11:40001");
        assert_eq!((seen.since, seen.last), (10 * SECOND, 11 * SECOND));
        // What came before the hole proves nothing.
        assert_eq!(seen.arrived, [Arrival { time: 10 * SECOND + SECOND / 2, size: 52 }]);
    }

    #[test]
    fn arrivals_of_others_and_junk_do_not_count() {
        let seen = tcp_hole(15 * SECOND, &hole(), Some(&arrivals(8)), TICK).expect("a hole");
        assert_eq!(seen.arrived, []);
        assert_eq!(tcp_hole(0, &tcp_hole::TcpHole { ethertype: 0, ..hole() }, None, TICK), None);
        assert_eq!(tcp_hole(0, &tcp_hole::TcpHole { state: 9, ..hole() }, None, TICK), None);
    }
}
